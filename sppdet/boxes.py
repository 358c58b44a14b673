"""Pure functions on boxes.

A box is ``(x1, y1, x2, y2)``: float32, 0-based, half-open pixels, so that its width is ``x2 - x1``
and two boxes that only touch do not overlap.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

Boxes = NDArray[np.float32]

Corners = tuple[float, float, float, float]
"""The four numbers of one box in the form of some file format."""


FARTHEST = 1e6
"""Largest coordinate of a box that a caller may give, in pixels: far beyond any image."""


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


def check_boxes(boxes: ArrayLike | torch.Tensor, width: int, height: int) -> Boxes:
    """``boxes`` of an image as float32, (N, 4), after a check of every row.

    A box that lies partly outside the image stays as it is.

    Args:
        boxes: N boxes as a list, an array or a tensor of numbers; an empty list is (0, 4).
        width, height: of the image, in pixels.

    Raises:
        TypeError: the values are not numbers.
        ValueError: the shape is not (N, 4), or a box is not finite, has a coordinate beyond
            :data:`FARTHEST`, is empty or inverted (x2 <= x1 or y2 <= y1), or lies wholly outside
            the image; the message names its row.

    Examples:
        >>> check_boxes([[-5, 0, 10, 20]], width=64, height=48).tolist()
        [[-5.0, 0.0, 10.0, 20.0]]
        >>> check_boxes([[10, 0, 5, 20]], width=64, height=48)
        Traceback (most recent call last):
        ValueError: boxes[0] = [10, 0, 5, 20] is empty or inverted: give x1 < x2 and y1 < y2
    """
    if isinstance(boxes, torch.Tensor):
        boxes = boxes.detach().cpu().numpy()
    remedy = "give (N, 4): x1, y1, x2, y2 in pixels of the image"
    try:
        array = np.asarray(boxes)
    except ValueError:
        raise ValueError(f"boxes has rows of different lengths: {remedy}") from None
    if array.dtype.kind not in "iuf":
        raise TypeError(f"boxes has values of type {array.dtype}, not numbers: {remedy}")
    if array.shape == (0,):
        return np.zeros((0, 4), np.float32)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"boxes has the shape {array.shape}: {remedy}")
    with np.errstate(over="ignore"):
        checked = array.astype(np.float32)
    x1, y1, x2, y2 = checked.T
    for wrong, reason in (
        (~np.isfinite(checked).all(axis=1), "is not finite"),
        (
            (np.abs(checked) > FARTHEST).any(axis=1),
            f"reaches further than {FARTHEST:.0e} pixels: give pixels of the image",
        ),
        (
            (x2 <= x1) | (y2 <= y1),
            "is empty or inverted: give x1 < x2 and y1 < y2",
        ),
        (
            (x2 <= 0) | (y2 <= 0) | (x1 >= width) | (y1 >= height),
            f"lies outside the image of {width} x {height} pixels",
        ),
    ):
        if wrong.any():
            row = int(wrong.argmax())
            box = ", ".join(f"{value:g}" for value in array[row])
            raise ValueError(f"boxes[{row}] = [{box}] {reason}")
    return checked


def area(boxes: Boxes) -> NDArray[np.float32]:
    """Areas in square pixels, shape (N,); 0 for an inverted box.

    Examples:
        >>> area(as_boxes([[0, 0, 4, 3], [4, 0, 0, 3]])).tolist()
        [12.0, 0.0]
    """
    sides: NDArray[np.float32] = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return sides[:, 0] * sides[:, 1]


def iou(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Intersection over union of every pair: (N, 4), (M, 4) to (N, M); 0 where both are empty.

    Examples:
        >>> iou(as_boxes([[0, 0, 4, 4]]), as_boxes([[0, 0, 4, 2], [4, 0, 8, 4]])).tolist()
        [[0.5, 0.0]]
    """
    lower = np.maximum(a[:, None, :2], b[None, :, :2])
    upper = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.maximum(upper - lower, 0)
    shared = sides[..., 0] * sides[..., 1]
    union = area(a)[:, None] + area(b)[None, :] - shared
    overlap: NDArray[np.float32] = np.zeros_like(shared)
    np.divide(shared, union, out=overlap, where=union > 0)
    return overlap


def clip(boxes: Boxes, width: int, height: int) -> Boxes:
    """Boxes cut to an image of ``width`` x ``height`` pixels; a box outside becomes empty.

    Examples:
        >>> clip(as_boxes([[-2, 1, 9, 3]]), width=8, height=6).tolist()
        [[0.0, 1.0, 8.0, 3.0]]
    """
    limits = np.array([width, height, width, height], np.float32)
    return np.clip(boxes, 0, limits).astype(np.float32)


def flip(boxes: Boxes, width: int) -> Boxes:
    """Boxes in the image mirrored left to right.

    Examples:
        >>> flip(as_boxes([[0, 1, 2, 3]]), width=8).tolist()
        [[6.0, 1.0, 8.0, 3.0]]
    """
    flipped = boxes.copy()
    flipped[:, [0, 2]] = width - boxes[:, [2, 0]]
    return flipped


def to_xywh(box: Sequence[float] | Boxes) -> Corners:
    """A box as COCO writes it: left, top, width and height.

    Examples:
        >>> to_xywh([2, 3, 6, 9])
        (2.0, 3.0, 4.0, 6.0)
    """
    x1, y1, x2, y2 = map(float, box)
    return x1, y1, x2 - x1, y2 - y1


def to_voc(box: Sequence[float] | Boxes) -> Corners:
    """A box as VOC writes it: xmin, ymin, xmax and ymax from 1, both corners included.

    Examples:
        >>> to_voc([0, 0, 5, 5])
        (1.0, 1.0, 5.0, 5.0)
    """
    x1, y1, x2, y2 = map(float, box)
    return x1 + 1, y1 + 1, x2, y2


def to_yolo(box: Sequence[float] | Boxes, width: int, height: int) -> Corners:
    """A box as YOLO writes it: centre and size as parts of the image's width and height.

    Examples:
        >>> to_yolo([0, 0, 50, 20], 100, 80)
        (0.25, 0.125, 0.5, 0.25)
    """
    x1, y1, x2, y2 = map(float, box)
    return (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height


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

    Examples:
        >>> boxes = as_boxes([[0, 0, 4, 4], [0, 0, 4, 3], [9, 9, 12, 12]])
        >>> nms(boxes, np.array([0.6, 0.9, 0.5]), threshold=0.3).tolist()
        [1, 2]
    """
    if len(boxes) == 0:
        return np.zeros(0, np.int64)
    from sppdet.suppression import greedy  # numba takes half a second to import

    order = np.argsort(-np.asarray(scores, np.float32), kind="stable")
    kept: NDArray[np.int64] = greedy(
        np.ascontiguousarray(boxes, np.float32), order, float(threshold)
    )
    return kept


def encode(proposals: Boxes, truths: Boxes) -> NDArray[np.float32]:
    """Regression targets from proposals to ground truth (R-CNN paper, appendix C, eq. 6 to 9).

    With the centre (x, y) and the sides (w, h) of a proposal P and of its ground truth G:

        t = ((G_x - P_x) / P_w, (G_y - P_y) / P_h, log(G_w / P_w), log(G_h / P_h))

    Args:
        proposals, truths: (N, 4) with positive sides.

    Returns:
        (N, 4) float32.

    Examples:
        >>> encode(as_boxes([[0, 0, 10, 20]]), as_boxes([[5, 0, 15, 20]])).tolist()
        [[0.5, 0.0, 0.0, 0.0]]
    """
    centre, sides = _centre_and_sides(proposals)
    true_centre, true_sides = _centre_and_sides(truths)
    shift = (true_centre - centre) / sides
    return np.concatenate([shift, np.log(true_sides / sides)], axis=1).astype(np.float32)


def decode(proposals: Boxes, deltas: NDArray[np.floating]) -> Boxes:
    """The boxes that ``deltas`` make of ``proposals``; the inverse of :func:`encode`.

    Equations 1 to 4 of the R-CNN paper's appendix C, with the centre (x, y) and the sides (w, h):

        x = P_x + P_w d_x,   y = P_y + P_h d_y,   w = P_w exp(d_w),   h = P_h exp(d_h)

    d_w and d_h are clipped to -4 ... 4, so that no delta overflows.

    Args:
        proposals: (N, 4).
        deltas: (N, 4).

    Returns:
        (N, 4) float32.

    Examples:
        >>> decode(as_boxes([[0, 0, 10, 20]]), np.array([[0.5, 0, 0, 0]])).tolist()
        [[5.0, 0.0, 15.0, 20.0]]
    """
    centre, sides = _centre_and_sides(proposals)
    new_centre = centre + deltas[:, :2] * sides
    new_sides = sides * np.exp(np.clip(deltas[:, 2:], -4, 4))
    return np.concatenate([new_centre - new_sides / 2, new_centre + new_sides / 2], axis=1).astype(
        np.float32
    )


def _centre_and_sides(boxes: Boxes) -> tuple[Boxes, Boxes]:
    sides = boxes[:, 2:] - boxes[:, :2]
    return (boxes[:, :2] + sides / 2).astype(np.float32, copy=False), sides
