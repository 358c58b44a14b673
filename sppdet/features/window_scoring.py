"""Linear functions of the pyramids of many windows, without holding the pyramids.

A class's SVM and its box regression are linear in the pooled features. The features of 1,000
windows with 455 channels take 91 MB; written to memory and read again they cost as much time as
pooling. Here a few windows are pooled into a buffer that stays in the processor's cache, and
multiplied there.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import ArrayLike

from sppdet.features.pyramid import bin_count, check_levels
from sppdet.features.window_maxima import block_maxima, has_nan, pool_planned
from sppdet.features.window_pooling import FEWEST_WINDOWS, MapArray, pool_windows, pooling_plan
from sppdet.features.windows import check_windows
from sppdet.runtime.compiled import compiled

_TOGETHER = 4
"""Windows that are pooled before they are multiplied."""

_PART = 2048
"""Values of a feature vector that are multiplied with all weights in turn: 8 KB of each."""


def score_windows(
    feature_map: MapArray,
    windows: ArrayLike,
    levels: Iterable[int],
    weight: MapArray,
    threads: int = 1,
) -> MapArray:
    """``pool_windows(feature_map, windows, levels).reshape(N, D) @ weight.T``, to rounding.

    Args:
        feature_map, windows, levels: as in :func:`sppdet.features.window_pooling.pool_windows`.
        weight: (J, D) float32, with D = bins x channels.
        threads: number of threads that share the windows; the result does not depend on it.

    Returns:
        (N, J) float32.

    Raises:
        TypeError: an argument, or its values, are of another type.
        ValueError: an argument has another shape, or a window is empty or leaves the map.
    """
    levels = check_levels(levels)
    for name, array, axes in (("feature_map", feature_map, 3), ("weight", weight, 2)):
        if not isinstance(array, np.ndarray) or array.dtype != np.float32:
            raise TypeError(f"{name} is not a float32 array")
        if array.ndim != axes:
            raise ValueError(f"{name} has the shape {array.shape}: give {axes} axes")
    windows = check_windows(windows, *feature_map.shape[:2])
    dimension = bin_count(levels) * feature_map.shape[2]
    if weight.shape[1] != dimension:
        raise ValueError(f"weight has the shape {weight.shape}: a feature has {dimension} values")
    plan = pooling_plan(levels)
    feature_map, weight = np.ascontiguousarray(feature_map), np.ascontiguousarray(weight)
    if has_nan(feature_map):
        return pool_windows(feature_map, windows, levels).reshape(len(windows), -1) @ weight.T
    blocks = block_maxima(feature_map, windows)
    result = np.empty((len(windows), len(weight)), np.float32)

    def score_part(first: int, end: int) -> None:
        buffer = np.empty((_TOGETHER, bin_count(levels), feature_map.shape[2]), np.float32)
        _score(blocks, windows[first:end], plan, weight, buffer, result[first:end])

    parts = min(int(threads), len(windows) // FEWEST_WINDOWS)
    if parts <= 1:
        score_part(0, len(windows))
        return result
    ends = np.linspace(0, len(windows), parts + 1).astype(int)
    with ThreadPoolExecutor(parts) as executor:
        list(executor.map(score_part, ends[:-1], ends[1:]))
    return result


@compiled(fastmath={"reassoc", "contract", "nsz"})
def _multiply(features, weight, out):  # type: ignore[no-untyped-def]
    """``out = features @ weight.T``, part by part of the vectors."""
    count, dimension = features.shape
    out[:] = 0
    for start in range(0, dimension, _PART):
        end = min(start + _PART, dimension)
        for n in range(count):
            vector = features[n, start:end]
            for j in range(weight.shape[0]):
                row = weight[j, start:end]
                total = np.float32(0)
                for i in range(end - start):
                    total += vector[i] * row[i]
                out[n, j] += total


@compiled()
def _score(blocks, windows, plan, weight, buffer, out):  # type: ignore[no-untyped-def]
    together = buffer.shape[0]
    flat = buffer.reshape(together, buffer.shape[1] * buffer.shape[2])
    for first in range(0, windows.shape[0], together):
        end = min(first + together, windows.shape[0])
        pool_planned(blocks, windows[first:end], plan, buffer[: end - first])
        _multiply(flat[: end - first], weight, out[first:end])
