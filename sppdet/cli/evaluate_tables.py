"""What ``sppdet evaluate`` prints."""

from typing import Any

from rich.table import Table

from sppdet.cli.progress import PlainConsole
from sppdet.evaluation.voc import VocResult


def print_figures(figures: VocResult, content: dict[str, Any]) -> None:
    """Print AP per class and mean, and the intervals, comparison and COCO figures in ``content``.

    Args:
        figures: AP and recall of each class.
        content: what ``--json`` writes.
    """
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
    out = PlainConsole()
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
        out.print(_changes(content))
    if "coco" in content:
        shown = [f"{k} {percent(v)}" for k, v in content["coco"].items() if k != "classes"]
        out.print("COCO: " + ", ".join(shown), markup=False, highlight=False, soft_wrap=True)


def _changes(content: dict[str, Any]) -> Table:
    """The area AP of each class in A and in B."""
    table = Table(box=None, header_style="bold")
    for title in ("class", "AP area A", "AP area B", "B - A", "95 % interval", "better"):
        table.add_column(title, justify="left" if title in ("class", "better") else "right")
    others = content["comparison"]["b"]["classes"]
    for name, change in content["comparison"]["classes"].items():
        better = "B" if change["low"] > 0 else "A" if change["high"] < 0 else "-"
        table.add_row(
            name,
            percent(content["classes"][name]["ap_area"]),
            percent(others[name]["ap_area"]),
            f"{100 * change['difference']:+.1f}",
            f"{100 * change['low']:+.1f} to {100 * change['high']:+.1f}",
            better,
        )
    return table


def print_recall(method: str, content: dict[str, Any]) -> None:
    """Print recall and overlap against the number of proposals.

    Args:
        method: how the proposals were made.
        content: of :func:`sppdet.evaluation.proposals.evaluate_proposals`.
    """
    table = Table(box=None, header_style="bold")
    table.add_column(f"proposals ({method})")
    for number in content["numbers"]:
        table.add_column(str(number), justify="right")
    for threshold, values in content["recall"].items():
        table.add_row(f"recall at IoU {threshold}", *map(percent, values))
    table.add_row("mean best overlap", *(f"{v:.3f}" for v in content["mean_best_overlap"]))
    for name, values in content["average_best_overlap"].items():
        table.add_row(f"average best overlap, {name}", *(f"{v:.3f}" for v in values))
    PlainConsole().print(table)


def percent(value: float | None) -> str:
    """``0.4567`` as ``45.7 %``; None as a dash."""
    return "-" if value is None else f"{100 * value:.1f} %"
