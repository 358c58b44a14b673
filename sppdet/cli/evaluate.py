"""``sppdet evaluate``: average precision of a detector on labelled images."""

import json
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.table import Table

from sppdet.cli.common import choose_device, console, finish_batch, progress_bar
from sppdet.datasets import Dataset, open_dataset, splits
from sppdet.detections import Detections
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.evaluation.voc import VocResult, evaluate_voc
from sppdet.files import write_text
from sppdet.images import read_image
from sppdet.preparation import ordered_map
from sppdet.proposals.cache import ProposalCache


def evaluate(
    data: Annotated[Path, typer.Argument(help="Labelled images, as for sppdet train.")],
    model: Annotated[Path, typer.Option(help="A file of tools/train.py.")],
    split: Annotated[
        str | None, typer.Option(help="Part of the data; default: test or val, if present.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the figures.")] = None,
    iou: Annotated[float, typer.Option(min=0.01, max=1, help="Overlap of a right detection.")] = 0.5,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default: GPU if any.")] = None,
    workers: Annotated[int | None, typer.Option(help="Images at a time; default: one per core.")] = None,
) -> None:
    """Average precision per class, by VOC's 11-point and area rules.

    Example: [bold]python tools/evaluate.py photos --model fruit.safetensors --json fruit.json[/bold]
    """
    dataset = open_dataset(data, split or default_split(data))
    detector = Detector.load(model, choose_device(device))
    check_classes(detector.classes, dataset.classes, model, data)
    for problem in dataset.problems:
        console.print(f"note: {problem}", markup=False)
    detections, failures = detect_all(detector, dataset, workers)
    readable = [index for index, found in enumerate(detections) if found is not None]
    names = tuple(dataset.classes)
    truths = [dataset.annotations(index) for index in readable]
    found = [relabel(detections[index], names) for index in readable]  # type: ignore[arg-type]
    result = evaluate_voc(found, truths, names, iou)
    console.print(table(result, iou))
    if json_file is not None:
        write_text(json_file, json.dumps(result.to_json(), indent=1))
    finish_batch(failures, len(dataset.images))


def detect_all(
    detector: Detector, dataset: Dataset, workers: int | None = None
) -> tuple[list[Detections | None], list[str]]:
    """Detect on every image, unfiltered; None and a line of failure for an unreadable one."""
    cache = ProposalCache()
    settings = detector.settings
    count = workers or torch.get_num_threads()
    torch.set_num_threads(max(torch.get_num_threads() // count, 1))

    def one(path: Path) -> Detections | SppdetError:
        try:
            image = read_image(path)
        except SppdetError as error:
            return error
        boxes = cache.get(image, settings.proposals, settings.max_boxes)
        return detector.detect(image, boxes=boxes)

    results: list[Detections | None] = []
    failures = []
    with progress_bar() as bar:
        task = bar.add_task("detecting", total=len(dataset.images))
        for found in ordered_map(one, dataset.images, count):
            if isinstance(found, SppdetError):
                failures.append(str(found))
                results.append(None)
            else:
                results.append(found)
            bar.advance(task)
    return results, failures


def relabel(found: Detections, classes: tuple[str, ...]) -> Detections:
    """The detections with labels into ``classes``; those of other classes are left out."""
    keep = [index for index, label in enumerate(found.labels) if found.classes[label] in classes]
    labels = [classes.index(found.classes[found.labels[index]]) for index in keep]
    return Detections(found.boxes[keep], labels, found.scores[keep], classes)  # type: ignore[arg-type]


def check_classes(
    known: tuple[str, ...], wanted: tuple[str, ...], model: Path, data: Path
) -> None:
    """Say which classes cannot be found; refuse when none can.

    Raises:
        SppdetError: the model and the data have no class in common.
    """
    missing = [name for name in wanted if name not in known]
    if len(missing) == len(wanted):
        raise SppdetError(
            f"{model}: finds {', '.join(known)}; {data} has none of these, but {', '.join(wanted)}"
        )
    if missing:
        console.print(f"note: {model} does not know {', '.join(missing)}", markup=False)


def default_split(data: Path) -> str | None:
    """``test``, or else ``val``, where there is one."""
    available = splits(data)
    return next((name for name in ("test", "val", "val2017") if name in available), None)


def table(result: VocResult, iou: float) -> Table:
    """The figures for a person to read."""
    shown = Table(title=f"average precision at IoU {iou:g}")
    for heading in ("class", "11-point", "area", "objects", "recall"):
        shown.add_column(heading, justify="left" if heading == "class" else "right")
    figures = result.to_json()
    for name, values in figures["classes"].items():
        shown.add_row(
            name,
            _three(values["ap_11"]),
            _three(values["ap_area"]),
            str(values["truths"]),
            _three(values["recall"]),
        )
    shown.add_section()
    shown.add_row("mean", _three(figures["map_11"]), _three(figures["map_area"]), "", "")
    return shown


def _three(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


