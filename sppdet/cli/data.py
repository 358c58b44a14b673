"""``sppdet data check``: what is in a data set, and what is wrong with it."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from sppdet.cli.common import progress_bar
from sppdet.datasets import FORMATS, read_dataset, recognise, splits
from sppdet.datasets.check import Check, check
from sppdet.datasets.contact_sheet import contact_sheet
from sppdet.drawing import save_picture
from sppdet.runtime.files import write_text


def data_check(
    data: Annotated[Path, typer.Argument(help="The data set: VOC, COCO JSON, YOLO, XML beside.")],
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
    format: Annotated[
        str | None, typer.Option(help=f"Format of the data: {', '.join(FORMATS)}.")
    ] = None,
) -> None:
    """Count images, objects and sizes per class; find broken files and doubtful boxes.

    Example: [bold]sppdet data check photos --json check.json --contact-sheet sheet.jpg[/bold]
    """
    kind = format or recognise(data)
    parts: list[str | None] = [split]
    if split is None and kind == "coco" and len(splits(data, kind)) > 1:
        parts = list(splits(data, kind))
    found: dict[str, Any] = {}
    for part in parts:
        dataset = read_dataset(data, part, format=kind)
        with progress_bar() as bar:
            task = bar.add_task("checking", total=len(dataset.images))
            result = check(dataset, lambda task=task, bar=bar: bar.advance(task))  # type: ignore[misc]
        show(result, lines)
        found[part or "all"] = result.to_json()
        if contact_sheet_file is not None:
            name = contact_sheet_file.stem + (f"_{part}" if len(parts) > 1 else "")
            target = contact_sheet_file.with_name(name + contact_sheet_file.suffix)
            save_picture(contact_sheet(dataset, samples), target)
    if json_file is not None:
        content = found if len(parts) > 1 else next(iter(found.values()))
        write_text(json_file, json.dumps(content, indent=1) + "\n")


def show(result: Check, lines: int) -> None:
    """Print tables of the classes and of the problems."""
    out = Console(highlight=False, soft_wrap=True)
    facts = result.summary
    place = facts["path"] + (f", {facts['split']}" if facts["split"] else "")
    out.print(f"{place} ({facts['format']})", markup=False, style="bold")
    out.print(
        f"{facts['images']} images ({facts['images_without_objects']} without objects, "
        f"{facts['images_unreadable']} unreadable), {facts['objects']} objects "
        f"({facts['difficult']} difficult, {facts['crowd']} crowds), "
        f"{len(facts['classes'])} classes"
    )
    if facts["box_sides"]:
        sizes = facts["sizes"]
        sides = facts["box_sides"]
        out.print(
            f"box sides, px (least, quartiles, greatest): width {_numbers(sides['width'])}; height "
            f"{_numbers(sides['height'])}; small {sizes['small']}, medium {sizes['medium']}, "
            f"large {sizes['large']} (as COCO counts)"
        )
    table = Table(box=None, header_style="bold")
    for title in ("class", "objects", "share", "images", "median side"):
        table.add_column(title, justify="left" if title == "class" else "right")
    ordered = sorted(facts["classes"].items(), key=lambda item: -item[1]["objects"])
    for name, entry in ordered:
        side = "-" if entry["median_side"] is None else f"{entry['median_side']:.0f} px"
        share = f"{100 * entry['share']:.1f} %"
        table.add_row(name, str(entry["objects"]), share, str(entry["images"]), side)
    out.print(table)
    if not result.problems:
        out.print("no problems", style="green")
        return
    kinds = ", ".join(f"{count} x {kind}" for kind, count in facts["problem_kinds"].items())
    out.print(f"{len(result.problems)} problems: {kinds}", style="red")
    for problem in result.problems[:lines]:
        out.print(f"  {problem}", markup=False)
    if len(result.problems) > lines:
        out.print(f"  ... and {len(result.problems) - lines} more (see --json, --lines)")


def _numbers(values: list[float]) -> str:
    return " ".join(f"{value:.0f}" for value in values)
