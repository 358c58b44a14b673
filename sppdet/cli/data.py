"""``sppdet data check``: what is in a data set, and what is wrong with it."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from sppdet.cli.options import Background, Format


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
    background: Background = False,
) -> None:
    """Count what a data set holds, and find what is wrong.

    Images, objects and sizes are counted per class. Broken files and doubtful boxes are listed.

    \b
    Example:
      sppdet data check photos --json check.json --contact-sheet sheet.jpg
    """
    from sppdet.cli.data_tables import show
    from sppdet.cli.progress import progress_bar
    from sppdet.datasets import read_dataset, recognise, splits
    from sppdet.datasets.check import check
    from sppdet.datasets.contact_sheet import contact_sheet
    from sppdet.drawing import save_picture
    from sppdet.runtime.files import write_text

    kind = format or recognise(data)
    parts: list[str | None] = [split]
    if split is None and kind == "coco" and len(splits(data, kind)) > 1:
        parts = list(splits(data, kind))
    found: dict[str, Any] = {}
    for part in parts:
        dataset = read_dataset(data, part, format=kind, background=background)
        with progress_bar() as bar:
            task = bar.add_task("checking", total=len(dataset.images))
            result = check(dataset, lambda task=task, bar=bar: bar.advance(task))  # type: ignore[misc]
        show(result, lines, dataset.notes)
        found[part or "all"] = result.to_json()
        if contact_sheet_file is not None:
            name = contact_sheet_file.stem + (f"_{part}" if len(parts) > 1 else "")
            target = contact_sheet_file.with_name(name + contact_sheet_file.suffix)
            save_picture(contact_sheet(dataset, samples), target)
    if json_file is not None:
        content = found if len(parts) > 1 else next(iter(found.values()))
        write_text(json_file, json.dumps(content, indent=1) + "\n")
