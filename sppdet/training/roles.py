"""Which boxes of a training image are examples of what."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import Boxes, iou
from sppdet.datasets import Annotations
from sppdet.heads.examples import NEGATIVE, NEITHER, POSITIVE


@dataclass(frozen=True)
class Roles:
    """What the boxes of one image are, for K classes.

    Attributes:
        truths: (G,) int64, rows of the ground-truth boxes to learn from.
        truth_labels: (G,) int64, their classes.
        negative: (N, K) bool, whether a box is a negative of the class.
        best_iou: (N, K) float32, the greatest IoU with such a ground-truth box of the class.
        best_truth: (N, K) int64, the row of that ground-truth box.
    """

    truths: NDArray[np.int64]
    truth_labels: NDArray[np.int64]
    negative: NDArray[np.bool_]
    best_iou: NDArray[np.float32]
    best_truth: NDArray[np.int64]


def training_boxes(annotations: Annotations, proposals: Boxes) -> Boxes:
    """The annotated boxes, all of them, followed by the proposals."""
    return np.concatenate([annotations.boxes, proposals]).astype(np.float32)


def assign_roles(
    annotations: Annotations, boxes: Boxes, num_classes: int, negative_iou: float
) -> Roles:
    """Decide the roles of :func:`training_boxes`.

    Nothing is learned from difficult and crowd boxes. Boxes that overlap them are not negatives.
    """
    usable = ~(annotations.difficult | annotations.crowd)
    truths = np.flatnonzero(usable)
    overlap = iou(boxes, annotations.boxes)
    crowd = np.flatnonzero(annotations.crowd)
    overlap[:, crowd] = _share_inside(boxes, annotations.boxes[crowd])
    negative = np.ones((len(boxes), num_classes), bool)
    negative[: len(annotations.boxes)] = False
    best_iou = np.zeros((len(boxes), num_classes), np.float32)
    best_truth = np.zeros((len(boxes), num_classes), np.int64)
    for label in np.unique(annotations.labels):
        of_class = annotations.labels == label
        negative[:, label] &= overlap[:, of_class].max(axis=1) < negative_iou
        rows = np.flatnonzero(of_class & usable)
        if len(rows):
            best = overlap[:, rows].argmax(axis=1)
            best_truth[:, label] = rows[best]
            best_iou[:, label] = overlap[np.arange(len(boxes)), rows[best]]
    return Roles(truths, annotations.labels[truths], negative, best_iou, best_truth)


def region_roles(
    roles: Roles, keys: NDArray[np.int64], count: int, positive_iou: float
) -> NDArray[np.int8]:
    """(count, K): the role of each distinct region for every class.

    A region is positive if one of its boxes is ground truth of the class or overlaps it by more
    than ``positive_iou``, negative if one of its boxes is a negative and none is a positive.

    Args:
        keys: (N,) int64, the region of each box.
        count: number of regions.
        positive_iou: see :class:`sppdet.settings.MiningSettings`.
    """
    result = np.full((count, roles.negative.shape[1]), NEITHER, np.int8)
    for label in range(result.shape[1]):
        result[keys[roles.negative[:, label]], label] = NEGATIVE
        result[keys[roles.best_iou[:, label] > positive_iou], label] = POSITIVE
    result[keys[roles.truths], roles.truth_labels] = POSITIVE
    return result


def choose(rows: NDArray[np.int64], quota: float, random: np.random.Generator) -> NDArray[np.int64]:
    """A random choice of on average ``quota`` of the rows (all when there are fewer), in order."""
    count = int(quota) + int(random.random() < quota - int(quota))
    if len(rows) <= count:
        return rows
    return np.sort(random.choice(rows, count, replace=False))


def _share_inside(boxes: Boxes, crowds: Boxes) -> NDArray[np.float32]:
    """(N, M), the share of each box's area that lies inside each crowd box."""
    lower = np.maximum(boxes[:, None, :2], crowds[None, :, :2])
    upper = np.minimum(boxes[:, None, 2:], crowds[None, :, 2:])
    shared = np.maximum(upper - lower, 0).prod(axis=2)
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)
    inside: NDArray[np.float32] = shared / np.maximum(sides, 1e-9)[:, None]
    return inside
