"""Checks of what a result is made of, and of the conditions of a filter."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import Boxes
from sppdet.runtime.words import counted

ROUNDING = 1e-3
"""Pixels by which a side may be negative: means of equal corners differ in their last bits."""


def validated(
    boxes: Boxes,
    labels: NDArray[np.int64],
    scores: NDArray[np.float32],
    classes: Sequence[str],
    size: tuple[int, int] | None,
) -> tuple[int, int] | None:
    """The size as integers, after a check of all that a result is made of.

    Raises:
        ValueError: something does not fit; the message says what.
    """
    if not len(boxes) == len(labels) == len(scores):
        raise ValueError(
            f"{counted(len(boxes), 'box', 'boxes')}, {counted(len(labels), 'label')}, "
            + counted(len(scores), "score")
        )
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(classes)):
        raise ValueError(f"labels must lie in 0 .. {len(classes) - 1}")
    if not np.isfinite(scores).all():
        raise ValueError(f"scores[{int(np.isfinite(scores).argmin())}] is not finite")
    sides = boxes[:, 2:] - boxes[:, :2]
    for wrong, reason in (
        (~np.isfinite(boxes).all(axis=1), "is not finite"),
        ((sides < -ROUNDING).any(axis=1), "is inverted: give x1 <= x2 and y1 <= y2"),
    ):
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(f"boxes[{row}] = {boxes[row].tolist()} {reason}")
    if size is None:
        return None
    width, height = (int(side) for side in size)
    if min(width, height) < 1:
        raise ValueError(f"size is {size}: give the width and the height of the image in pixels")
    return width, height


def least_scores(score: float | Mapping[str, float], classes: Sequence[str]) -> NDArray[np.float64]:
    """(K,) the least score of each class; classes that a mapping does not name have none."""
    if not isinstance(score, Mapping):
        return np.full(len(classes), float(score))
    chosen_classes(list(score), classes)
    return np.array([score.get(name, -np.inf) for name in classes], np.float64)


def chosen_classes(names: str | Sequence[str], classes: Sequence[str]) -> list[int]:
    """The numbers of the classes called ``names``.

    Raises:
        ValueError: a class is unknown.
    """
    names = [names] if isinstance(names, str) else list(names)
    for name in names:
        if name not in classes:
            raise ValueError(f"the class {name!r} is unknown: choose from {', '.join(classes)}")
    return [list(classes).index(name) for name in names]


def limits_of_area(area: float | tuple[float, float]) -> tuple[float, float]:
    """The least and the greatest area in square pixels.

    Raises:
        ValueError: it is neither a number nor two of them.
    """
    if isinstance(area, tuple | list):
        if len(area) != 2:
            raise ValueError(f"area is {area!r}: give the least, or (least, greatest)")
        return float(area[0]), float(area[1])
    return float(area), float("inf")
