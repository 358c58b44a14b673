"""Pyramid pooling of many windows of one map on a GPU: one kernel for all levels of a pyramid.

Two small kernels first tabulate the maxima of all blocks of 2**a x 2**b cells. Any bin is the union
of four such blocks that may overlap, so that a bin costs at most four reads whatever its size, and
a window of the whole map takes as long as a small one. The third kernel takes one window and a
block of channels at a time: it reads the bins of a level from the table, keeps their maxima in
registers, and takes the maxima of every level that divides it from there.

Bins are those of :mod:`sppdet.features.window_pooling`; ``pool_windows_torch`` calls this
module on a CUDA device. The results are equal bit for bit.
"""

import threading
from dataclasses import dataclass

import torch
import triton
from torch import Tensor

from sppdet.features.pooling_kernels import pool_kernel, run_kernel

LARGEST = 8
"""The finest level whose bins are unrolled; finer ones are pooled in a loop over bins."""

DEEPEST = 3
"""Blocks of the table have at most 2**3 cells a side; longer bins take more than two of them."""

TILE = 8
"""Cells whose blocks one program of the table's kernels computes."""

OFFSET_BITS = 16
"""Bits of the number of a level's first bin in the packed argument ``OFFSETS``."""

FLOATS = (torch.float16, torch.bfloat16, torch.float32)
"""Types of maps that the kernels take."""

_lock = threading.Lock()
"""Held while kernels are launched: threads that come at the same time would each compile them."""


@dataclass(frozen=True)
class Launch:
    """How the pooling kernel is launched.

    Attributes:
        channels: of one program, a power of two.
        warps: of one program.
        depth: the table holds blocks of up to 2**depth cells a side.
    """

    channels: int
    warps: int
    depth: int = DEEPEST


def default_launch(dtype: torch.dtype, channels: int) -> Launch:
    """What is fast for maps of this type and depth (measured by ``benchmarks/gpu/pooling.py``)."""
    return Launch(min(128, triton.next_power_of_2(channels)), 1)


def pool_windows_triton(
    feature_map: Tensor, windows: Tensor, levels: tuple[int, ...], launch: Launch | None = None
) -> Tensor:
    """:func:`sppdet.features.window_pooling.pool_windows` on a GPU.

    Args:
        feature_map: (rows, columns, channels) float16, bfloat16 or float32, on a CUDA device; on
            any device in Triton's interpreter.
        windows: (N, 4) int32 on the same device, inside the map, at least one cell each: they are
            not checked, because that would wait for the device.
        levels: bins per side.
        launch: how; by default :func:`default_launch`.

    Returns:
        (N, bins, channels), same type and device.
    """
    rows, columns, channels = feature_map.shape
    count = len(windows)
    firsts, total = _first_bins(levels)
    pooled = feature_map.new_empty(count, total, channels)
    if count == 0 or channels == 0:
        return pooled
    launch = launch or default_launch(feature_map.dtype, channels)
    feature_map, windows = feature_map.contiguous(), windows.contiguous()
    with _lock:
        table = _block_maxima(feature_map, launch)
        blocks = triton.cdiv(channels, launch.channels)
        sources = [level for level in set(levels) if _is_source(level, levels)]
        for level in sorted(sources, reverse=True):
            nested = [m for m in set(levels) if _source_of(m, levels) == level and m != level]
            unrolled = level <= LARGEST
            pool_kernel[(count, blocks)](
                table,
                windows,
                pooled,
                rows,
                columns,
                channels,
                total * channels,
                LEVEL=level,
                NESTED=sum(1 << m for m in nested) if unrolled else 0,
                OFFSETS=sum(firsts[m] << (OFFSET_BITS * m) for m in [*nested, level])
                if unrolled
                else firsts[level],
                UNROLLED=unrolled,
                DEPTH=launch.depth,
                LONG=-(-max(rows, columns) // level) + 1 > 2 << launch.depth,
                BLOCK=launch.channels,
                EVEN=channels % launch.channels == 0,
                num_warps=launch.warps,
            )
            if not unrolled:
                _pool_nested(pooled, level, nested, firsts)
    _copy_repeated(pooled, levels, firsts)
    return pooled


def _first_bins(levels: tuple[int, ...]) -> tuple[dict[int, int], int]:
    """The first bin of each level, at its first appearance, and the number of bins in all."""
    firsts: dict[int, int] = {}
    total = 0
    for level in levels:
        firsts.setdefault(level, total)
        total += level * level
    return firsts, total


def _source_of(level: int, levels: tuple[int, ...]) -> int:
    """The level from whose bins the maxima of ``level`` are taken; itself if from the map."""
    finer = [m for m in levels if m > level and m % level == 0]
    return max(finer, default=level)


def _is_source(level: int, levels: tuple[int, ...]) -> bool:
    return _source_of(level, levels) == level


def _pool_nested(pooled: Tensor, level: int, nested: list[int], firsts: dict[int, int]) -> None:
    """The levels that divide a fine one, from its bins."""
    first = firsts[level]
    fine = pooled[:, first : first + level * level]
    for m in nested:
        parts = fine.reshape(len(fine), m, level // m, m, level // m, -1)
        pooled[:, firsts[m] : firsts[m] + m * m] = parts.amax(dim=(2, 4)).flatten(1, 2)


def _copy_repeated(pooled: Tensor, levels: tuple[int, ...], firsts: dict[int, int]) -> None:
    """Fill the places of levels that are asked for more than once."""
    place = 0
    for level in levels:
        first, bins = firsts[level], level * level
        if place != first:
            pooled[:, place : place + bins] = pooled[:, first : first + bins]
        place += bins


def _block_maxima(feature_map: Tensor, launch: Launch) -> Tensor:
    """(depth + 1, depth + 1, rows, columns, channels): the maxima of the 2**a x 2**b cells from
    each cell on. Blocks that would leave the map are not meaningful and never read.

    The depth is that of the launch for maps of all sizes: the kernels are compiled once.
    """
    if launch.depth == 0:
        return feature_map
    rows, columns, channels = feature_map.shape
    sides = launch.depth + 1
    table = feature_map.new_empty(sides, sides, rows, columns, channels)
    blocks = triton.cdiv(channels, launch.channels)
    even = channels % launch.channels == 0
    step = rows * columns * channels
    run_kernel[(columns, triton.cdiv(rows, TILE), blocks)](
        feature_map,
        table,
        rows,
        channels,
        columns,
        columns * channels,
        channels,
        0,
        sides * step,
        DEPTH=launch.depth,
        FROM=0,
        TILE=TILE,
        BLOCK=launch.channels,
        EVEN=even,
        num_warps=launch.warps,
    )
    run_kernel[(sides * rows, triton.cdiv(columns, TILE), blocks)](
        table,
        table,
        columns,
        channels,
        rows,
        channels,
        columns * channels,
        sides * step,
        step,
        DEPTH=launch.depth,
        FROM=1,
        TILE=TILE,
        BLOCK=launch.channels,
        EVEN=even,
        num_warps=launch.warps,
    )
    return table
