"""The maxima of many windows' bins, compiled: what pooling and scoring on a CPU have in common.

A bin of h x w cells is covered by blocks of 2^k x 2^k cells, whose maxima are computed once for the
whole map, k up to 2. They may overlap, since a maximum is the same when a cell is seen twice. So a
bin takes four reads in general, where it would take h w, and the result is the same.

Values are compared with ``>``, which processors do fastest and which loses NaN: maps with NaN go
another way (:func:`has_nan`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sppdet.runtime.compiled import compiled

DEPTH = 2
"""The largest k: blocks of 4 x 4 cells. Larger ones serve few bins, and take room in the caches."""

WORTH = 8
"""Cells of all windows, in maps, from which on the maxima of blocks are computed first."""


def has_nan(feature_map: NDArray[np.float32]) -> bool:
    """Whether an array has NaN: squares are never negative, so that infinities stay infinities.

    Examples:
        >>> has_nan(np.array([np.inf, -np.inf, 1e30], np.float32)), has_nan(np.float32([0, np.nan]))
        (False, True)
    """
    flat = feature_map.reshape(-1)
    return bool(np.isnan(np.vdot(flat, flat)))


def block_maxima(feature_map: NDArray[np.float32], windows: NDArray[Any]) -> NDArray[np.float32]:
    """The map, and the maxima of its blocks where the windows are worth it.

    Args:
        feature_map: (rows, columns, channels), C-contiguous, without NaN.
        windows: (N, 4), inside the map.

    Returns:
        (1 + depth, rows, columns, channels): [k, y, x] is the maximum of the 2^k x 2^k cells from
        row y and column x on; where they leave the map it has no meaning. Depth is 0 or ``DEPTH``.
    """
    sides = windows[:, 2:].astype(np.int64) - windows[:, :2]
    if int(sides.prod(1).sum()) < WORTH * feature_map.shape[0] * feature_map.shape[1]:
        return feature_map[None]
    blocks = np.empty((1 + DEPTH, *feature_map.shape), np.float32)
    blocks[0] = feature_map
    _fill_blocks(blocks)
    return blocks


@compiled()
def _fill_blocks(blocks):  # type: ignore[no-untyped-def]
    depth, rows, columns, channels = blocks.shape
    flat, plane, line = blocks.reshape(blocks.size), rows * columns * channels, columns * channels
    for k in range(1, depth):
        half = 1 << (k - 1)
        right, down = half * channels, half * line
        for y in range(rows - 2 * half + 1):
            for x in range(columns - 2 * half + 1):
                at = y * line + x * channels
                a, below = (k - 1) * plane + at, (k - 1) * plane + at + down
                _four(flat, a, a + right, below, below + right, flat, k * plane + at, channels)


@compiled()
def pool_planned(blocks, windows, plan, out):  # type: ignore[no-untyped-def]
    """Fill ``out`` (N, bins, channels) for windows (N, 4), by :func:`block_maxima` and a plan of
    :func:`sppdet.features.window_pooling.pooling_plan`."""
    blocks_deep, rows, columns, channels = blocks.shape
    cells, bins = blocks.reshape(blocks.size), out.reshape(out.size)
    plane = rows * columns * channels
    finest = plan[0, 0]
    x1, x2 = np.empty(finest, np.int64), np.empty(finest, np.int64)
    y1, y2 = np.empty(finest, np.int64), np.empty(finest, np.int64)
    for n in range(windows.shape[0]):
        left, top = np.int64(windows[n, 0]), np.int64(windows[n, 1])
        width, height = windows[n, 2] - left, windows[n, 3] - top
        own = n * out.shape[1] * channels
        for p in range(plan.shape[0]):
            level, first, source, source_first = plan[p, 0], plan[p, 1], plan[p, 2], plan[p, 3]
            if source:  # from the bins of a finer level, step x step of them
                read, depth, start, line = bins, 1, own + source_first * channels, source * channels
                step = source // level
                for i in range(level):
                    y1[i] = x1[i] = i * step
                    y2[i] = x2[i] = (i + 1) * step
            else:
                read, depth, start, line = cells, blocks_deep, 0, columns * channels
                for i in range(level):
                    y1[i], y2[i] = top + i * height // level, top - (-(i + 1) * height // level)
                    x1[i], x2[i] = left + i * width // level, left - (-(i + 1) * width // level)
            target = own + first * channels
            for i in range(level):
                h = y2[i] - y1[i]
                for j in range(level):
                    w = x2[j] - x1[j]
                    k, side = 0, 1
                    while k + 1 < depth and 2 * side <= min(h, w):
                        k, side = k + 1, 2 * side
                    at = start + k * plane + y1[i] * line + x1[j] * channels
                    _cover(read, at, w, line, h, side, bins, target, channels)
                    target += channels


@compiled(inline="always")
def _cover(source, at, w, down, h, side, out, target, channels):  # type: ignore[no-untyped-def]
    """The maximum over a bin of w x h places, each of which stands for side x side of them.

    ``at`` is the first place in ``source``; ``channels`` and ``down`` lead to the next ones.
    """
    if w <= 2 * side and h <= 2 * side:
        a, b = at, at + (w - side) * channels
        c = at + (h - side) * down
        if h > side and w > side:
            _four(source, a, b, c, c + b - a, out, target, channels)
        elif w > side:
            _two(source, a, b, out, target, channels)
        elif h > side:
            _two(source, a, c, out, target, channels)
        else:
            _two(source, a, a, out, target, channels)
        return
    y, begun = 0, False
    while True:
        x = 0
        below = min(y + side, h - side)
        while True:
            a = at + y * down + x * channels
            b = at + y * down + min(x + side, w - side) * channels
            c = a + (below - y) * down
            if begun:
                _four_more(source, a, b, c, c + b - a, out, target, channels)
            else:
                _four(source, a, b, c, c + b - a, out, target, channels)
                begun = True
            x += 2 * side
            if x >= w:
                break
            x = min(x, w - side)
        y += 2 * side
        if y >= h:
            break
        y = min(y, h - side)


@compiled()
def _two(source, a, b, out, target, channels):  # type: ignore[no-untyped-def]
    # Unsigned numbers: numba tests every signed index for being negative, one value at a time.
    a, b, target = np.uint64(a), np.uint64(b), np.uint64(target)
    for i in range(np.uint64(channels)):
        one, other = source[a + i], source[b + i]
        out[target + i] = one if one > other else other


@compiled()
def _four(source, a, b, c, d, out, target, channels):  # type: ignore[no-untyped-def]
    a, b, c, d = np.uint64(a), np.uint64(b), np.uint64(c), np.uint64(d)
    target = np.uint64(target)
    for i in range(np.uint64(channels)):
        one, other, third, last = source[a + i], source[b + i], source[c + i], source[d + i]
        one = one if one > other else other
        third = third if third > last else last
        out[target + i] = one if one > third else third


@compiled()
def _four_more(source, a, b, c, d, out, target, channels):  # type: ignore[no-untyped-def]
    a, b, c, d = np.uint64(a), np.uint64(b), np.uint64(c), np.uint64(d)
    target = np.uint64(target)
    for i in range(np.uint64(channels)):
        one, other, third, last = source[a + i], source[b + i], source[c + i], source[d + i]
        before = out[target + i]
        one = one if one > other else other
        third = third if third > last else last
        one = one if one > third else third
        out[target + i] = before if before > one else one
