"""``sppdet ensemble``: detectors alone and together, against a data set."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sppdet.cli.options import (
    Background,
    Device,
    Format,
    JsonFile,
    LeastIou,
    NoCache,
    Quiet,
    SplitOfTest,
    Workers,
)
from sppdet.errors import SppdetError

if TYPE_CHECKING:
    from sppdet.evaluation.voc import VocResult


def ensemble(
    models: Annotated[
        list[Path], typer.Argument(help="Two or more detectors, of other trunks or other seeds.")
    ],
    data: Annotated[Path, typer.Option(help="The labelled images.")],
    json_file: JsonFile = None,
    split: SplitOfTest = None,
    iou: LeastIou = 0.5,
    intervals: Annotated[
        int, typer.Option(min=1, help="Bootstrap samples for 95 % intervals.")
    ] = 1000,
    export: Annotated[
        Path | None,
        typer.Option(help="Write the detections of all together: a .json file of COCO results."),
    ] = None,
    format: Format = None,
    quiet: Quiet = False,
    no_cache: NoCache = False,
    background: Background = False,
    device: Device = None,
    workers: Workers = None,
) -> None:
    """Measure detectors alone and together, in one table.

    Together, the union of their detections is suppressed per class (section 4.4 of the SPP-net
    paper). The last line compares it with the best detector alone, on the same images.

    \b
    Example:
      sppdet ensemble lite0.safetensors small.safetensors --data photos
    """
    from sppdet.cli.evaluate_models import Choices, check_models, run_model, test_data
    from sppdet.cli.progress import finish_batch
    from sppdet.evaluation.ensemble import combine
    from sppdet.evaluation.export import export as write
    from sppdet.evaluation.intervals import bootstrap, compare
    from sppdet.evaluation.voc import evaluate_voc
    from sppdet.runtime.files import write_text
    from sppdet.runtime.outputs import check_outputs

    if len(models) < 2:
        raise SppdetError(f"{models[0]}: an ensemble needs a second detector")
    if export is not None and export.suffix.lower() != ".json":
        raise SppdetError(f"--export {export}: needs the name of a .json file")
    check_models(models)
    dataset, _ = test_data(data, split, format, background)
    truths = dataset.all_annotations()
    check_outputs([json_file, export], [*models, dataset.annotation_file])
    runs = [run_model(model, dataset, Choices(device, workers=workers)) for model in models]
    failures = {line for run in runs for line in run.failures}
    singles = [run.found for run in runs]
    together = [combine(entries) for entries in zip(*singles, strict=True)]
    titles = [str(model) for model in models] + ["together"]
    results = [evaluate_voc(found, truths, dataset.classes, iou) for found in (*singles, together)]
    count = len(dataset.images)
    best = max(range(len(models)), key=lambda k: results[k].map_area or 0.0)
    change = compare(results[best], results[-1], count, intervals)
    content: dict[str, Any] = {
        "iou": iou,
        "images": count,
        "detectors": [
            {
                "title": title,
                "model": runs[k].about if k < len(runs) else None,
                **result.to_json(),
                "intervals_95": {
                    name: asdict(one) for name, one in bootstrap(result, count, intervals).items()
                },
            }
            for k, (title, result) in enumerate(zip(titles, results, strict=True))
        ],
        "best_alone": titles[best],
        "together_against_best": {name: one.to_json() for name, one in change.items()},
    }
    if export is not None:
        write(export, "coco", dataset, together)
    if json_file is not None:
        write_text(json_file, json.dumps(content, indent=1) + "\n")
    _print(titles, results, content)
    finish_batch(sorted(failures), count, 1 if len(failures) < count else 2)


def _print(titles: list[str], results: "list[VocResult]", content: dict[str, Any]) -> None:
    from rich.table import Table

    from sppdet.cli.evaluate_tables import percent
    from sppdet.cli.progress import PlainConsole
    from sppdet.runtime.names import visible

    table = Table(box=None, header_style="bold")
    for title in ("AP area of", *titles):
        table.add_column(visible(title), justify="left" if title == "AP area of" else "right")
    for rows in zip(*(result.classes for result in results), strict=True):
        if rows[0].truths:
            table.add_row(visible(rows[0].name), *(percent(row.ap_area) for row in rows))
    table.add_row("mean", *(percent(one.map_area) for one in results), style="bold")
    table.add_row("mean, 11-point", *(percent(one.map_11) for one in results))
    out = PlainConsole()
    out.print(table)
    change = content["together_against_best"]["map_area"]
    sentence = {
        "B is better than A": "together they are better",
        "A is better than B": "alone it is better",
    }.get(change["verdict"], change["verdict"])
    out.print(
        f"together against {content['best_alone']} alone: {100 * change['difference']:+.1f} points "
        f"of mean area AP (95 %: {100 * change['low']:+.1f} to {100 * change['high']:+.1f}); "
        f"{sentence}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
