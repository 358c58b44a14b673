"""Pure functions on boxes.

A box is ``(x1, y1, x2, y2)``: float32, 0-based, half-open pixels, so that its width is ``x2 - x1``
and two boxes that only touch do not overlap.
"""

import numpy as np
import torch
import torchvision
from numpy.typing import ArrayLike, NDArray

Boxes = NDArray[np.float32]


def as_boxes(boxes: ArrayLike) -> Boxes:
    """``boxes`` as a float32 array of shape (N, 4); an empty sequence becomes (0, 4).

    Raises:
        ValueError: the shape is not (N, 4).
    """
    array = np.asarray(boxes, dtype=np.float32)
    if array.size == 0:
        return np.zeros((0, 4), np.float32)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"boxes have the shape (N, 4), not {array.shape}")
    return array


def area(boxes: Boxes) -> NDArray[np.float32]:
    """Areas in square pixels, shape (N,); 0 for an inverted box."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return sides[:, 0] * sides[:, 1]


def iou(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Intersection over union of every pair: (N, 4), (M, 4) to (N, M); 0 where both are empty."""
    lower = np.maximum(a[:, None, :2], b[None, :, :2])
    upper = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.maximum(upper - lower, 0)
    shared = sides[..., 0] * sides[..., 1]
    union = area(a)[:, None] + area(b)[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def clip(boxes: Boxes, width: int, height: int) -> Boxes:
    """Boxes cut to an image of ``width`` x ``height`` pixels; a box outside becomes empty."""
    limits = np.array([width, height, width, height], np.float32)
    return np.clip(boxes, 0, limits).astype(np.float32)


def flip(boxes: Boxes, width: int) -> Boxes:
    """Boxes in the image mirrored left to right."""
    flipped = boxes.copy()
    flipped[:, [0, 2]] = width - boxes[:, [2, 0]]
    return flipped


def unique(boxes: Boxes) -> Boxes:
    """The boxes without exact repetitions, in the order of their first appearance."""
    if len(boxes) == 0:
        return boxes
    _, first = np.unique(boxes, axis=0, return_index=True)
    return boxes[np.sort(first)]


def nms(boxes: Boxes, scores: NDArray[np.floating], threshold: float) -> NDArray[np.int64]:
    """Greedy non-maximum suppression (R-CNN paper, section 2.2).

    Boxes are taken from the highest score down (ties: the earlier index first); a box goes when its
    IoU with one already taken is above ``threshold``.

    Args:
        boxes: (N, 4).
        scores: (N,).
        threshold: IoU in [0, 1]; the papers use 0.3.

    Returns:
        The kept indices, best first, int64.
    """
    if len(boxes) == 0:
        return np.zeros(0, np.int64)
    kept = torchvision.ops.nms(
        torch.from_numpy(np.ascontiguousarray(boxes, np.float32)),
        torch.from_numpy(np.ascontiguousarray(scores, np.float32)),
        threshold,
    )
    return kept.numpy()


def encode(proposals: Boxes, truths: Boxes) -> NDArray[np.float32]:
    """Regression targets from proposals to truths (R-CNN paper, appendix C, equations 6 to 9).

    Both are (N, 4) with positive sides. Returns (N, 4): the shift of the centre in units of the
    proposal's sides, and the logarithms of the ratios of the sides.
    """
    centre, sides = _centre_and_sides(proposals)
    true_centre, true_sides = _centre_and_sides(truths)
    shift = (true_centre - centre) / sides
    return np.concatenate([shift, np.log(true_sides / sides)], axis=1).astype(np.float32)


def decode(proposals: Boxes, deltas: NDArray[np.floating]) -> Boxes:
    """The boxes that ``deltas`` (N, 4) make of ``proposals``; the inverse of :func:`encode`.

    The change of a side is limited to a factor of e**4, so that no delta overflows.
    """
    centre, sides = _centre_and_sides(proposals)
    new_centre = centre + deltas[:, :2] * sides
    new_sides = sides * np.exp(np.clip(deltas[:, 2:], -4, 4))
    return np.concatenate([new_centre - new_sides / 2, new_centre + new_sides / 2], axis=1).astype(
        np.float32
    )


def _centre_and_sides(boxes: Boxes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    sides = boxes[:, 2:] - boxes[:, :2]
    return boxes[:, :2] + sides / 2, sides
