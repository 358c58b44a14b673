"""Boxes that hold several objects of a class: their scores go down.

A box around two animals that stand side by side looks to a linear SVM much like a box around one of
them. It overlaps each by an IoU of 0.3 to 0.5, so that training takes it neither for a positive
nor for a negative, and in detection it suppresses both. What gives it away is what it holds.
"""

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import Boxes, iou

HELD = 0.75
"""A box holds another one if at least this share of the other's area lies inside it, ..."""

SMALLER = 0.7
"""... and the other's area is less than this share of its own."""

APART = 0.2
"""Two held boxes are two objects if their IoU is at most this."""

SURE = -0.6
"""Held boxes count from this score on: within the margin of an SVM, which is from -1 to 1; a
probability of 0.55 for a softmax, whose scores are logarithms."""


def lower_groups(
    boxes: Boxes, labels: NDArray[np.int64], scores: NDArray[np.float32], penalty: float
) -> NDArray[np.float32]:
    """Scores of candidates, lower for those that hold two others of their class.

    Of the candidates that a box holds, the best is the first; the best of those whose IoU with the
    first is at most 0.2 is the second. With the score s_2 of the second, the score s of the box
    becomes

        s - penalty max(0, s_2 + 0.6)

    All scores on the right are those before. The constants were chosen on folds of training
    photographs (docs/experiments.md); no paper has this step.

    Args:
        boxes, labels, scores: (N, 4), (N,) and (N,), the candidates of an image; within a class the
            best first.
        penalty: 0 changes nothing.

    Returns:
        (N,), in the order in which they came.
    """
    if penalty == 0:
        return scores
    lowered = scores.copy()
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        above = _second_held(boxes[mine], scores[mine]) - np.float32(SURE)
        lowered[mine] -= np.float32(penalty) * above
    return lowered


def _second_held(boxes: Boxes, scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """For each box the score of the second one that it holds, at least SURE.

    Args:
        boxes: (N, 4), of one class.
        scores: (N,), the best first.
    """
    seconds = np.full(len(boxes), SURE, np.float32)
    held = np.flatnonzero(scores > SURE)
    if len(held) < 2:
        return seconds
    inner = boxes[held]
    lower = np.maximum(boxes[:, None, :2], inner[None, :, :2])
    upper = np.minimum(boxes[:, None, 2:], inner[None, :, 2:])
    sides = np.maximum(upper - lower, 0)
    shared = sides[..., 0] * sides[..., 1]
    area = _areas(inner)
    holds = (shared >= np.float32(HELD) * area) & (area > 0)
    holds &= area < np.float32(SMALLER) * _areas(boxes)[:, None]
    first = holds.argmax(axis=1)
    apart = holds & (iou(inner, inner) <= np.float32(APART))[first]
    several = apart.any(axis=1)
    seconds[several] = scores[held[apart.argmax(axis=1)[several]]]
    return seconds


def _areas(boxes: Boxes) -> NDArray[np.float32]:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    areas: NDArray[np.float32] = sides[:, 0] * sides[:, 1]
    return areas
