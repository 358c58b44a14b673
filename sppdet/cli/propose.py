"""``sppdet propose``: the boxes of selective search per image, and how many objects they find."""

import json as json_format
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sppdet.cli.choices import PROPOSAL_FILES, PROPOSALS
from sppdet.cli.options import MaxPixels, NoCache, Quiet, Workers, one_of, parse_names
from sppdet.errors import SppdetError
from sppdet.runtime.words import counted

if TYPE_CHECKING:
    from sppdet.boxes import Boxes
    from sppdet.proposals import Settings

EDGE_BOXES = "edge-boxes"
"""The method that needs a model file."""


def propose(
    images: Annotated[
        list[str] | None,
        typer.Argument(help="Images, folders, patterns such as 'a/*.jpg', or @list.txt."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file to write, without its suffix.")
    ] = Path("proposals"),
    save: Annotated[
        str, typer.Option(help=f"Formats, with commas: {', '.join(PROPOSAL_FILES)}.")
    ] = "npz",
    method: Annotated[
        str, one_of("--method", (*PROPOSALS, EDGE_BOXES), "Method of the proposals. Choices")
    ] = "fast",
    edge_model: Annotated[
        Path | None,
        typer.Option(help="Model of OpenCV's structured edge detector, for edge-boxes."),
    ] = None,
    boxes: Annotated[int, typer.Option(min=1, help="Most proposals per image.")] = 2000,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Look in the folders of folders too.")
    ] = False,
    recall: Annotated[
        Path | None,
        typer.Option(help="Print how many objects of this data set the proposals find."),
    ] = None,
    also: Annotated[
        str | None,
        typer.Option(help="Further methods for --recall, with commas, to compare with --method."),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(
            help="Draw the recall against IoU and against the number of boxes to this PNG file, "
            "for --method and --also."
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Part of the data of --recall.")] = None,
    iou: Annotated[
        float, typer.Option(min=0.01, max=1, help="Overlap from which an object is found.")
    ] = 0.5,
    json: Annotated[
        Path | None, typer.Option("--json", help="Write the figures of --recall to this file.")
    ] = None,
    quiet: Quiet = False,
    max_pixels: MaxPixels = None,
    no_cache: NoCache = False,
    workers: Workers = None,
) -> None:
    """Search images for boxes that may contain objects, best first.

    The files have x1, y1, x2, y2 from 0; mat files y1 x1 y2 x2 from 1, as the papers' code reads
    them. Train, detect and benchmark take them as --proposals FILE.

    The exit code is 0; 1 if some images failed; 2 if all failed or the command is wrong.

    \b
    Example:
      sppdet propose photos --save npz,mat --output boxes
    """
    if not images and recall is None:
        raise SppdetError("propose: name images to search, or a data set with --recall DATA")
    kinds = parse_names(save, "--save", PROPOSAL_FILES)
    if recall is None and (also is not None or figure is not None):
        raise SppdetError("--also and --figure belong to --recall DATA")
    others = parse_names(also, "--also", (*PROPOSALS, EDGE_BOXES)) if also else []

    from sppdet.cli.common import limit_pixels
    from sppdet.cli.progress import console, finish_batch, progress_bar
    from sppdet.datasets.image_names import relative_names
    from sppdet.images import read_image
    from sppdet.inputs import find_sources
    from sppdet.proposals import settings_of
    from sppdet.proposals.cache import ProposalCache
    from sppdet.proposals.edge_boxes import edge_boxes_settings
    from sppdet.proposals.files import write_proposals
    from sppdet.runtime.outputs import check_outputs
    from sppdet.runtime.threads import ordered_map
    from sppdet.runtime.torch_threads import torch_threads

    limit_pixels(max_pixels)
    if (EDGE_BOXES in (method, *others)) != (edge_model is not None):
        raise SppdetError(
            "edge-boxes, in --method or --also, needs --edge-model FILE, a model of OpenCV's "
            "structured edge detector, and no other method does"
        )
    edges = [] if edge_model is None else [edge_boxes_settings(edge_model)]
    methods: dict[str, str | Settings] = {
        name: edges[0] if name == EDGE_BOXES else settings_of(name) for name in (method, *others)
    }
    settings = methods[method]
    count = workers or torch_threads()
    failures: list[str] = []
    total = 0
    if images:
        sources, failures = find_sources(images, recursive)
        files = [source.path for source in sources if source.kind == "file" and source.path]
        others = [source.name for source in sources if source.kind != "file"]
        failures += [f"{name}: is not an image file; save its images first" for name in others]
        if not files:
            raise SppdetError(failures[0])
        total = len(files) + len(failures)
        targets = [_target(output, kind) for kind in kinds]
        check_outputs([*targets, json], files)
        cache = ProposalCache()

        def search(file: Path) -> "Boxes | SppdetError":
            try:
                return cache.get(read_image(file), settings, boxes)
            except SppdetError as error:
                return error

        found: dict[str, Boxes] = {}
        with progress_bar() as bar:
            task = bar.add_task("proposals", total=len(files))
            results = ordered_map(search, files, count)
            for name, result in zip(relative_names(files), results, strict=True):
                if isinstance(result, SppdetError):
                    failures.append(str(result))
                else:
                    found[name] = result
                bar.advance(task)
        if found:
            for target in targets:
                write_proposals(target, found)
        number = sum(len(one) for one in found.values())
        console.print(
            f"{counted(len(found), 'image')}, {counted(number, 'box', 'boxes')}, "
            f"see {', '.join(map(str, targets))}",
            markup=False,
            soft_wrap=True,
        )
        if not found:
            finish_batch(failures, total, 2)
    if recall is not None:
        failed, number = _recall(recall, split, methods, boxes, iou, count, json, figure)
        failures += failed
        total += number
    finish_batch(failures, total)


def _target(output: Path, kind: str) -> Path:
    """``boxes`` and ``boxes.npz`` both as ``boxes.npz``."""
    known = output.suffix.lower().lstrip(".") in PROPOSAL_FILES
    return (output.with_suffix("") if known else output).with_name(
        f"{output.stem if known else output.name}.{kind}"
    )


def _recall(
    data: Path,
    split: str | None,
    methods: "dict[str, str | Settings]",
    boxes: int,
    iou: float,
    workers: int,
    json: Path | None,
    figure: Path | None,
) -> tuple[list[str], int]:
    """Print the table of each method; returns the failures and the number of images."""
    from sppdet.cli.evaluate_tables import print_recall
    from sppdet.cli.progress import progress_bar, tell_dataset
    from sppdet.datasets import read_dataset
    from sppdet.evaluation.proposals import evaluate_proposals
    from sppdet.evaluation.recall_figure import draw_recall
    from sppdet.runtime.files import write_text
    from sppdet.runtime.outputs import check_outputs

    check_outputs([json, figure])
    dataset = read_dataset(data, split)
    tell_dataset(dataset)
    contents: dict[str, dict[str, Any]] = {}
    with progress_bar() as bar:
        for method, settings in methods.items():
            task = bar.add_task(f"recall of {method}", total=len(dataset.images))
            contents[method], failures = evaluate_proposals(
                dataset, settings, iou, boxes, workers, partial(bar.advance, task)
            )
            contents[method]["method"] = method
    content = next(iter(contents.values()))
    if len(contents) > 1:
        content = {**content, "also": {name: contents[name] for name in list(contents)[1:]}}
    if figure is not None:
        draw_recall(figure, contents)
    if json is not None:
        write_text(json, json_format.dumps(content, indent=1) + "\n")
    for method, one in contents.items():
        print_recall(method, one)
    return failures, len(dataset.images)
