"""The kernels of :mod:`sppdet.features.window_pooling_triton`, in Triton's language.

A program works on BLOCK channels at a time. Triton unrolls ``tl.static_range`` and knows tuples as
lists of values in registers; they grow by addition only.
"""

import triton
import triton.language as tl


@triton.jit
def _larger(one, other):
    # Some versions of Triton compute bfloat16 in single precision; the cast changes no value.
    return tl.maximum(one, other, propagate_nan=tl.PropagateNan.ALL).to(one.dtype)


@triton.jit(do_not_specialize=["length", "lanes"])
def run_kernel(
    source,
    table,
    length,
    channels,
    lanes,
    axis_stride,
    lane_stride,
    group_stride,
    depth_stride,
    DEPTH: tl.constexpr,
    FROM: tl.constexpr,
    TILE: tl.constexpr,
    BLOCK: tl.constexpr,
    EVEN: tl.constexpr,
):
    # The maxima of 1, 2, 4, ... cells along one axis, of TILE cells and BLOCK channels.
    lane, group = tl.program_id(0) % lanes, tl.program_id(0) // lanes
    first = tl.program_id(1) * TILE
    channel = tl.program_id(2) * BLOCK + tl.arange(0, BLOCK)
    inside = channel >= 0 if EVEN else channel < channels
    base = group.to(tl.int64) * group_stride + lane * lane_stride
    maxima = ()
    for k in tl.static_range(TILE + (1 << DEPTH) - 1):
        cell = tl.minimum(first + k, length - 1)
        read = tl.load(source + base + cell * axis_stride + channel, mask=inside)
        maxima = maxima + (read,)
    for d in tl.static_range(DEPTH + 1):
        if d > 0:
            longer = ()
            for k in tl.static_range(TILE + (1 << DEPTH) - (1 << d)):
                longer = longer + (_larger(maxima[k], maxima[k + (1 << (d - 1))]),)
            maxima = longer
        if d >= FROM:
            target = table + d * tl.cast(depth_stride, tl.int64) + base + channel
            for k in tl.static_range(TILE):
                place = target + (first + k) * axis_stride
                tl.store(place, maxima[k], mask=channel < tl.where(first + k < length, channels, 0))


@triton.jit
def _bin(
    table,
    y1,
    y2,
    x1,
    x2,
    rows,
    columns,
    channels,
    channel,
    inside,
    DEPTH: tl.constexpr,
    LONG: tl.constexpr,
):
    # The maximum of a rectangle of cells, from the largest blocks that fit into it.
    a, b = 0, 0
    for d in tl.static_range(DEPTH):
        a += (y2 - y1 >= (2 << d)).to(tl.int32)
    for d in tl.static_range(DEPTH):
        b += (x2 - x1 >= (2 << d)).to(tl.int32)
    blocks = table + ((a * (DEPTH + 1) + b) * rows).to(tl.int64) * columns * channels + channel
    bottom, right = y2 - (1 << a), x2 - (1 << b)
    least = -float("inf")
    best = tl.load(blocks + (y1 * columns + x1) * channels, mask=inside)
    if LONG:
        for y in range(y1, y2, 1 << a):
            for x in range(x1, x2, 1 << b):
                place = tl.minimum(y, bottom) * columns + tl.minimum(x, right)
                best = _larger(best, tl.load(blocks + place * channels, mask=inside))
    else:
        # A bin of one block in a direction has no second one there.
        across = channel < tl.where(right > x1, channels, 0)
        down = channel < tl.where(bottom > y1, channels, 0)
        place = (y1 * columns + right) * channels
        second = tl.load(blocks + place, mask=across, other=least)
        place = (bottom * columns + x1) * channels
        third = tl.load(blocks + place, mask=down, other=least)
        place = (bottom * columns + right) * channels
        fourth = tl.load(blocks + place, mask=across & down, other=least)
        best = _larger(_larger(best, second), _larger(third, fourth))
    return best


@triton.jit(do_not_specialize=["rows", "columns"])
def pool_kernel(
    table,
    windows,
    pooled,
    rows,
    columns,
    channels,
    length,
    LEVEL: tl.constexpr,
    NESTED: tl.constexpr,
    OFFSETS: tl.constexpr,
    UNROLLED: tl.constexpr,
    DEPTH: tl.constexpr,
    LONG: tl.constexpr,
    BLOCK: tl.constexpr,
    EVEN: tl.constexpr,
):
    # All bins of one window and BLOCK channels, of the level LEVEL and of the levels in the bits of
    # NESTED, which divide it.
    window = windows + tl.program_id(0) * 4
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = channel >= 0 if EVEN else channel < channels
    left, top = tl.load(window), tl.load(window + 1)
    width, height = tl.load(window + 2) - left, tl.load(window + 3) - top
    target = pooled + tl.program_id(0).to(tl.int64) * length + channel
    if UNROLLED:
        fine = ()
        for i in tl.static_range(LEVEL):
            y1, y2 = top + i * height // LEVEL, top + ((i + 1) * height + LEVEL - 1) // LEVEL
            for j in tl.static_range(LEVEL):
                x1, x2 = left + j * width // LEVEL, left + ((j + 1) * width + LEVEL - 1) // LEVEL
                best = _bin(
                    table, y1, y2, x1, x2, rows, columns, channels, channel, inside,
                    DEPTH, LONG,
                )  # fmt: skip
                first = ((OFFSETS >> (16 * LEVEL)) & 0xFFFF) + i * LEVEL + j
                tl.store(
                    target + first * channels, best, mask=inside, eviction_policy="evict_first"
                )
                fine = fine + (best,)
        for level in tl.static_range(1, LEVEL):
            if (NESTED >> level) & 1:
                for i in tl.static_range(level):
                    for j in tl.static_range(level):
                        best = fine[i * (LEVEL // level) * LEVEL + j * (LEVEL // level)]
                        for u in tl.static_range(LEVEL // level):
                            for v in tl.static_range(LEVEL // level):
                                best = _larger(
                                    best,
                                    fine[
                                        (i * (LEVEL // level) + u) * LEVEL
                                        + j * (LEVEL // level)
                                        + v
                                    ],
                                )
                        first = ((OFFSETS >> (16 * level)) & 0xFFFF) + i * level + j
                        tl.store(
                            target + first * channels, best, mask=inside,
                            eviction_policy="evict_first",
                        )  # fmt: skip
    else:
        for place in range(LEVEL * LEVEL):
            i, j = place // LEVEL, place % LEVEL
            y1, y2 = top + i * height // LEVEL, top + ((i + 1) * height + LEVEL - 1) // LEVEL
            x1, x2 = left + j * width // LEVEL, left + ((j + 1) * width + LEVEL - 1) // LEVEL
            best = _bin(
                table, y1, y2, x1, x2, rows, columns, channels, channel, inside, DEPTH, LONG
            )
            tl.store(target + (OFFSETS + place) * channels, best, mask=inside)
