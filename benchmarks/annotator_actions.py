"""What the objects of a photograph cost in ``sppdet label``: the actions of a simulated annotator.

An action is a click, a key, a step of a walk, or one of the two ends of a drag: drawing alone costs
2. The key that chooses another class is not counted, in drawing neither. Suggestions that are right
are accepted, all at once where that is less; wrong ones are deleted then, and those that are nearly
right are corrected. Every other object is clicked in its middle if the first choice there fits at
an IoU of 0.7, and drawn where a walk to a choice that fits costs as much.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import Boxes, as_boxes, iou

FITS = 0.7
NEAR = 0.5
"""IoU from which a suggestion is corrected instead of deleted."""

DUPLICATE, MIDDLE, STEEP, LEAST = (
    0.75,
    0.35,
    15,
    1e-4,
)  # as the page has them, sppdet/serving/static/proposals.js
DRAWN = 2


def choices_at(
    point: NDArray[np.float64],
    suggestions: Boxes,
    likely: Sequence[float],
    proposals: Boxes,
    scores: NDArray[np.float64] | None,
) -> Boxes:
    """The boxes under a point, as the page orders them."""
    boxes = np.concatenate([suggestions, proposals])
    own = np.arange(len(boxes)) < len(suggestions)
    taken = (iou(boxes, suggestions) > DUPLICATE).any(axis=1) & ~own
    inside = (boxes[:, :2] <= point).all(axis=1) & (point <= boxes[:, 2:]).all(axis=1)
    rows = np.flatnonzero(inside & ~taken)
    sides = np.maximum(boxes[rows, 2:] - boxes[rows, :2], 1e-9)
    centres = (boxes[rows, 2:] + boxes[rows, :2]) / 2
    distance = np.hypot(*((point - centres) / sides).T)
    group, rank = np.full(len(rows), 2), distance
    if scores is not None:
        known = np.maximum(np.concatenate([likely, scores])[rows], LEAST)
        group = np.where(distance <= MIDDLE, 1, 2)
        rank = np.where(group == 1, STEEP * distance - np.log(known), distance)
    kept: list[int] = []
    for row in rows[np.lexsort((distance, rank, group))]:
        if not (iou(boxes[row : row + 1], boxes[kept]) > DUPLICATE).any():
            kept.append(int(row))
        if len(kept) == 3:
            break
    return boxes[kept]


def clicks(truth: Boxes, choices: Boxes) -> int:
    """The actions for one object (1, 4) by the boxes under its middle: a click and the steps of the
    walk, or a drag."""
    fitting = np.flatnonzero(iou(truth, choices)[0] >= FITS)
    return min(1 + int(fitting[0]), DRAWN) if len(fitting) else DRAWN


def correction(truth: Boxes, box: Boxes) -> int:
    """The actions that bring an accepted box (1, 4) to an object: a drag of one of its handles, or
    Delete and a new box."""
    for x in ((), (0,), (2,)):
        for y in ((), (1,), (3,)):
            dragged = box.copy()
            dragged[0, [*x, *y]] = truth[0, [*x, *y]]
            if iou(truth, dragged)[0, 0] >= FITS:
                return DRAWN
    return 1 + DRAWN


def pairs_of(
    truths: Boxes, names: Sequence[str], boxes: Boxes, labels: Sequence[str]
) -> dict[int, int]:
    """The suggestion of each object that has one, right or nearly."""
    overlap = iou(truths, boxes)
    same = np.array([[label == name for label in labels] for name in names], bool)
    overlap = np.where(same.reshape(overlap.shape), overlap, 0)
    found: dict[int, int] = {}
    for flat in np.argsort(-overlap, axis=None, kind="stable"):
        row, column = divmod(int(flat), max(len(boxes), 1))
        if overlap[row, column] < NEAR:
            break
        if row not in found and column not in found.values():
            found[row] = column
    return found


def actions_of(
    truths: Boxes,
    names: Sequence[str],
    suggestions: Sequence[dict[str, Any]],
    proposals: Boxes,
    scores: NDArray[np.float64] | None,
) -> Counter[str]:
    """The actions for the objects (N, 4) of a photograph, by what they are for."""
    boxes = as_boxes([one["box"] for one in suggestions])
    likely = [one["score"] for one in suggestions]
    pairs = pairs_of(truths, names, boxes, [one["label"] for one in suggestions])
    fits = {row: iou(truths[[row]], boxes[[column]])[0, 0] >= FITS for row, column in pairs.items()}
    one_by_one: Counter[str] = Counter()
    all_at_once: Counter[str] = Counter()
    for row in range(len(truths)):
        truth = truths[row : row + 1]
        point = (truth[0, :2] + truth[0, 2:]).astype(np.float64) / 2
        cost = clicks(truth, choices_at(point, boxes, likely, proposals, scores))
        kind = ("click", "walk or drag")[cost > 1]
        if fits.get(row):
            one_by_one["accept"] += 1
            continue
        one_by_one[kind] += cost
        if row in pairs:
            all_at_once["correct"] += correction(truth, boxes[[pairs[row]]])
        else:
            all_at_once[kind] += cost
    all_at_once["accept"] += 1
    all_at_once["delete"] += len(boxes) - len(pairs)
    if not len(boxes) or one_by_one.total() <= all_at_once.total():
        return +one_by_one
    return +all_at_once
