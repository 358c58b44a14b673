"""Depthwise convolutions on a GPU: one kernel for maps of all sizes.

cuDNN plans a convolution anew for every size of its input, in every thread that calls it, and for
depthwise ones in channels-last order that takes longest: a training with EfficientNet-Lite spent
most of its time on plans. A depthwise convolution has so few products that reading the map is what
it costs, so that a plain kernel is enough. It pads by itself, and ends with a ReLU or ReLU6.
"""

import threading
from importlib.util import find_spec

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CELLS, BLOCK = 8, 64
"""Cells of a row, and channels, that a program of the kernel computes."""

_lock = threading.Lock()
"""Held while the kernel is launched: threads that come at the same time would each compile it."""


class Depthwise(nn.Module):
    """A convolution of each channel by itself, with the padding before it and the limits behind it.

    On a CUDA device it is the kernel, with sums in single precision; elsewhere torch's operations.

    Args:
        layer: with as many groups as input and output channels, square, without dilation, padded
            by zeros.
        near, far: cells of zeros before the first and behind the last row and column.
        limits: the least and the greatest value of the result.
    """

    def __init__(self, layer: nn.Conv2d, near: int, far: int, limits: tuple[float, float]) -> None:
        super().__init__()
        self.kernel, self.stride = layer.kernel_size[0], layer.stride[0]
        self.near, self.far, self.limits = near, far, limits
        weight = layer.weight.detach()[:, 0].permute(1, 2, 0).contiguous()
        self.weight = nn.Parameter(weight, requires_grad=False)
        bias = layer.bias.detach() if layer.bias is not None else weight.new_zeros(weight.shape[2])
        self.bias = nn.Parameter(bias, requires_grad=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H', W'), channels-last."""
        if maps.is_cuda and find_spec("triton") is not None:
            with torch.cuda.device(maps.device):
                return self.by_kernel(maps)
        padded = F.pad(maps, (self.near, self.far, self.near, self.far))
        weight = self.weight.permute(2, 0, 1)[:, None]
        result = F.conv2d(padded, weight, self.bias, self.stride, groups=len(self.bias))
        return result.clamp(*self.limits)

    def by_kernel(self, maps: Tensor) -> Tensor:
        """:meth:`forward` by the kernel: on a CUDA device, or in Triton's interpreter."""
        from sppdet.device.depthwise_kernel import depthwise_kernel

        count, channels, height, width = maps.shape
        rows, columns = (
            (side + self.near + self.far - self.kernel) // self.stride + 1
            for side in (height, width)
        )
        maps = maps.contiguous(memory_format=torch.channels_last)
        result = torch.empty(
            (count, channels, rows, columns),
            dtype=maps.dtype,
            device=maps.device,
            memory_format=torch.channels_last,
        )
        if result.numel() == 0:
            return result
        with _lock:
            depthwise_kernel[(count * rows, -(-columns // CELLS), -(-channels // BLOCK))](
                maps,
                self.weight,
                self.bias,
                result,
                height,
                width,
                channels,
                rows,
                columns,
                *self.limits,
                KERNEL=self.kernel,
                STRIDE=self.stride,
                NEAR=self.near,
                CELLS=CELLS,
                BLOCK=BLOCK,
            )
        return result
