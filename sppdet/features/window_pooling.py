"""Pyramid pooling of many windows of one map: 2,000 windows in the time of a few memory reads.

Bin i of n over a window of h cells spans floor(i h / n) .. ceil((i + 1) h / n), as in
:class:`sppdet.features.pyramid.SpatialPyramidPool`. Because those bounds nest, the bins of level n
are exact maxima of the bins of every level that n divides: for (1, 2, 3, 6) the map is read for
level 6 only, and there in blocks of cells (:mod:`sppdet.features.window_maxima`).
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sppdet.features.pyramid import bin_count, check_levels
from sppdet.features.window_maxima import block_maxima, has_nan, pool_planned
from sppdet.features.windows import check_windows

MapArray = NDArray[np.float32]

FEWEST_WINDOWS = 32
"""Windows per thread that are worth one."""


def pool_windows(
    feature_map: MapArray,
    windows: ArrayLike,
    levels: Iterable[int],
    out: MapArray | None = None,
    threads: int = 1,
) -> MapArray:
    """Max-pool every window with every level of the pyramid.

    Args:
        feature_map: (rows, columns, channels) float32; copied where it is not C-contiguous.
        windows: (N, 4) integers, as from :func:`sppdet.features.windows.map_windows`: first column,
            first row, end column, end row (exclusive), inside the map, at least one cell each.
        levels: bins per side, for instance (1, 2, 3, 6).
        out: a buffer for at least N windows, (>= N, bins, channels) float32, C-contiguous.
        threads: number of threads that share the windows; the result does not depend on it.

    Returns:
        (N, bins, channels) float32: level by level in the order given, within a level row by row.

    Raises:
        TypeError: an argument, or its values, are of another type.
        ValueError: an argument has another shape, a window is empty or leaves the map, or the
            buffer does not fit.

    Examples:
        >>> feature_map = np.arange(12, dtype=np.float32).reshape(3, 4, 1)
        >>> pool_windows(feature_map, [[0, 0, 2, 2], [1, 0, 4, 3]], levels=(1, 2))[:, :, 0]
        array([[ 5.,  0.,  1.,  4.,  5.],
               [11.,  6.,  7., 10., 11.]], dtype=float32)
    """
    levels = check_levels(levels)
    if not isinstance(feature_map, np.ndarray) or feature_map.dtype != np.float32:
        raise TypeError(
            f"feature_map is {type_name(feature_map)}: give a float32 array, "
            "feature_map.astype(np.float32); tensors go to pool_windows_torch"
        )
    windows = check_windows(windows, *map_size(feature_map.shape))
    if not isinstance(threads, int | np.integer) or isinstance(threads, bool):
        raise TypeError(f"threads is {threads!r}: give a whole number")
    if threads < 1:
        raise ValueError(f"threads is {threads}: give 1 or more")
    shape = (len(windows), bin_count(levels), feature_map.shape[2])
    if out is None:
        out = np.empty(shape, np.float32)
    else:
        _check_buffer(out, shape)
    result = out[: len(windows)]
    plan = pooling_plan(levels)
    feature_map = np.ascontiguousarray(feature_map)
    if has_nan(feature_map):
        missing = np.isnan(feature_map)
        pool_windows(np.where(missing, np.float32(0), feature_map), windows, levels, result)
        result[pool_windows(missing.astype(np.float32), windows, levels) > 0] = np.nan
        return result
    blocks = block_maxima(feature_map, windows)
    parts = min(int(threads), len(windows) // FEWEST_WINDOWS)
    if parts <= 1:
        pool_planned(blocks, windows, plan, result)
        return result
    ends = np.linspace(0, len(windows), parts + 1).astype(int)

    def pool_part(first: int, end: int) -> None:
        pool_planned(blocks, windows[first:end], plan, result[first:end])

    with ThreadPoolExecutor(parts) as executor:
        list(executor.map(pool_part, ends[:-1], ends[1:]))
    return result


def map_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of a feature map."""
    if len(shape) != 3:
        raise ValueError(f"feature_map is {tuple(shape)}: give (rows, columns, channels)")
    return shape[0], shape[1]


def _check_buffer(out: MapArray, shape: tuple[int, int, int]) -> None:
    if not isinstance(out, np.ndarray) or out.dtype != np.float32:
        raise TypeError(f"out is {type_name(out)}: give a float32 array")
    if out.ndim != 3 or out.shape[1:] != shape[1:] or len(out) < shape[0]:
        raise ValueError(f"out has the shape {out.shape}: it cannot hold {shape}")
    if not out.flags.c_contiguous or not out.flags.writeable:
        raise ValueError("out must be C-contiguous and writeable: give np.empty(shape, np.float32)")


def type_name(value: Any) -> str:
    """What a value is, with the type of its numbers where it has one."""
    dtype = getattr(value, "dtype", None)
    return type(value).__name__ + (f" of {str(dtype).removeprefix('torch.')}" if dtype else "")


def pooling_plan(levels: tuple[int, ...]) -> NDArray[np.int64]:
    """One row per level, in the order of work: bins per side, first bin of the level in the output,
    bins per side of the level to take maxima from (0: read the map), first bin of that level."""
    firsts = np.concatenate([[0], np.cumsum([level * level for level in levels])])
    rows = []
    for level in sorted(set(levels), reverse=True):
        sources = [m for m in levels if m > level and m % level == 0]
        source = min(sources) if sources else 0
        source_first = firsts[levels.index(source)] if sources else 0
        first_own = firsts[levels.index(level)]
        rows.append((level, first_own, source, source_first))
        for again in range(levels.index(level) + 1, len(levels)):
            if levels[again] == level:
                rows.append((level, firsts[again], level, first_own))
    return np.array(rows, np.int64)
