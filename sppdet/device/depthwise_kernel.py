"""The kernel of :mod:`sppdet.device.depthwise`, in Triton's language."""

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
    total = tl.zeros((CELLS, BLOCK), tl.float32)
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
