"""``sppdet benchmark``: R-CNN against SPP-net on the user's own machine and images."""

import json
import sys
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sppdet.cli.options import (
    BoxBase,
    BoxOrder,
    Device,
    JsonFile,
    Layer,
    Quiet,
    Stage,
    Trunk,
    parse_numbers,
)
from sppdet.errors import SppdetError

if TYPE_CHECKING:
    from rich.progress import Progress

    from sppdet.benchmark.accuracy import Accuracy
    from sppdet.benchmark.contenders import Contender
    from sppdet.benchmark.speed import Row
    from sppdet.cli.progress import Bars
    from sppdet.datasets import Dataset

PAPER_SCALES = ("688", "480,576,688,864,1200")
"""SPP-net paper, section 4.1: one scale, and five."""


def benchmark(
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    trunk: Trunk = "small",
    stage: Stage = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="The trunk's weights: a file, or random. Default: the installed or downloaded "
            "ones."
        ),
    ] = None,
    scales: Annotated[
        list[str],
        typer.Option(
            help="Short sides in pixels at which SPP-net sees an image. Give it once per row."
        ),
    ] = PAPER_SCALES,  # type: ignore[assignment]
    layer: Layer = "pyramid",
    boxes: Annotated[int, typer.Option(min=1, help="Proposals per image.")] = 2000,
    device: Device = None,
    threads: Annotated[
        str | None,
        typer.Option(
            help="Numbers of threads to measure with, such as 1,2. Default: one per core."
        ),
    ] = None,
    number: Annotated[
        int, typer.Option(min=1, help="At most so many images, spread over the folder.")
    ] = 5,
    repeats: Annotated[
        int, typer.Option(min=1, help="How often SPP-net is measured on each image.")
    ] = 3,
    proposals: Annotated[
        Path | None, typer.Option(help="Take the boxes from this file, see sppdet propose.")
    ] = None,
    box_order: BoxOrder = None,
    box_base: BoxBase = None,
    save_proposals: Annotated[
        Path | None, typer.Option(help="Write the boxes of the images here (npz, json, csv, mat).")
    ] = None,
    json_file: JsonFile = None,
    picture: Annotated[
        Path | None, typer.Option(help="Write the stages as stacked bars here (PNG).")
    ] = None,
    scaling: Annotated[
        Path | None,
        typer.Option(help="Measure the growth with proposals and image size; write it here (PNG)."),
    ] = None,
    map: Annotated[
        Path | None,
        typer.Option(
            "--map",
            help="Train and test both methods on these labelled images, which have a train and a "
            "test split: mAP beside speed.",
        ),
    ] = None,
    map_boxes: Annotated[int, typer.Option(min=1, help="Proposals per image for --map.")] = 400,
    seed: Annotated[int, typer.Option(help="Seed of the training for --map.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Time R-CNN and SPP-net stage by stage.

    Both have the same trunk, proposals and heads. R-CNN runs with the batch size that is fastest
    here, which is found first. Its crops go through the network thousands of times an image, so
    give it a few minutes.

    \b
    Example:
      python tools/benchmark.py photos --json speed.json --picture speed.png
    """
    import torch

    from sppdet.benchmark.contenders import contenders, time_batches
    from sppdet.benchmark.pictures import draw_bars, draw_scaling
    from sppdet.benchmark.scaling import NUMBERS, SIDES, measure_scaling
    from sppdet.benchmark.speed import CLAIMS, machine, measure, using_threads
    from sppdet.cli.benchmark_tables import accuracy_table, print_batches, speed_table
    from sppdet.cli.common import choose_device, layer_settings, made_by, with_stage
    from sppdet.cli.progress import PlainConsole, progress_bar
    from sppdet.datasets.image_names import relative_names
    from sppdet.images import read_image
    from sppdet.proposals import propose
    from sppdet.proposals.files import read_proposals, write_proposals
    from sppdet.runtime.files import write_text
    from sppdet.runtime.outputs import check_outputs
    from sppdet.trunks import load_trunk

    where = choose_device(device)
    counts = parse_numbers(threads, "--threads") if threads else (torch.get_num_threads(),)
    sides = [parse_numbers(one, "--scales") for one in scales]
    files = _files(images, number)
    check_outputs([json_file, picture, scaling, save_proposals], [*files, proposals, weights])
    pictures = [read_image(file) for file in files]
    given = read_proposals(proposals, files, box_order, box_base) if proposals is not None else None
    if save_proposals is not None:
        write_proposals(
            save_proposals,
            {
                name: propose(image, max_boxes=boxes)
                for name, image in zip(relative_names(files), pictures, strict=True)
            },
        )
    loaded = load_trunk(with_stage(trunk, stage), weights, where, made_by(layer))
    shared = layer_settings(layer, trunk)
    labelled = _train_and_test(map) if map is not None else None
    rows: list[Row] = []
    batches: dict[int, dict[str, dict[int, float]]] = {}
    with progress_bar() as bar:
        task = bar.add_task("measuring", total=len(counts) * len(files) * (1 + len(sides)))
        for count in counts:
            with using_threads(count):
                batches[count] = time_batches(loaded, loaded.spec.crop)
            mine = batches[count]["channels_last"]
            compared = contenders(loaded, sides, min(mine, key=mine.__getitem__), shared)
            rows += measure(
                pictures, compared, boxes, count, repeats, given, lambda: bar.advance(task)
            )
    content: dict[str, Any] = {
        "rows": [row.to_json() for row in rows],
        "rcnn_milliseconds_per_crop": batches,
        "paper_features_faster_than_rcnn": CLAIMS,
        "trunk": loaded.name,
        "weights": loaded.origin,
        "machine": machine(),
        "date": date.today().isoformat(),
        "command": " ".join(["tools/benchmark.py", *sys.argv[1:]]),
    }
    out = PlainConsole(width=max(PlainConsole().width, 170))  # a table that is cut says nothing
    out.print(speed_table(rows))
    print_batches(out, batches)
    if picture is not None:
        draw_bars(rows, picture)
    compared = contenders(loaded, sides, min(mine, key=mine.__getitem__), shared)
    if scaling is not None:
        with progress_bar() as bar:
            task = bar.add_task("scaling", total=len(compared) * (len(NUMBERS) + len(SIDES)))
            points = measure_scaling(
                pictures[0], compared, counts[-1], progress=lambda: bar.advance(task)
            )
        content["scaling"] = points
        draw_scaling(points, scaling)
    if json_file is not None:
        write_text(json_file, json.dumps(content, indent=1) + "\n")
    if labelled is not None:
        found = _accuracy(*labelled, compared, map_boxes, seed)
        content["map"] = [entry.to_json() for entry in found]
        out.print(accuracy_table(found, rows))
        if json_file is not None:
            write_text(json_file, json.dumps(content, indent=1) + "\n")


def _files(given: list[Path], number: int) -> list[Path]:
    """At most ``number`` of the images, spread over them."""
    from sppdet.images import find_images

    files: list[Path] = []
    for path in given:
        inside = find_images(path) if path.is_dir() else [path]
        for split in ("test", "val", "train"):  # a folder of splits: its test photographs
            if not inside and (path / split).is_dir():
                inside = find_images(path / split)
        files += inside
    if not files:
        raise SppdetError(f"{given[0]}: holds no images, and neither does a folder test in it")
    files = list(dict.fromkeys(files))
    chosen = range(0, len(files), max(-(-len(files) // number), 1))
    return [files[index] for index in chosen]


def _train_and_test(data: Path) -> "tuple[Dataset, Dataset]":
    from sppdet.datasets import read_dataset, splits

    available = splits(data)
    chosen = []
    for wanted in (("trainval", "train", "train2017", "training"), ("test", "val", "val2017")):
        names = [name for name in wanted if name in available]
        if not names:
            raise SppdetError(
                f"{data}: --map needs a split {' or '.join(wanted)}; it has "
                f"{', '.join(available) or 'no splits'}"
            )
        chosen.append(read_dataset(data, names[0]))
    return chosen[0], chosen[1]


def _accuracy(
    training: "Dataset", test: "Dataset", compared: "list[Contender]", boxes: int, seed: int
) -> "list[Accuracy]":
    import torch

    from sppdet.benchmark.accuracy import measure_accuracy
    from sppdet.benchmark.speed import using_threads
    from sppdet.cli.progress import progress_bar

    where = compared[0].extractor.trunk.device
    workers = torch.get_num_threads() if where.type == "cpu" else 2
    with using_threads(1) if where.type == "cpu" else nullcontext(), progress_bar() as bar:
        return measure_accuracy(
            training, test, compared, boxes, workers, seed, lambda title: _told(bar, title)
        )


def _told(bar: "Progress", title: str) -> "Bars":
    from sppdet.cli.progress import Bars

    bar.console.print(title)
    return Bars(bar)
