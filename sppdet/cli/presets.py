"""``--preset paper``: every deviation of DIFFERENCES.md that a setting can undo."""

from dataclasses import replace
from typing import Any

import typer

from sppdet.settings import MiningSettings, RegressionSettings, SelectionSettings

PRESETS = ("paper",)
"""Choices of ``--preset``."""

PAPER: dict[str, Any] = {
    "proposals": "fast",
    "boxes": 2000,
    "scales": "480,576,688,864,1200",
    "longest_side": 20_000,
    "window_mapping": "paper",
    "pooling": "max",
    "normalize_levels": False,
    "positive_iou": 1.0,
    "cost": 1e-3,
    "mirror": False,
    "box_voting": False,
    "lower_groups": False,
    "one_class_per_object": False,
}
"""Values of the options of ``sppdet train`` that the papers and the released code give. The limit
of the longer side is the largest that a model file may have; the papers have none."""

ALL = 1_000_000
"""In place of a limit; the memory of :attr:`MiningSettings.memory` is still one."""


def apply(context: typer.Context, name: str | None) -> str | None:
    """Give the options that are not on the command line the values of a preset."""
    if name is not None:
        context.default_map = {**(context.default_map or {}), **PAPER}
    return name


def mining(preset: str | None, positive_iou: float) -> MiningSettings:
    """Which regions become examples: with ``paper`` as the released code mines them."""
    chosen = MiningSettings(positive_iou=positive_iou)
    if preset is None:
        return chosen
    return replace(
        chosen, retrain_after=2000, hard_per_image=ALL, max_positives=ALL, max_negatives=ALL
    )


def regression(preset: str | None, method: str) -> RegressionSettings:
    """Box regression: with ``paper`` the IoU and the penalty of the method's released code."""
    if preset is None:
        return RegressionSettings()
    minimum_iou, ridge = (0.6, 1000.0) if method == "rcnn" else (0.5, 4000.0)
    return RegressionSettings(minimum_iou, ridge, ALL)


def selection(preset: str | None, box_voting: bool) -> SelectionSettings:
    """From scored boxes to detections: with ``paper`` all boxes of a class are candidates."""
    chosen = SelectionSettings() if box_voting else SelectionSettings(voter_iou=1)
    return chosen if preset is None else replace(chosen, max_candidates=PAPER["boxes"])


def lines(context: typer.Context, method: str) -> list[str]:
    """What the preset gave in this call, and what the command line gave instead."""
    given = {name: context.params[name] for name in PAPER}
    left_out = {"scales", "longest_side", "window_mapping"} if method == "rcnn" else set()
    shown = [_option(name, value) for name, value in given.items() if name not in left_out]
    if context.params.get("layer") == "pyramid":
        shown.append(f"--levels {context.params.get('levels') or '1,2,3,6'}")
    if method == "rcnn":
        shown.append(f"--crop {context.params['crop']}")
    mined, moved = mining("paper", 1.0), regression("paper", method)
    candidates = selection("paper", box_voting=False).max_candidates
    return [
        f"preset paper: {', '.join(shown)}",
        f"preset paper: SVMs trained again after {mined.retrain_after:,} hard negatives, as many "
        "in an image and in all as the memory holds; box regression of proposals with IoU > "
        f"{moved.minimum_iou}, penalty {moved.ridge:,.0f}, no limit of examples; the "
        f"{candidates:,} best boxes of a class are candidates",
    ]


def _option(name: str, value: Any) -> str:
    words = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return words if value else words.replace("--", "--no-", 1)
    return f"{words} {value}"
