"""``sppdet data check``: what is in a data set, and what is wrong with it."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from sppdet.cli.options import Background, Format, MaxPixels, Quiet


def data_check(
    data: Annotated[Path, typer.Argument(help="The data set: a folder, or an annotation file.")],
    split: Annotated[
        str | None, typer.Option(help="Part of the data; default: everything.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the findings here.")
    ] = None,
    contact_sheet_file: Annotated[
        Path | None, typer.Option("--contact-sheet", help="Write a picture of annotated samples.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Images on the contact sheet.")] = 24,
    lines: Annotated[int, typer.Option(min=0, help="Problems to print; JSON has them all.")] = 30,
    format: Format = None,
    quiet: Quiet = False,
    max_pixels: MaxPixels = None,
    background: Background = False,
) -> None:
    """Count what a data set holds, and find what is wrong.

    Images, objects and sizes are counted per class. Broken files and doubtful boxes are listed.

    \b
    Example:
      sppdet data check photos --json check.json --contact-sheet sheet.jpg
    """
    from sppdet.cli.common import limit_pixels
    from sppdet.cli.data_tables import show
    from sppdet.cli.progress import progress_bar
    from sppdet.datasets import read_dataset, recognise, splits
    from sppdet.datasets.check import Check, between, check
    from sppdet.datasets.contact_sheet import contact_sheet
    from sppdet.drawing import picture_format, save_picture
    from sppdet.runtime.files import write_text
    from sppdet.runtime.outputs import check_outputs, keep_apart

    limit_pixels(max_pixels)
    kind = format or recognise(data)
    parts: list[str | None] = [split]
    if split is None and kind == "coco" and len(splits(data, kind)) > 1:
        parts = list(splits(data, kind))
    sheets = _sheets(contact_sheet_file, parts)
    for sheet in sheets.values():
        picture_format(sheet)
    check_outputs([json_file, *sheets.values()])
    found: dict[str, Any] = {}
    checked: dict[str, Check] = {}
    for part in parts:
        dataset = read_dataset(data, part, format=kind, background=background)
        if part in sheets:
            keep_apart(sheets[part].parent, dataset.images, "--contact-sheet")
        with progress_bar() as bar:
            task = bar.add_task("checking", total=len(dataset.images))
            result = check(dataset, lambda task=task, bar=bar: bar.advance(task))  # type: ignore[misc]
        for name, earlier in checked.items():
            result.problems.extend(between(name, earlier, str(part), result))
        checked[str(part)] = result
        show(result, lines, dataset.notes)
        found[part or "all"] = result.to_json()
        if part in sheets:
            save_picture(contact_sheet(dataset, samples), sheets[part])
    if json_file is not None:
        content = found if len(parts) > 1 else next(iter(found.values()))
        write_text(json_file, json.dumps(content, indent=1) + "\n")


def _sheets(file: Path | None, parts: list[str | None]) -> dict[str | None, Path]:
    """The contact sheet of each part: the file named, or one with the part's name for each."""
    if file is None:
        return {}
    if len(parts) == 1:
        return {parts[0]: file}
    return {part: file.with_name(f"{file.stem}_{part}{file.suffix}") for part in parts}
