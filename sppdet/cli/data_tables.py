"""What ``sppdet data check`` prints."""

from collections.abc import Sequence

from rich.table import Table

from sppdet.cli.progress import PlainConsole
from sppdet.datasets.check import Check
from sppdet.runtime.words import counted


def show(result: Check, lines: int, notes: Sequence[str] = ()) -> None:
    """Print tables of the classes and of the problems, and what the reader decided."""
    out = PlainConsole(soft_wrap=True)
    facts = result.summary
    place = facts["path"] + (f", {facts['split']}" if facts["split"] else "")
    out.print(f"{place} ({facts['format']})", markup=False, style="bold")
    out.print(
        f"{counted(facts['images'], 'image')} ({facts['images_without_objects']} without objects, "
        f"{facts['images_unreadable']} unreadable), {counted(facts['objects'], 'object')} "
        f"({facts['difficult']} difficult, {counted(facts['crowd'], 'crowd')}), "
        + counted(len(facts["classes"]), "class", "classes")
    )
    for note in notes:
        out.print(f"note: {note}", markup=False)
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
    for doubt in facts["doubts"]:
        out.print(f"doubt: {doubt}", markup=False, style="yellow")
    if not result.problems:
        out.print("no problems", style="green")
        return
    kinds = ", ".join(f"{count} x {kind}" for kind, count in facts["problem_kinds"].items())
    out.print(f"{counted(len(result.problems), 'problem')}: {kinds}", style="red")
    for problem in result.problems[:lines]:
        out.print(f"  {problem}", markup=False)
    if len(result.problems) > lines:
        out.print(f"  ... and {len(result.problems) - lines} more (see --json, --lines)")


def _numbers(values: list[float]) -> str:
    return " ".join(f"{value:.0f}" for value in values)
