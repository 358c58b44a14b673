"""From boxes in the image to windows on the map (SPP-net paper, section 4.1 and appendix A)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sppdet.boxes import Boxes
from sppdet.features.scales import Scale
from sppdet.features.scales import image_scales as image_scales
from sppdet.features.scales import resize as resize
from sppdet.settings import WindowMapping
from sppdet.trunks.geometry import MapGeometry

WINDOW_SIDE = 224
"""Side of the square, in pixels of the resized image, whose area a window's area should be near."""

CODE_OFFSET, CODE_STRIDE = 6.5, 16
"""Pixels of the released code's corner mapping, and the stride of the network they are for."""

_BITS = 12
"""A map has in general fewer cells than this power of two along a side."""


def choose_scale(boxes: Boxes, scales: list[Scale]) -> NDArray[np.int64]:
    """For every box the index of the scale at which its area is nearest 224 x 224 pixels.

    SPP-net paper, section 4.1. Ties go to the earlier scale. Returns (N,) int64.
    """
    sides = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)
    areas = (sides[:, 0] * sides[:, 1])[:, None] * np.array([s.x * s.y for s in scales])
    nearest: NDArray[np.int64] = np.abs(areas - WINDOW_SIDE**2).argmin(axis=1)
    return nearest


def map_windows(
    boxes: Boxes,
    scale: Scale,
    geometry: MapGeometry,
    rows: int,
    columns: int,
    mapping: WindowMapping = "paper",
) -> NDArray[np.int32]:
    """The cells of a (rows, columns) map whose centres lie strictly inside each box.

    That is the mapping ``"paper"``. With o = the coordinate of the first cell's centre and S = the
    stride, the first cell of a box is floor((x1 - o) / S) + 1 and the last
    ceil((x2 - o) / S) - 1: the paper's corner mapping (appendix A). A box without a centre inside
    gets the cell nearest its own centre. Everything is clamped to the map.

    The mapping ``"code"`` is the released code's. It counts whole pixels: a box is from the centre
    of its first pixel to that of its last one. With c = the index of the pixel at the first cell's
    centre and p = 6.5 S / 16 (6.5 px at the code's stride of 16, in place of S / 2), the first cell
    is floor((x1 - c + p) / S + 1 / 2) and the last ceil((x2 - 1 - c - p) / S - 1 / 2), so that
    windows reach 1.5 px further on each side; where the last is before the first, both become
    their midpoint, rounded down.

    The mapping ``"nearest"`` takes the cells whose centres are nearest to the corners, as the first
    version of the paper says it (ECCV 2014, appendix A); of two equally near ones the first.

    Args:
        boxes: (N, 4), pixels of the original image.
        mapping: which cells belong to a box.

    Returns:
        (N, 4) int32: first column, first row, end column, end row; ends are exclusive.

    Examples:
        Centres lie at 8, 24, 40, ...: those of the columns 1 and 2 and of the row 0 lie inside.

        >>> geometry = MapGeometry(stride=16, first_center=7.5)
        >>> box = np.array([[10, 0, 50, 16]], np.float32)
        >>> map_windows(box, Scale(96, 64, 1.0, 1.0), geometry, rows=4, columns=6)
        array([[1, 0, 3, 1]], dtype=int32)
    """
    factors = np.array([scale.x, scale.y], np.float64)
    limit = np.array([columns, rows]) - 1
    if mapping == "code":
        first, last = _as_the_code(boxes, factors, geometry)
        first, last = np.clip(first, 0, limit), np.clip(last, 0, limit)
        return np.concatenate([first, last + 1], axis=1).astype(np.int32)
    first_center = geometry.first_center + 0.5  # pixel index to half-open coordinate
    low = (boxes[:, :2] * factors - first_center) / geometry.stride
    high = (boxes[:, 2:] * factors - first_center) / geometry.stride
    if mapping == "nearest":
        ends = [np.clip(np.ceil(end - 0.5), 0, limit).astype(np.int32) for end in (low, high)]
        return np.concatenate([ends[0], ends[1] + 1], axis=1)
    first = np.floor(low).astype(np.int64) + 1
    last = np.ceil(high).astype(np.int64) - 1
    nearest = np.ceil((low + high) / 2 - 0.5).astype(np.int64)
    inverted = first > last
    first = np.where(inverted, nearest, first)
    last = np.where(inverted, nearest, last)
    first, last = np.clip(first, 0, limit), np.clip(last, 0, limit)
    return np.concatenate([first, last + 1], axis=1).astype(np.int32)


def _as_the_code(
    boxes: Boxes, factors: NDArray[np.float64], geometry: MapGeometry
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first and the last cell of each box in the released code's mapping, (N, 2) each."""
    offset = CODE_OFFSET * geometry.stride / CODE_STRIDE
    low = boxes[:, :2] * factors - geometry.first_center
    high = boxes[:, 2:] * factors - 1 - geometry.first_center
    first = np.floor((low + offset) / geometry.stride + 0.5).astype(np.int64)
    last = np.ceil((high - offset) / geometry.stride - 0.5).astype(np.int64)
    inverted, middle = first > last, (first + last) // 2
    return np.where(inverted, middle, first), np.where(inverted, middle, last)


def distinct_windows(windows: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The distinct rows of windows (N, 5), each the number of a map and four cells of it.

    Returns:
        The distinct rows (M, 5) in ascending order, and for each window the number of its row (N,).

    Examples:
        >>> windows = [[0, 2, 1, 3, 4], [0, 1, 0, 3, 4], [0, 2, 1, 3, 4]]
        >>> distinct_windows(np.array(windows, np.int32))
        (array([[0, 1, 0, 3, 4],
               [0, 2, 1, 3, 4]], dtype=int32), array([1, 0, 1]))
    """
    if windows.max(initial=0) >= 1 << _BITS:
        distinct, keys = np.unique(windows, axis=0, return_inverse=True)
        return distinct, keys.reshape(-1).astype(np.int64)
    # A row as one number in the same order: sorting those takes a tenth of the time.
    shifts = _BITS * np.arange(4, -1, -1)
    numbers, keys = np.unique((windows.astype(np.int64) << shifts).sum(axis=1), return_inverse=True)
    rows = (numbers[:, None] >> shifts) & ((1 << _BITS) - 1)
    return rows.astype(np.int32), keys.reshape(-1).astype(np.int64)


def check_windows(windows: ArrayLike, rows: int, columns: int) -> NDArray[np.int32]:
    """Windows on a (rows, columns) map as a C-contiguous (N, 4) int32 array.

    Raises:
        TypeError: the values are not integers.
        ValueError: the shape is not (N, 4), or a window is empty or leaves the map.
    """
    array = np.asarray(windows)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"windows has the shape {array.shape}: give (N, 4)")
    if array.dtype.kind not in "iu":
        raise TypeError(f"windows has values of type {array.dtype}: give integers, map cells")
    inside = (array[:, :2] >= 0).all() and (array[:, 2:] <= (columns, rows)).all()
    if not inside or (array[:, 2:] <= array[:, :2]).any():
        raise ValueError(
            f"windows must hold a cell and lie inside the {rows} x {columns} map: first column, "
            "first row, end column, end row"
        )
    return np.ascontiguousarray(array, np.int32)
