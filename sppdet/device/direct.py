"""Convolutions of few input channels on a GPU, each output cell by itself, for maps of all sizes.

cuDNN plans a convolution anew for every size of its input, in every thread that calls it, which
takes longer than the convolutions of a photograph. Where each output channel sees one channel (a
depthwise convolution) or the three of an image, there are so few products that reading the map is
what it costs, and a plain kernel is enough. It pads by itself, and ends with the limits of a ReLU
or ReLU6.
"""

import threading
from importlib.util import find_spec

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CELLS, BLOCK = 8, 64
"""Cells of a row, and channels, that a program of the kernel of depthwise convolutions computes."""

FIRST_CELLS, FIRST_BLOCK = 32, 32
"""The same for the other one."""

_lock = threading.Lock()
"""Held while a kernel is launched: threads that come at the same time would each compile it."""


class Direct(nn.Module):
    """A convolution with the padding before it and the limits behind it.

    On a CUDA device it is a kernel, with sums in single precision; elsewhere torch's operations.

    Args:
        layer: square, without dilation, padded by zeros; with one group, or with as many groups as
            input and output channels.
        near, far: cells of zeros before the first and behind the last row and column.
        limits: the least and the greatest value of the result.
    """

    def __init__(self, layer: nn.Conv2d, near: int, far: int, limits: tuple[float, float]) -> None:
        super().__init__()
        self.kernel, self.stride = layer.kernel_size[0], layer.stride[0]
        self.near, self.far, self.limits = near, far, limits
        self.depthwise = layer.groups > 1
        # (kernel, kernel, inputs of an output, outputs), as a matrix: the order in memory of what
        # has four axes changes with a network's memory format.
        weight = layer.weight.detach().permute(2, 3, 1, 0).flatten(0, 2).contiguous()
        self.weight = nn.Parameter(weight, requires_grad=False)
        bias = layer.bias.detach() if layer.bias is not None else weight.new_zeros(weight.shape[1])
        self.bias = nn.Parameter(bias, requires_grad=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H', W'), channels-last."""
        if maps.is_cuda and find_spec("triton") is not None:
            with torch.cuda.device(maps.device):
                return self.by_kernel(maps)
        padded = F.pad(maps, (self.near, self.far, self.near, self.far))
        weight = self.weight.unflatten(0, (self.kernel, self.kernel, -1)).permute(3, 2, 0, 1)
        groups = len(self.bias) if self.depthwise else 1
        return F.conv2d(padded, weight, self.bias, self.stride, groups=groups).clamp(*self.limits)

    def by_kernel(self, maps: Tensor) -> Tensor:
        """:meth:`forward` by the kernel: on a CUDA device, or in Triton's interpreter."""
        from sppdet.device.layer_kernels import depthwise_kernel, direct_kernel

        count, inputs, height, width = maps.shape
        rows, columns = (
            (side + self.near + self.far - self.kernel) // self.stride + 1
            for side in (height, width)
        )
        maps, outputs = maps.contiguous(memory_format=torch.channels_last), len(self.bias)
        result = torch.empty(
            (count, outputs, rows, columns),
            dtype=maps.dtype,
            device=maps.device,
            memory_format=torch.channels_last,
        )
        if result.numel() == 0:
            return result
        cells, block = (CELLS, BLOCK) if self.depthwise else (FIRST_CELLS, FIRST_BLOCK)
        kernel = depthwise_kernel if self.depthwise else direct_kernel
        more = {} if self.depthwise else {"INPUTS": inputs}
        with _lock:
            kernel[(count * rows, -(-columns // cells), -(-outputs // block))](
                maps,
                self.weight,
                self.bias,
                result,
                height,
                width,
                outputs,
                rows,
                columns,
                *self.limits,
                KERNEL=self.kernel,
                STRIDE=self.stride,
                NEAR=self.near,
                CELLS=cells,
                BLOCK=block,
                **more,
            )
        return result
