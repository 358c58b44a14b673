"""``sppdet evaluate``: a model, or anyone's results, against a data set."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sppdet.cli.choices import BOX_STYLES, EXPORTS, PROPOSAL_FILES, PROPOSALS
from sppdet.cli.options import (
    Background,
    BoxBase,
    BoxOrder,
    Device,
    Format,
    JsonFile,
    LeastIou,
    MaxPixels,
    ModelLevels,
    ModelMapping,
    ModelPooling,
    NoCache,
    Precision,
    Quiet,
    SplitOfTest,
    Workers,
    one_of,
)
from sppdet.errors import SppdetError

if TYPE_CHECKING:
    from sppdet.datasets import Dataset


def evaluate(
    data: Annotated[
        Path, typer.Argument(help="The labelled images: VOC, COCO JSON, YOLO, XML beside.")
    ],
    json_file: JsonFile = None,
    model: Annotated[
        Path | None, typer.Option(help="Evaluate a detector: a file that tools/train.py wrote.")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            help="Evaluate anyone's detections: COCO results JSON, a folder of comp4_det_*.txt, "
            "a folder with a text file per image (also YOLO), or the JSON of detect."
        ),
    ] = None,
    proposals: Annotated[
        str | None,
        one_of(
            "--proposals",
            PROPOSALS,
            "Evaluate the proposals of a method; with --model, a file of proposals that it takes. "
            "Choices",
            files=PROPOSAL_FILES,
        ),
    ] = None,
    box_order: BoxOrder = None,
    box_base: BoxBase = None,
    split: SplitOfTest = None,
    iou: LeastIou = 0.5,
    coco: Annotated[bool, typer.Option("--coco", help="Add the figures of pycocotools.")] = False,
    report: Annotated[Path | None, typer.Option(help="Folder for an HTML report.")] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            help="A second detector, its file or its results: is it better than the first, and for "
            "which classes?"
        ),
    ] = None,
    intervals: Annotated[
        int, typer.Option(min=0, help="Bootstrap samples for 95 % intervals. 0 leaves them out.")
    ] = 1000,
    export_to: Annotated[
        Path | None,
        typer.Option("--export", help="Write the detections: a .json file, or a folder."),
    ] = None,
    export_format: Annotated[
        str | None,
        one_of(
            "--export-format",
            EXPORTS,
            "Format of --export. Default: coco for a .json file, voc for a folder. Choices",
        ),
    ] = None,
    boxes: Annotated[
        str, one_of("--boxes", BOX_STYLES, "What the four numbers of a box in text files are")
    ] = "xyxy",
    levels: ModelLevels = None,
    pooling: ModelPooling = None,
    window_mapping: ModelMapping = None,
    format: Format = None,
    quiet: Quiet = False,
    max_pixels: MaxPixels = None,
    no_cache: NoCache = False,
    background: Background = False,
    device: Device = None,
    precision: Precision = "float32",
    workers: Workers = None,
) -> None:
    """Compute average precision, or the recall of proposals.

    Average precision is computed per class and as a mean, in PASCAL VOC's 11-point form and as
    area under the curve; --coco adds COCO's figures.

    \b
    Example:
      python tools/evaluate.py photos --model fruit.safetensors --json ap.json
    """
    file = Path(proposals) if proposals is not None and proposals not in PROPOSALS else None
    proposals = None if file is not None else proposals
    if file is not None and model is None:
        raise SppdetError(f"--proposals {file}: a file belongs to --model")
    if [model, results, proposals].count(None) != 2:
        raise SppdetError("give one of --model, --results and --proposals")
    from sppdet.cli.common import limit_pixels
    from sppdet.cli.evaluate_models import (
        Choices,
        about,
        check_models,
        is_model,
        run_model,
        test_data,
    )
    from sppdet.cli.evaluate_tables import print_figures
    from sppdet.cli.progress import console, finish_batch
    from sppdet.evaluation.export import export, export_files
    from sppdet.evaluation.intervals import bootstrap, compare_classes
    from sppdet.evaluation.report import FILES, write_report
    from sppdet.evaluation.results import read_results
    from sppdet.evaluation.voc import evaluate_voc
    from sppdet.proposals.files import read_proposals
    from sppdet.runtime.files import write_text
    from sppdet.runtime.outputs import check_outputs, keep_apart

    limit_pixels(max_pixels)
    choices = Choices(device, precision, workers, levels, pooling, window_mapping)
    if any((levels, pooling, window_mapping)) and model is None:
        raise SppdetError("--levels, --pooling and --window-mapping belong to --model")
    if compare is not None and is_model(compare) and not compare.is_file():
        raise SppdetError(f"{compare}: no such model; tools/train.py makes one")
    if compare is not None and is_model(compare):
        check_models([model, compare] if model is not None else [compare])
    dataset, chosen = test_data(data, split, format, background)
    kind = export_format or ("coco" if _is_json(export_to) else "voc")
    check_outputs(
        [
            json_file,
            *(report / name for name in FILES if report is not None),
            *(export_files(export_to, kind, dataset) if export_to is not None else ()),
        ],
        [model, file, *_result_files(results), *_result_files(compare), dataset.annotation_file],
    )
    held = [*dataset.images, *([data] if data.is_dir() else [])]
    keep_apart(report, held, "--report")
    keep_apart(export_to if kind != "coco" else None, held, "--export")
    if file is not None:
        given = read_proposals(file, dataset.images, box_order, box_base, allow_empty=True)
        choices = choices._replace(boxes=given)
    failures: list[str] = []
    thresholds = seen = None
    count = len(dataset.images)
    if proposals is not None:
        failures = _proposals(dataset, proposals, iou, json_file, workers)
        finish_batch(failures, count, 1 if len(failures) < count else 2)
        return
    records = None
    if model is not None:
        found, failures, thresholds, seen = run_model(model, dataset, choices)
    else:
        assert results is not None
        read = read_results(results, dataset, boxes)
        for note in read.notes:
            console.print(f"note: {note}", markup=False, soft_wrap=True)
        found, records = read.detections, read.records
    figures = evaluate_voc(found, dataset.all_annotations(), dataset.classes, iou)
    content: dict[str, Any] = figures.to_json()
    content["about"] = about(dataset, chosen, iou, intervals, seen)
    content["about"]["proposals_file"] = file.name if file is not None else None
    if coco:
        from sppdet.evaluation.coco import evaluate_coco

        content["coco"] = evaluate_coco(dataset, found, records)
    ranges = None
    if intervals:
        ranges = bootstrap(figures, count, intervals)
        content["intervals_95"] = {name: asdict(interval) for name, interval in ranges.items()}
    if compare is not None:
        other: dict[str, Any] = {}
        if is_model(compare):
            second, lost, _, other = run_model(compare, dataset, choices)
            failures += [line for line in lost if line not in failures]
        else:
            read = read_results(compare, dataset, boxes)
            second = read.detections
            for note in read.notes:
                console.print(f"note: {compare.name}: {note}", markup=False, soft_wrap=True)
        others = evaluate_voc(second, dataset.all_annotations(), dataset.classes, iou)
        means, changes = compare_classes(figures, others, count, intervals or 1000)
        content["comparison"] = {
            **{name: change.to_json() for name, change in means.items()},
            "classes": {name: change.to_json() for name, change in changes.items()},
            "b": {**others.to_json(), "model": other or None},
        }
    if report is not None:
        subject = f"Detections of {(model or results).name}"  # type: ignore[union-attr]
        page = write_report(report, dataset, figures, content, ranges, subject, thresholds)
        console.print(f"report: {page}", markup=False, soft_wrap=True)
    if export_to is not None:
        export(export_to, kind, dataset, found)
    if json_file is not None:
        write_text(json_file, json.dumps(content, indent=1) + "\n")
    print_figures(figures, content)
    finish_batch(failures, count, 1 if len(failures) < count else 2)


def _proposals(
    dataset: "Dataset", method: str, iou: float, json_file: Path | None, workers: int | None
) -> list[str]:
    import torch

    from sppdet.cli.evaluate_tables import print_recall
    from sppdet.cli.progress import progress_bar
    from sppdet.evaluation.proposals import evaluate_proposals
    from sppdet.proposals.cache import ProposalCache
    from sppdet.runtime.files import write_text

    cache = ProposalCache()
    with progress_bar() as bar:
        task = bar.add_task("proposals", total=len(dataset.images))
        content, failures = evaluate_proposals(
            dataset,
            method,
            iou,
            workers=workers or torch.get_num_threads(),
            progress=lambda: bar.advance(task),
            cache=cache,
        )
    for line in cache.disk.summary("proposals"):
        bar.console.print(line, markup=False, soft_wrap=True)
    if json_file is not None:
        write_text(json_file, json.dumps(content, indent=1) + "\n")
    print_recall(method, content)
    return failures


def _is_json(path: Path | None) -> bool:
    return path is not None and path.suffix.lower() == ".json"


def _result_files(path: Path | None) -> list[Path]:
    """The files of results: the file named, or those in the folder named."""
    if path is None:
        return []
    return [entry for entry in path.rglob("*") if entry.is_file()] if path.is_dir() else [path]
