"""``sppdet evaluate``: a model, or anyone's results, against a data set."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from sppdet.cli.common import choose_device, console, finish_batch, images_at_a_time, progress_bar
from sppdet.datasets import FORMATS, Dataset, read_dataset, splits
from sppdet.detections import Detections
from sppdet.errors import SppdetError
from sppdet.evaluation.export import export
from sppdet.evaluation.intervals import bootstrap
from sppdet.evaluation.intervals import compare as compare_results
from sppdet.evaluation.results import BOX_STYLES, read_results
from sppdet.evaluation.voc import VocResult, evaluate_voc
from sppdet.runtime.files import write_text

TEST_SPLITS = ("test", "test2007", "val", "valid", "validation", "val2017", "val2014")


def evaluate(
    data: Annotated[
        Path, typer.Argument(help="The labelled images: VOC, COCO JSON, YOLO, XML beside.")
    ],
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="A file of tools/train.py.")] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="Anyone's detections: COCO JSON, a folder of comp4_det_*.txt or texts."),
    ] = None,
    proposals: Annotated[
        str | None, typer.Option(help="Evaluate proposals of this method: fast, quality, ...")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Part of the data; default: test or val, if there is one.")
    ] = None,
    iou: Annotated[float, typer.Option(min=0.01, max=1, help="Least overlap of a hit.")] = 0.5,
    coco: Annotated[bool, typer.Option("--coco", help="Add the figures of pycocotools.")] = False,
    report: Annotated[Path | None, typer.Option(help="Folder for an HTML report.")] = None,
    compare: Annotated[
        Path | None, typer.Option(help="Results of a second detector: is it better than the first?")
    ] = None,
    intervals: Annotated[
        int, typer.Option(min=0, help="Bootstrap samples for 95 % intervals; 0: none.")
    ] = 1000,
    export_to: Annotated[
        Path | None,
        typer.Option("--export", help="Write the detections: a .json file, or a folder."),
    ] = None,
    export_format: Annotated[
        str | None, typer.Option(help="coco, voc or text; default: coco for .json, else voc.")
    ] = None,
    boxes: Annotated[
        str, typer.Option(help=f"Boxes in text files: {', '.join(BOX_STYLES)}.")
    ] = "xyxy",
    format: Annotated[
        str | None, typer.Option(help=f"Format of the data: {', '.join(FORMATS)}.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default: GPU if any.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Images at a time; default: one per core.")
    ] = None,
) -> None:
    """VOC average precision per class and mean, 11-point and area; COCO's figures with --coco.

    Example: [bold]python tools/evaluate.py photos --model fruit.safetensors --json ap.json[/bold]
    """
    if [model, results, proposals].count(None) != 2:
        raise SppdetError("give one of --model, --results and --proposals")
    dataset = read_dataset(data, split or _test_split(data, format), format=format)
    for problem in dataset.problems:
        console.print(f"note: {problem}", markup=False, soft_wrap=True)
    if not any(len(entry) for entry in dataset.all_annotations()):
        raise SppdetError(f"{data}: has no annotated object to evaluate against")
    failures: list[str] = []
    if proposals is not None:
        failures = _proposals(dataset, proposals, iou, json_file, workers)
        finish_batch(failures, len(dataset.images))
        return
    records = None
    if model is not None:
        found, failures = _run_model(model, dataset, device, workers)
    else:
        assert results is not None
        read = read_results(results, dataset, boxes)
        for note in read.notes:
            console.print(f"note: {note}", markup=False, soft_wrap=True)
        found, records = read.detections, read.records
    figures = evaluate_voc(found, dataset.all_annotations(), dataset.classes, iou)
    content: dict[str, Any] = figures.to_json()
    if coco:
        from sppdet.evaluation.coco import evaluate_coco

        content["coco"] = evaluate_coco(dataset, found, records)
    count = len(dataset.images)
    ranges = None
    if intervals:
        ranges = bootstrap(figures, count, intervals)
        content["intervals_95"] = {name: asdict(interval) for name, interval in ranges.items()}
    if compare is not None:
        second = read_results(compare, dataset, boxes).detections
        other = evaluate_voc(second, dataset.all_annotations(), dataset.classes, iou)
        changes = compare_results(figures, other, count, intervals or 1000)
        content["comparison"] = {name: change.to_json() for name, change in changes.items()}
    if report is not None:
        from sppdet.evaluation.report import write_report

        subject = f"Detections of {(model or results).name}"  # type: ignore[union-attr]
        page = write_report(report, dataset, figures, content, ranges, subject)
        console.print(f"report: {page}", markup=False, soft_wrap=True)
    if export_to is not None:
        kind = export_format or ("coco" if export_to.suffix.lower() == ".json" else "voc")
        export(export_to, kind, dataset, found)
    if json_file is not None:
        write_text(json_file, json.dumps(content, indent=1) + "\n")
    _print(figures, content)
    finish_batch(failures, len(dataset.images))


def _run_model(
    path: Path, dataset: Dataset, device: str | None, workers: int | None
) -> tuple[list[Detections], list[str]]:
    from sppdet.detector import Detector
    from sppdet.evaluation.detecting import detect_all

    where = choose_device(device)
    detector = Detector.load(path, where)
    _check_classes(path, detector.classes, dataset)
    count = images_at_a_time(where, workers)
    with progress_bar() as bar:
        task = bar.add_task("detecting", total=len(dataset.images))
        return detect_all(detector, dataset.images, count, lambda: bar.advance(task))


def _proposals(
    dataset: Dataset, method: str, iou: float, json_file: Path | None, workers: int | None
) -> list[str]:
    from sppdet.evaluation.proposals import evaluate_proposals

    with progress_bar() as bar:
        task = bar.add_task("proposals", total=len(dataset.images))
        content, failures = evaluate_proposals(
            dataset,
            method,
            iou,
            workers=workers or torch.get_num_threads(),
            progress=lambda: bar.advance(task),
        )
    if json_file is not None:
        write_text(json_file, json.dumps(content, indent=1) + "\n")
    table = Table(box=None, header_style="bold")
    table.add_column(f"proposals ({method})")
    for number in content["numbers"]:
        table.add_column(str(number), justify="right")
    for threshold, values in content["recall"].items():
        table.add_row(f"recall at IoU {threshold}", *map(percent, values))
    table.add_row("mean best overlap", *(f"{v:.3f}" for v in content["mean_best_overlap"]))
    for name, values in content["average_best_overlap"].items():
        table.add_row(f"average best overlap, {name}", *(f"{v:.3f}" for v in values))
    Console().print(table)
    return failures


def _check_classes(model: Path, known: tuple[str, ...], dataset: Dataset) -> None:
    """Say which classes only the model or only the data has.

    Raises:
        SppdetError: they share none.
    """
    if not set(known) & set(dataset.classes):
        raise SppdetError(
            f"{model}: finds {_some(known)}, but the data have {_some(dataset.classes)}; "
            "no class is the same"
        )
    only_data = [name for name in dataset.classes if name not in known]
    only_model = [name for name in known if name not in dataset.classes]
    if only_data:
        console.print(
            f"note: the model does not know {_some(only_data)}: AP 0", markup=False, soft_wrap=True
        )
    if only_model:
        console.print(
            f"note: the data have no {_some(only_model)}: left out", markup=False, soft_wrap=True
        )


def _some(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _test_split(data: Path, format: str | None) -> str | None:
    available = splits(data, format)
    for name in TEST_SPLITS:
        if name in available:
            return name
    return None


def _print(figures: VocResult, content: dict[str, Any]) -> None:
    table = Table(box=None, header_style="bold")
    for title in ("class", "truths", "detections", "recall", "AP 11-point", "AP area"):
        table.add_column(title, justify="left" if title == "class" else "right")
    for entry in figures.classes:
        if entry.truths or len(entry.scores):
            table.add_row(
                entry.name,
                str(entry.truths),
                str(len(entry.scores)),
                *(percent(value) for value in (entry.recall, entry.ap_11, entry.ap_area)),
            )
    table.add_row(
        "mean", "", "", "", percent(figures.map_11), percent(figures.map_area), style="bold"
    )
    out = Console()
    out.print(table)
    if "intervals_95" in content:
        shown = [
            f"{label} {100 * content['intervals_95'][name]['low']:.1f} to "
            f"{100 * content['intervals_95'][name]['high']:.1f} %"
            for label, name in (("11-point", "map_11"), ("area", "map_area"))
        ]
        out.print(
            f"95 % intervals of the mean: {', '.join(shown)}", highlight=False, soft_wrap=True
        )
    if "comparison" in content:
        change = content["comparison"]["map_area"]
        out.print(
            f"B - A: {100 * change['difference']:+.1f} points of mean area AP (95 %: "
            f"{100 * change['low']:+.1f} to {100 * change['high']:+.1f}); {change['verdict']}",
            highlight=False,
            soft_wrap=True,
        )
    if "coco" in content:
        shown = [f"{k} {percent(v)}" for k, v in content["coco"].items() if k != "classes"]
        out.print("COCO: " + ", ".join(shown), markup=False, highlight=False, soft_wrap=True)


def percent(value: float | None) -> str:
    """``0.4567`` as ``45.7 %``; None as a dash."""
    return "-" if value is None else f"{100 * value:.1f} %"
