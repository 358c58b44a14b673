"""The kernels of :mod:`sppdet.device.direct` and :mod:`sppdet.device.pointwise`, for Triton."""

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["height", "width", "out_height", "out_width", "least", "most"])
def depthwise_kernel(
    maps,
    weight,
    bias,
    result,
    height,
    width,
    channels,
    out_height,
    out_width,
    least,
    most,
    KERNEL: tl.constexpr,
    STRIDE: tl.constexpr,
    NEAR: tl.constexpr,
    CELLS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    # CELLS cells of one row of the result and BLOCK channels; maps are (B, H, W, C), weights are
    # (KERNEL, KERNEL, C).
    image, y = tl.program_id(0) // out_height, tl.program_id(0) % out_height
    x = tl.program_id(1) * CELLS + tl.arange(0, CELLS)
    channel = tl.program_id(2) * BLOCK + tl.arange(0, BLOCK)
    inside = channel < channels
    source = maps + image.to(tl.int64) * height * width * channels + channel[None, :]
    total = tl.full((CELLS, BLOCK), 0.0, tl.float32)
    total += tl.load(bias + channel, mask=inside, other=0.0).to(tl.float32)[None, :]
    for dy in tl.static_range(KERNEL):
        v = y * STRIDE + dy - NEAR
        for dx in tl.static_range(KERNEL):
            u = x * STRIDE + dx - NEAR
            # Zeros lie around the map.
            seen = (u >= 0) & (u < tl.where((v >= 0) & (v < height), width, 0))
            place = (v * width + u) * channels
            cells = tl.load(
                source + place[:, None], mask=seen[:, None] & inside[None, :], other=0.0
            )
            place = (dy * KERNEL + dx) * channels
            factor = tl.load(weight + place + channel, mask=inside, other=0.0)
            total += cells.to(tl.float32) * factor.to(tl.float32)[None, :]
    total = tl.maximum(total, least, propagate_nan=tl.PropagateNan.ALL)
    total = tl.minimum(total, most, propagate_nan=tl.PropagateNan.ALL)
    target = tl.program_id(0).to(tl.int64) * out_width * channels
    target = result + target + (x * channels)[:, None] + channel[None, :]
    tl.store(
        target, total.to(result.dtype.element_ty), mask=(x < out_width)[:, None] & inside[None, :]
    )


@triton.jit(do_not_specialize=["count", "least", "most"])
def pointwise_kernel(
    pixels,
    weight,
    bias,
    result,
    count,
    inputs8,
    outputs8,
    least,
    most,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
):
    # ROWS pixels and COLUMNS channels of pixels (count, inputs) times weight (outputs, inputs)
    # transposed; inputs and outputs are multiples of 8, so that 16 bytes are read at a time.
    inputs, outputs = inputs8 * 8, outputs8 * 8
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    left = pixels + row.to(tl.int64)[:, None] * inputs
    right = weight + column[None, :] * inputs
    total = tl.full((ROWS, COLUMNS), 0.0, tl.float32)
    for start in range(0, inputs, DEPTH):
        place = start + tl.arange(0, DEPTH)
        a = tl.load(
            left + place[None, :],
            mask=(row < count)[:, None] & (place < inputs)[None, :],
            other=0.0,
        )
        b = tl.load(
            right + place[:, None],
            mask=(place < inputs)[:, None] & (column < outputs)[None, :],
            other=0.0,
        )
        total += tl.dot(a, b)
    total += tl.load(bias + column, mask=column < outputs, other=0.0).to(tl.float32)[None, :]
    total = tl.maximum(total, least, propagate_nan=tl.PropagateNan.ALL)
    total = tl.minimum(total, most, propagate_nan=tl.PropagateNan.ALL)
    tl.store(
        result + row.to(tl.int64)[:, None] * outputs + column[None, :],
        total.to(result.dtype.element_ty),
        mask=(row < count)[:, None] & (column < outputs)[None, :],
    )


@triton.jit(do_not_specialize=["height", "width", "out_height", "out_width", "least", "most"])
def direct_kernel(
    maps,
    weight,
    bias,
    result,
    height,
    width,
    outputs,
    out_height,
    out_width,
    least,
    most,
    INPUTS: tl.constexpr,
    KERNEL: tl.constexpr,
    STRIDE: tl.constexpr,
    NEAR: tl.constexpr,
    CELLS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    # CELLS cells of one row of the result and BLOCK of its channels; maps are (B, H, W, INPUTS),
    # weights are (KERNEL, KERNEL, INPUTS, outputs).
    image, y = tl.program_id(0) // out_height, tl.program_id(0) % out_height
    x = tl.program_id(1) * CELLS + tl.arange(0, CELLS)
    channel = tl.program_id(2) * BLOCK + tl.arange(0, BLOCK)
    inside = channel < outputs
    source = maps + image.to(tl.int64) * height * width * INPUTS
    total = tl.full((CELLS, BLOCK), 0.0, tl.float32)
    total += tl.load(bias + channel, mask=inside, other=0.0).to(tl.float32)[None, :]
    for dy in tl.static_range(KERNEL):
        v = y * STRIDE + dy - NEAR
        for dx in tl.static_range(KERNEL):
            u = x * STRIDE + dx - NEAR
            # Zeros lie around the map.
            seen = (u >= 0) & (u < tl.where((v >= 0) & (v < height), width, 0))
            for c in tl.static_range(INPUTS):
                cells = tl.load(source + (v * width + u) * INPUTS + c, mask=seen, other=0.0)
                place = ((dy * KERNEL + dx) * INPUTS + c) * outputs
                factor = tl.load(weight + place + channel, mask=inside, other=0.0)
                total += cells.to(tl.float32)[:, None] * factor.to(tl.float32)[None, :]
    total = tl.maximum(total, least, propagate_nan=tl.PropagateNan.ALL)
    total = tl.minimum(total, most, propagate_nan=tl.PropagateNan.ALL)
    target = tl.program_id(0).to(tl.int64) * out_width * outputs
    target = result + target + (x * outputs)[:, None] + channel[None, :]
    tl.store(
        target, total.to(result.dtype.element_ty), mask=(x < out_width)[:, None] & inside[None, :]
    )
