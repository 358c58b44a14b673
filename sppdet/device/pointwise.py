"""Convolutions of 1 x 1 on a GPU: one product of the pixels and the weights, for maps of all sizes.

A library of convolutions plans each one anew for every new size of the map, and a library of
products looks for its best kernel. In half precision a kernel of our own does neither.
"""

import threading
from importlib.util import find_spec

import torch
from torch import Tensor, nn

ROWS, COLUMNS, DEPTH = 64, 64, 32
"""Pixels, output channels and input channels that a program of the kernel works on at a time."""

HALVES = (torch.float16, torch.bfloat16)
"""Types of numbers that the kernel takes."""

_lock = threading.Lock()
"""Held while the kernel is launched: threads that come at the same time would each compile it."""


class Pointwise(nn.Module):
    """A convolution of 1 x 1 with the limits behind it.

    On a CUDA device it is the kernel in half precision, if the numbers of channels are multiples of
    8; else one product of torch. Sums are in single precision.

    Args:
        layer: without stride, padding and groups.
        limits: the least and the greatest value of the result.
    """

    def __init__(self, layer: nn.Conv2d, limits: tuple[float, float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(layer.weight.flatten(1).contiguous(), requires_grad=False)
        bias = layer.bias if layer.bias is not None else layer.weight.new_zeros(len(layer.weight))
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.limits = limits

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H, W), channels-last."""
        count, channels, height, width = maps.shape
        pixels = maps.permute(0, 2, 3, 1).reshape(-1, channels)
        if pixels.is_cuda and self.fits(pixels):
            with torch.cuda.device(pixels.device):
                result = self.by_kernel(pixels)
        elif self.limits == (0.0, torch.inf):
            result = torch._addmm_activation(self.bias, pixels, self.weight.T)
        else:
            result = torch.addmm(self.bias, pixels, self.weight.T)
            if self.limits != (-torch.inf, torch.inf):
                result.clamp_(*self.limits)
        return result.view(count, height, width, -1).permute(0, 3, 1, 2)

    def fits(self, pixels: Tensor) -> bool:
        """Whether the kernel takes these pixels."""
        eights = not any(side % 8 for side in self.weight.shape)
        return pixels.dtype in HALVES and eights and find_spec("triton") is not None

    def by_kernel(self, pixels: Tensor) -> Tensor:
        """(pixels, C) to (pixels, C') by the kernel: on a CUDA device, or in the interpreter."""
        from sppdet.device.layer_kernels import pointwise_kernel

        pixels = pixels.contiguous()
        outputs, inputs = self.weight.shape
        result = pixels.new_empty(len(pixels), outputs)
        if result.numel() == 0:
            return result
        with _lock:
            pointwise_kernel[(-(-len(pixels) // ROWS), -(-outputs // COLUMNS))](
                pixels,
                self.weight,
                self.bias,
                result,
                len(pixels),
                inputs // 8,
                outputs // 8,
                *self.limits,
                ROWS=ROWS,
                COLUMNS=COLUMNS,
                DEPTH=DEPTH,
            )
        return result
