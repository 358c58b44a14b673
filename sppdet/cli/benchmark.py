"""``sppdet benchmark``: R-CNN against SPP-net on the user's own machine and images."""

import json
import sys
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from sppdet.benchmark.accuracy import Accuracy, measure_accuracy
from sppdet.benchmark.contenders import Contender, contenders, time_batches
from sppdet.benchmark.pictures import draw_bars, draw_scaling
from sppdet.benchmark.proposal_file import read_proposals, write_proposals
from sppdet.benchmark.scaling import NUMBERS, SIDES, measure_scaling
from sppdet.benchmark.speed import CLAIMS, Row, machine, measure, using_threads
from sppdet.cli.common import (
    Bars,
    FeatureLayer,
    choose_device,
    console,
    parse_numbers,
    progress_bar,
)
from sppdet.datasets import Dataset, read_dataset, splits
from sppdet.errors import SppdetError
from sppdet.features.rcnn import default_crop
from sppdet.images import find_images, read_image
from sppdet.proposals import propose
from sppdet.runtime.files import write_text
from sppdet.trunks import ARCHITECTURES, load_trunk

PAPER_SCALES = ("688", "480,576,688,864,1200")
"""SPP-net paper, section 4.1: one scale, and five."""


def benchmark(
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    trunk: Annotated[str, typer.Option(help=f"One of {', '.join(ARCHITECTURES)}.")] = "small",
    weights: Annotated[
        str | None, typer.Option(help="Trunk weights, or random. Default: packaged or downloaded.")
    ] = None,
    scales: Annotated[
        list[str], typer.Option(help="Short sides of SPP-net; give it once per row.")
    ] = PAPER_SCALES,  # type: ignore[assignment]
    layer: Annotated[
        FeatureLayer,
        typer.Option(help="The features: 50 bins; or pool5, fc6, fc7 of alexnet and vgg16."),
    ] = FeatureLayer.pyramid,
    boxes: Annotated[int, typer.Option(min=1, help="Proposals per image.")] = 2000,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default: GPU if any.")] = None,
    threads: Annotated[str | None, typer.Option(help="Such as 1,2. Default: one per core.")] = None,
    number: Annotated[
        int, typer.Option(min=1, help="At most so many images, spread over the folder.")
    ] = 5,
    repeats: Annotated[int, typer.Option(min=1, help="Of SPP-net on each image.")] = 3,
    proposals: Annotated[
        Path | None, typer.Option(help="Boxes computed before: see --save-proposals.")
    ] = None,
    save_proposals: Annotated[
        Path | None, typer.Option(help="Write the boxes of the images here (JSON).")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Write the stages as stacked bars here (PNG).")
    ] = None,
    scaling: Annotated[
        Path | None,
        typer.Option(help="Measure the growth with proposals and image size; write it here (PNG)."),
    ] = None,
    map: Annotated[
        Path | None,
        typer.Option("--map", help="Labelled images with train and test splits: mAP beside speed."),
    ] = None,
    map_boxes: Annotated[int, typer.Option(min=1, help="Proposals per image for --map.")] = 400,
    seed: Annotated[int, typer.Option(help="Of the training for --map.")] = 0,
) -> None:
    """Time R-CNN and SPP-net, stage by stage, with the same trunk, proposals and heads.

    R-CNN runs in the batch that is fastest here; that is tried out first. Its crops go through the
    network thousands of times an image, so give it a few minutes.

    Example: [bold]python tools/benchmark.py photos --threads 1,2 --json speed.json --picture
    speed.png[/bold]
    """
    where = choose_device(device)
    counts = parse_numbers(threads, "--threads") if threads else (torch.get_num_threads(),)
    sides = [parse_numbers(one, "--scales") for one in scales]
    files = _files(images, number)
    pictures = [read_image(file) for file in files]
    given = read_proposals(proposals, files) if proposals is not None else None
    if save_proposals is not None:
        write_proposals(
            save_proposals,
            {f.name: propose(i, max_boxes=boxes) for f, i in zip(files, pictures, strict=True)},
        )
    loaded = load_trunk(trunk, weights, where, layer.made_by)
    shared = layer.settings(trunk)
    labelled = _train_and_test(map) if map is not None else None
    rows: list[Row] = []
    batches: dict[int, dict[str, dict[int, float]]] = {}
    with progress_bar() as bar:
        task = bar.add_task("measuring", total=len(counts) * len(files) * (1 + len(sides)))
        for count in counts:
            with using_threads(count):
                batches[count] = time_batches(loaded, default_crop(trunk).size)
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
    out = Console(width=max(Console().width, 170))  # a table that is cut says nothing
    out.print(_speed_table(rows))
    _print_batches(out, batches)
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
        out.print(_accuracy_table(found, rows))
        if json_file is not None:
            write_text(json_file, json.dumps(content, indent=1) + "\n")


def _files(given: list[Path], number: int) -> list[Path]:
    """At most ``number`` of the images, spread over them."""
    files = [file for path in given for file in (find_images(path) if path.is_dir() else [path])]
    if not files:
        raise SppdetError(f"{given[0]}: holds no images")
    files = list(dict.fromkeys(files))
    chosen = range(0, len(files), max(-(-len(files) // number), 1))
    return [files[index] for index in chosen]


def _train_and_test(data: Path) -> tuple[Dataset, Dataset]:
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
    training: Dataset, test: Dataset, compared: list[Contender], boxes: int, seed: int
) -> list[Accuracy]:
    where = compared[0].extractor.trunk.device
    workers = torch.get_num_threads() if where.type == "cpu" else 2
    with using_threads(1) if where.type == "cpu" else nullcontext(), progress_bar() as bar:
        return measure_accuracy(
            training, test, compared, boxes, workers, seed, lambda title: _told(bar, title)
        )


def _told(bar: Progress, title: str) -> Bars:
    bar.console.print(title)
    return Bars(bar)


def _speed_table(rows: list[Row]) -> Table:
    stages = dict.fromkeys(name for row in rows for name in row.seconds)
    last = ("features", "total")
    names = [name for name in stages if name not in last] + list(last)
    table = Table(box=None, header_style="bold", title="seconds per image (medians)")
    heads = ["method", "scales", "threads", "boxes", *names, "features", "total", "paper"]
    for head in heads:
        justify = "left" if head in ("method", "scales") else "right"
        table.add_column(head, justify=justify, no_wrap=True)
    for row in rows:
        ratio = [f"{row.ratio[name]:.1f} x" if row.ratio else "-" for name in last]
        table.add_row(
            {"rcnn": "R-CNN", "spp": "SPP-net"}[row.method],
            _scales(row.scales),
            str(row.threads),
            str(row.boxes_found),
            *(f"{row.seconds[name]:.3f}" if name in row.seconds else "-" for name in names),
            *ratio,
            CLAIMS.get(len(row.scales), "-") if row.method == "spp" else "1 x",
        )
    return table


def _scales(scales: tuple[int, ...]) -> str:
    return (
        f"{len(scales)}: {scales[0]} to {scales[-1]}"
        if len(scales) > 2
        else ",".join(map(str, scales))
    )


def _print_batches(out: Console, batches: dict[int, dict[str, dict[int, float]]]) -> None:
    for count, layouts in batches.items():
        for layout, found in layouts.items():
            text = ", ".join(f"{batch}: {value:.1f}" for batch, value in found.items())
            out.print(
                f"R-CNN, {count} threads, {layout}: ms per crop by batch {text}", highlight=False
            )
        best = {name: min(found.values()) for name, found in layouts.items()}
        if best["contiguous"] < best["channels_last"]:
            console.print("note: the contiguous layout is faster here than the one that is used")


def _accuracy_table(found: list[Accuracy], rows: list[Row]) -> Table:
    table = Table(box=None, header_style="bold", title="what it gains and loses")
    for head in (
        "method",
        "scales",
        "boxes",
        "mAP 11-point",
        "95 %",
        "mAP area",
        "against R-CNN",
        "training, s",
        "features, s per image",
        "total",
    ):
        table.add_column(head, justify="left" if head in ("method", "scales") else "right")
    for entry in found:
        row = next(r for r in rows if (r.method, r.scales) == (entry.method, entry.scales))
        interval, change = entry.interval_11, entry.against_rcnn
        table.add_row(
            {"rcnn": "R-CNN", "spp": "SPP-net"}[entry.method],
            _scales(entry.scales),
            str(entry.boxes),
            f"{entry.map_11:.3f}",
            f"{interval.low:.3f} to {interval.high:.3f}",
            f"{entry.map_area:.3f}",
            f"{change.difference:+.3f} ({change.low:+.3f} to {change.high:+.3f})" if change else "",
            f"{entry.training_seconds:.0f}",
            f"{row.seconds['features']:.2f}",
            f"{row.seconds['total']:.2f}",
        )
    return table
