"""Convolutions of 1 x 1 as products, in Triton's interpreter or on a GPU."""

import os

import pytest
import torch
from torch import nn

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when a kernel is defined

from sppdet.device.pointwise import Pointwise

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LIMITS = [(-torch.inf, torch.inf), (0.0, torch.inf), (0.0, 6.0)]


def layer_of(inputs: int, outputs: int, bias: bool = True) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(inputs, outputs, 1, bias=bias).requires_grad_(False)


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize(
    ("inputs", "outputs", "sides"), [(8, 8, (1, 1)), (40, 72, (5, 13)), (24, 136, (9, 9))]
)
def test_the_kernel_is_the_convolution(
    inputs: int, outputs: int, sides: tuple[int, int], limits: tuple[float, float]
) -> None:
    pytest.importorskip("triton")
    layer = layer_of(inputs, outputs)
    maps = (torch.randn(2, inputs, *sides) * 6).half()
    half = layer.half()
    wanted = nn.functional.conv2d(
        maps.float(), half.weight.float(), half.bias.float() if half.bias is not None else None
    ).clamp(*limits)
    made = Pointwise(half, limits).to(DEVICE)
    pixels = maps.to(DEVICE).permute(0, 2, 3, 1).reshape(-1, inputs)
    assert made.fits(pixels)
    found = made.by_kernel(pixels).view(2, *sides, outputs).permute(0, 3, 1, 2)
    torch.testing.assert_close(found.float().cpu(), wanted, rtol=2e-3, atol=4e-3)


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("bias", [True, False])
def test_torchs_product_is_the_convolution(limits: tuple[float, float], bias: bool) -> None:
    layer = layer_of(5, 9, bias)
    maps = torch.randn(2, 5, 4, 3) * 6
    found = Pointwise(layer, limits)(maps)
    torch.testing.assert_close(found, layer(maps).clamp(*limits))


@pytest.mark.parametrize(
    ("inputs", "outputs", "kind", "fits"),
    [
        (8, 16, torch.float16, True),
        (8, 16, torch.bfloat16, True),
        (8, 16, torch.float32, False),
        (8, 12, torch.float16, False),
        (3, 16, torch.float16, False),
    ],
)
def test_what_the_kernel_takes(inputs: int, outputs: int, kind: torch.dtype, fits: bool) -> None:
    pytest.importorskip("triton")
    made = Pointwise(layer_of(inputs, outputs), LIMITS[0]).to(kind)
    assert made.fits(torch.zeros(1, inputs, dtype=kind)) == fits


def test_what_is_no_number_stays() -> None:
    pytest.importorskip("triton")
    made = Pointwise(layer_of(8, 8).half(), (0.0, 6.0)).to(DEVICE)
    pixels = torch.ones(3, 8, dtype=torch.float16, device=DEVICE)
    pixels[1, 2] = torch.nan
    found = made.by_kernel(pixels).isnan().cpu()
    assert torch.equal(found, torch.tensor([[False] * 8, [True] * 8, [False] * 8]))
    assert made.by_kernel(pixels[:0]).shape == (0, 8)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(16, 96, 4800), (1152, 192, 320), (40, 240, 19_201)])
def test_every_precision_on_a_gpu(shape: tuple[int, int, int], kind: torch.dtype) -> None:
    inputs, outputs, count = shape
    layer = layer_of(inputs, outputs).to("cuda", kind)
    pixels = torch.randn(count, inputs, device="cuda").to(kind)
    found = Pointwise(layer, (0.0, 6.0)).by_kernel(pixels)
    bias = layer.bias
    assert bias is not None
    wanted = (pixels.double() @ layer.weight.double().flatten(1).T + bias.double()).clamp(0, 6)
    near = torch.finfo(kind).eps
    torch.testing.assert_close(found.double(), wanted, rtol=near, atol=near)
