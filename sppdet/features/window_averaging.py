"""Pyramid pooling of many windows of one map with means in place of maxima.

The bins are those of :mod:`sppdet.features.window_pooling`. The mean of a bin is not the mean of
finer bins, which may overlap and differ in size: every level is pooled from the map.
"""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from sppdet.features.pyramid import bin_count, check_levels
from sppdet.features.window_pooling import MapArray, map_size, type_name
from sppdet.features.windows import check_windows
from sppdet.runtime.compiled import compiled


def average_windows(feature_map: MapArray, windows: ArrayLike, levels: Iterable[int]) -> MapArray:
    """Take the mean of every bin of every window.

    Args:
        feature_map, windows, levels: as in :func:`sppdet.features.window_pooling.pool_windows`.

    Returns:
        (N, bins, channels) float32: level by level in the order given, within a level row by row.

    Raises:
        TypeError, ValueError: as :func:`sppdet.features.window_pooling.pool_windows`.

    Examples:
        >>> feature_map = np.arange(12, dtype=np.float32).reshape(3, 4, 1)
        >>> average_windows(feature_map, [[0, 0, 2, 2]], levels=(1, 2))[:, :, 0]
        array([[2.5, 0. , 1. , 4. , 5. ]], dtype=float32)
    """
    levels = check_levels(levels)
    if not isinstance(feature_map, np.ndarray) or feature_map.dtype != np.float32:
        raise TypeError(f"feature_map is {type_name(feature_map)}: give a float32 array")
    windows = check_windows(windows, *map_size(feature_map.shape))
    pooled = np.empty((len(windows), bin_count(levels), feature_map.shape[2]), np.float32)
    _average(np.ascontiguousarray(feature_map), windows, np.array(levels), pooled)
    return pooled


def average_windows_torch(feature_map: Tensor, windows: ArrayLike, levels: Iterable[int]) -> Tensor:
    """:func:`average_windows` in torch operations, for a map on any device.

    The sum of a bin is that of four values of the summed-area table (Crow, 1984), which is held in
    double precision.

    Args:
        feature_map: (rows, columns, channels), any floating type, on any device.
        windows, levels: as in :func:`average_windows`.

    Returns:
        (N, bins, channels), same type and device.
    """
    levels = check_levels(levels)
    rows, columns = map_size(feature_map.shape)
    windows = check_windows(windows, rows, columns)
    device = feature_map.device
    sums = feature_map.new_zeros((rows + 1, columns + 1, feature_map.shape[2]), dtype=torch.float64)
    sums[1:, 1:] = feature_map.double().cumsum(0).cumsum(1)
    corners = torch.from_numpy(windows).to(device).long()
    first, cells = corners[:, :2], corners[:, 2:] - corners[:, :2]
    parts = []
    for level in levels:
        index = torch.arange(level, device=device)[None, :, None]
        start = first[:, None] + index * cells[:, None] // level
        end = first[:, None] - (-(index + 1) * cells[:, None] // level)
        (x1, y1), (x2, y2) = start.unbind(2), end.unbind(2)
        y1, y2, x1, x2 = y1[:, :, None], y2[:, :, None], x1[:, None], x2[:, None]
        total = sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1]
        count = ((y2 - y1) * (x2 - x1))[..., None]
        parts.append((total / count).to(feature_map.dtype).flatten(1, 2))
    return torch.cat(parts, dim=1)


@compiled()
def _average(feature_map, windows, levels, out):  # type: ignore[no-untyped-def]
    channels = feature_map.shape[2]
    for n in range(windows.shape[0]):
        left, top = windows[n, 0], windows[n, 1]
        width, height = windows[n, 2] - left, windows[n, 3] - top
        place = 0
        for p in range(levels.shape[0]):
            level = levels[p]
            for i in range(level):
                y1, y2 = top + i * height // level, top - (-(i + 1) * height // level)
                for j in range(level):
                    x1, x2 = left + j * width // level, left - (-(j + 1) * width // level)
                    target = out[n, place]
                    for c in range(channels):
                        target[c] = 0
                    for y in range(y1, y2):
                        for x in range(x1, x2):
                            cell = feature_map[y, x]
                            for c in range(channels):
                                target[c] += cell[c]
                    count = np.float32((y2 - y1) * (x2 - x1))
                    for c in range(channels):
                        target[c] /= count
                    place += 1
