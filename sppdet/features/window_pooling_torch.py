"""Pyramid pooling of many windows of one map, for tensors on any device."""

from collections.abc import Iterable
from functools import reduce
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from sppdet.features.pyramid import check_levels
from sppdet.features.window_pooling import map_size, type_name
from sppdet.features.windows import check_windows


def pool_windows_torch(
    feature_map: Tensor, windows: ArrayLike | Tensor, levels: Iterable[int]
) -> Tensor:
    """Window pooling of tensors: for a GPU, and differentiable in the map.

    On a CUDA device it is one kernel (:mod:`sppdet.features.window_pooling_triton`), unless a
    gradient is wanted. Elsewhere torch operations compute it: a table holds the maxima of all
    blocks of 2**a x 2**b cells; any rectangle is the union of four overlapping blocks, so that a
    bin costs four reads whatever its size. Windows share many bins: each distinct one is read once.
    Levels nest as there.

    Args:
        feature_map: (rows, columns, channels), any floating type, on any device.
        windows: as in :func:`sppdet.features.window_pooling.pool_windows`, or a tensor (N, 4)
            int32. What a tensor on a GPU holds is not checked, because that would wait for the
            device.
        levels: bins per side, for instance (1, 2, 3, 6).

    Returns:
        (N, bins, channels), same type and device.

    Raises:
        TypeError, ValueError: as :func:`sppdet.features.window_pooling.pool_windows`.
    """
    levels = check_levels(levels)
    if not isinstance(feature_map, Tensor) or not feature_map.is_floating_point():
        raise TypeError(f"feature_map is {type_name(feature_map)}: give a tensor of floats")
    rows, columns = map_size(feature_map.shape)
    if feature_map.is_cuda and triton_pools(feature_map):
        from sppdet.features.window_pooling_triton import pool_windows_triton

        with torch.cuda.device(feature_map.device):
            return pool_windows_triton(feature_map, _on_device(windows, feature_map), levels)
    if isinstance(windows, Tensor):
        windows = windows.cpu().numpy()
    windows = check_windows(windows, rows, columns)
    pooled: dict[int, Tensor] = {}
    for level in sorted(set(levels), reverse=True):
        sources = [finer for finer in pooled if finer % level == 0]
        if sources:
            fine, step = pooled[min(sources)], min(sources) // level
            parts = [fine[:, i::step, j::step] for i in range(step) for j in range(step)]
            pooled[level] = reduce(torch.maximum, parts)
        else:
            pooled[level] = _pool_level(feature_map, windows, level)
    return torch.cat([pooled[level].flatten(1, 2) for level in levels], dim=1)


def triton_pools(feature_map: Tensor) -> bool:
    """Whether the kernel can pool this map; it has no gradient, and no kernel for float64."""
    if feature_map.dtype not in (torch.float16, torch.bfloat16, torch.float32):
        return False
    if feature_map.requires_grad and torch.is_grad_enabled():
        return False
    return find_spec("triton") is not None


def _on_device(windows: ArrayLike | Tensor, feature_map: Tensor) -> Tensor:
    """The windows as the kernel wants them."""
    if not isinstance(windows, Tensor):
        windows = check_windows(windows, *map_size(feature_map.shape))
        return torch.from_numpy(windows).to(feature_map.device, non_blocking=True)
    if windows.ndim != 2 or windows.shape[1] != 4:
        raise ValueError(f"windows has the shape {tuple(windows.shape)}: give (N, 4)")
    if windows.dtype != torch.int32 or windows.device != feature_map.device:
        raise TypeError(
            f"windows is a tensor of {str(windows.dtype).removeprefix('torch.')} on "
            f"{windows.device}: give int32 on {feature_map.device}"
        )
    return windows


def _pool_level(feature_map: Tensor, windows: NDArray[np.int32], level: int) -> Tensor:
    """One level by itself: (N, level, level, channels)."""
    rows, columns, channels = feature_map.shape
    x1, x2 = _bounds(windows[:, 0], windows[:, 2], level)
    y1, y2 = _bounds(windows[:, 1], windows[:, 3], level)
    across = x1 * (columns + 1) + x2
    down = y1 * (rows + 1) + y2
    # One number per rectangle: sorting those is much faster than sorting rows of four.
    many = (columns + 1) ** 2
    distinct, inverse = np.unique(down[:, :, None] * many + across[:, None, :], return_inverse=True)
    down, across = np.divmod(distinct, many)
    rectangles = (*np.divmod(across, columns + 1), *np.divmod(down, rows + 1))
    maxima = _rectangle_maxima(feature_map, *rectangles)
    where = torch.from_numpy(inverse.reshape(-1)).to(maxima.device)
    return maxima[where].view(len(windows), level, level, channels)


def _bounds(
    first: NDArray[np.int32], end: NDArray[np.int32], level: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and end cell of each of ``level`` bins of each window, (N, level) each."""
    cells = (end - first).astype(np.int64)[:, None]
    index = np.arange(level)
    start = index * cells // level
    stop = -(-(index + 1) * cells // level)
    return first[:, None] + start, first[:, None] + stop


def _block_maxima(feature_map: Tensor, high: int, wide: int) -> list[list[Tensor]]:
    """table[a][b]: (rows, columns, channels), the maximum of the 2**a rows x 2**b columns from each
    cell on, for a up to ``high`` and b up to ``wide``; blocks that would leave the map are not
    meaningful and never read."""
    down = [feature_map]
    for a in range(high):
        down.append(_with_neighbour(down[-1], 1 << a, 0))
    table = []
    for level in down:
        across = [level]
        for b in range(wide):
            across.append(_with_neighbour(across[-1], 1 << b, 1))
        table.append(across)
    return table


def _with_neighbour(maxima: Tensor, step: int, axis: int) -> Tensor:
    length = maxima.shape[axis]
    ahead = maxima.narrow(axis, step, length - step)
    merged = torch.maximum(maxima.narrow(axis, 0, length - step), ahead)
    return torch.cat([merged, maxima.narrow(axis, length - step, step)], dim=axis)


def _rectangle_maxima(
    feature_map: Tensor,
    x1: NDArray[np.int64],
    x2: NDArray[np.int64],
    y1: NDArray[np.int64],
    y2: NDArray[np.int64],
) -> Tensor:
    """The maximum of each rectangle of cells, (M, channels)."""
    _, columns, channels = feature_map.shape
    device = feature_map.device
    if len(x1) == 0:
        return feature_map.new_zeros(0, channels)
    high = np.frexp((y2 - y1).astype(np.float64))[1] - 1
    wide = np.frexp((x2 - x1).astype(np.float64))[1] - 1
    table = _block_maxima(feature_map, high.max(), wide.max())
    order = np.lexsort((wide, high))
    kinds, starts = np.unique(np.stack([high, wide], 1)[order], axis=0, return_index=True)
    parts = []
    for (a, b), members in zip(kinds, np.split(order, starts[1:]), strict=True):
        block = table[a][b].reshape(-1, channels)
        top, left = y1[members] * columns, x1[members]
        bottom, right = (y2[members] - (1 << a)) * columns, x2[members] - (1 << b)
        corners = {(0, 0): top + left}
        if b:  # a block of one column is its own right edge
            corners[0, 1] = top + right
        if a:
            corners[1, 0] = bottom + left
        if a and b:
            corners[1, 1] = bottom + right
        reads = [block[torch.from_numpy(corner).to(device)] for corner in corners.values()]
        parts.append(reduce(torch.maximum, reads))
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return torch.cat(parts)[torch.from_numpy(back).to(device)]
