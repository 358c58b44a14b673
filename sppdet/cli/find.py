"""``sppdet find``: more like this, from one example and no training."""

import csv
import io
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from sppdet.cli.options import Device, MaxPixels, NoCache, Quiet, parse_box
from sppdet.errors import SppdetError
from sppdet.runtime.words import counted


def find(
    example: Annotated[Path, typer.Argument(help="The photograph of the example.")],
    images: Annotated[
        list[str],
        typer.Argument(help="Photographs to search: folders, images, patterns, or @list.txt."),
    ],
    box: Annotated[str, typer.Option(help="The example: x1,y1,x2,y2 in pixels.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the picture, the JSON and the CSV.")
    ] = Path("found"),
    model: Annotated[
        Path | None,
        typer.Option(
            help="Use the features, the search and the negatives of this model; it has some if "
            "it was trained with --keep-examples. Default: --trunk, and random proposals of the "
            "photographs as negatives."
        ),
    ] = None,
    trunk: Annotated[
        str | None, typer.Option(help="Convolutional network without --model. Default: lite0.")
    ] = None,
    max: Annotated[int, typer.Option("--max", min=1, help="Most regions, the best.")] = 60,
    per_image: Annotated[int, typer.Option(min=1, help="Most regions of one photograph.")] = 3,
    boxes: Annotated[
        int | None, typer.Option(min=1, help="Proposals per image. Default: the model's, or 1000.")
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Look in the folders of folders too.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random negatives.")] = 0,
    quiet: Quiet = False,
    max_pixels: MaxPixels = None,
    no_cache: NoCache = False,
    device: Device = None,
) -> None:
    """Find regions of photographs that resemble one example.

    An exemplar SVM learns from the example and many negatives, and ranks the proposals of all
    photographs. The output folder gets found.png (the example and the best regions), found.json and
    found.csv. The scores rank; they are not probabilities.

    The exit code is 0; 1 if some images failed; 2 if all failed or the command is wrong.

    \b
    Example:
      sppdet find apple.jpg photos --box 40,60,310,330 --output apples
    """
    if model is not None and trunk is not None:
        raise SppdetError("--trunk: the model has its own; leave out --trunk or --model")
    corners = parse_box(box)

    from dataclasses import replace

    from sppdet.cli.common import choose_device, limit_pixels
    from sppdet.cli.progress import Bars, console, finish_batch, progress_bar
    from sppdet.detector import Detector
    from sppdet.drawing import save_picture
    from sppdet.features.spp import SppRegionFeatures
    from sppdet.images import read_image
    from sppdet.inputs import find_sources
    from sppdet.retrieval import ExemplarSettings, find_like
    from sppdet.retrieval.sheet import match_sheet
    from sppdet.runtime.files import write_text
    from sppdet.runtime.outputs import check_outputs, keep_apart, write_recorded
    from sppdet.settings import DetectorSettings
    from sppdet.trunks import load_trunk

    limit_pixels(max_pixels)
    if output.exists() and not output.is_dir():
        raise SppdetError(f"{output}: is a file; --output names a folder")
    sources, failures = find_sources(images, recursive, output)
    total = len(sources) + len(failures)
    named = [source.path for source in sources if source.kind == "file" and source.path]
    others = [source.name for source in sources if source.kind != "file"]
    failures += [f"{name}: is not an image file; save its images first" for name in others]
    files = [path for path in named if path.exists()]
    failures += [f"{path}: no such file or folder" for path in named if not path.exists()]
    if not files:
        raise SppdetError(failures[0])
    sheet, report, table = (output / f"found.{suffix}" for suffix in ("png", "json", "csv"))
    check_outputs([sheet, report, table], [example, model, *files])
    keep_apart(output, files, "--output")
    pixels = read_image(example)
    where = choose_device(device)
    if model is not None:
        detector = Detector.load(model, where)
        extractor, search, kept = detector.extractor, detector.settings, detector.kept
    else:
        extractor = SppRegionFeatures.of(load_trunk(trunk or "lite0", None, where))
        search, kept = DetectorSettings(max_boxes=1000), None
    search = replace(search, max_boxes=boxes or search.max_boxes)
    with progress_bar() as bar:
        try:
            result = find_like(
                extractor,
                example,
                corners,
                files,
                search=search,
                kept=kept,
                per_image=per_image,
                settings=ExemplarSettings(seed=seed),
                progress=Bars(bar),
            )
        except ValueError as error:
            raise SppdetError(f"--box {box}: {error}") from None
    best = result.found[:max]
    failures += result.failures
    rows: list[dict[str, Any]] = [
        {
            "rank": rank,
            "image": str(one.image),
            "score": round(one.score, 5),
            "box": [round(value, 2) for value in one.box],
        }
        for rank, one in enumerate(best, 1)
    ]
    content = {
        "example": str(example),
        "box": list(corners),
        "trunk": extractor.trunk.name,
        "negatives": result.negatives,
        "images": len(files),
        "failed": failures,
        "regions": rows,
    }
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["rank", "image", "score", "x1", "y1", "x2", "y2"])
    writer.writerows([row["rank"], row["image"], row["score"], *row["box"]] for row in rows)
    save_picture(match_sheet(pixels, corners, best), sheet)
    write_recorded(table, text.getvalue())
    write_text(report, json.dumps(content, indent=1) + "\n")
    console.print(
        f"{counted(len(best), 'region')} of {counted(len(files), 'image')}, "
        f"{counted(result.negatives, 'negative')}; {sheet}",
        markup=False,
        soft_wrap=True,
    )
    finish_batch(failures, total)
