"""Convolutions of few input channels against torch's, in Triton's interpreter or on a GPU."""

import os
from collections import OrderedDict

import pytest
import torch
from torch import nn

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when a kernel is defined

from sppdet.device.direct import Direct
from sppdet.device.layers import converted, use_kernels
from sppdet.trunks import build_trunk

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def sequence(
    channels: int, kernel: int, stride: int, near: int, far: int, end: str, padding: int = 0
) -> nn.Sequential:
    """Zeros, a convolution (depthwise but for 3 channels) and a last layer."""
    torch.manual_seed(0)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if near or far:
        layers["pad"] = nn.ZeroPad2d((near, far, near, far))
    groups = channels if channels != 3 else 1
    outputs = channels if channels != 3 else 35
    layers["conv"] = nn.Conv2d(channels, outputs, kernel, stride, padding, groups=groups)
    ends = {"relu": nn.ReLU(), "relu6": nn.ReLU6(inplace=True), "linear": nn.Identity()}
    layers["end"] = ends[end]
    return nn.Sequential(layers).eval().requires_grad_(False)


CASES = [
    (8, 3, 1, 1, 1, "relu6", 0),
    (8, 3, 2, 0, 1, "relu6", 0),
    (66, 5, 2, 1, 2, "relu", 0),
    (5, 5, 1, 0, 0, "linear", 2),
    (2, 1, 3, 0, 0, "relu", 0),
    (4, 3, 2, 2, 0, "linear", 1),
    (3, 3, 2, 0, 1, "relu6", 0),
    (3, 3, 1, 0, 0, "linear", 1),
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [(5, 5), (6, 17), (9, 8)])
def test_the_layer_is_the_three_layers(case: tuple, size: tuple[int, int]) -> None:
    network = sequence(*case)
    maps = torch.randn(2, case[0], *size) * 4
    wanted = network(maps.clone())
    use_kernels(network)
    kinds = [type(one) for one in network]
    linear = case[5] == "linear"
    assert kinds == [nn.Identity] * (len(kinds) - 2) + [Direct, nn.Identity]
    assert linear or bool((wanted == 0).any())
    torch.testing.assert_close(network(maps), wanted, rtol=1e-5, atol=1e-5)
    layer = network.get_submodule("conv").to(DEVICE)
    assert isinstance(layer, Direct)
    pytest.importorskip("triton")
    found = layer.by_kernel(maps.to(DEVICE))
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found.cpu(), wanted, rtol=1e-5, atol=1e-5)


def test_a_whole_network_by_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind all that the conversion for a device does to its weights."""
    pytest.importorskip("triton")
    network = build_trunk("lite0", None, device=DEVICE).network
    maps = torch.randn(1, 3, 32, 32, device=DEVICE)
    with torch.inference_mode():
        wanted = network(maps)
        found = converted(network, torch.float32)
        assert sum(type(one) is Direct for one in found.modules()) == 16
        monkeypatch.setattr(Direct, "forward", Direct.by_kernel)
        torch.testing.assert_close(
            found(maps), wanted, rtol=0, atol=1e-4 * float(wanted.abs().max())
        )


def test_what_is_no_number_stays() -> None:
    pytest.importorskip("triton")
    network = sequence(2, 3, 1, 1, 1, "relu6")
    use_kernels(network)
    layer = network.get_submodule("conv").to(DEVICE)
    assert isinstance(layer, Direct)
    maps = torch.ones(1, 2, 4, 4, device=DEVICE)
    maps[0, 1, 1, 1] = torch.nan
    found = layer.by_kernel(maps)
    wanted = torch.zeros(1, 2, 4, 4, dtype=torch.bool)
    wanted[0, 1, :3, :3] = True
    assert torch.equal(found.isnan().cpu(), wanted)


def test_a_map_that_the_kernel_does_not_fit_gives_nothing() -> None:
    pytest.importorskip("triton")
    network = sequence(2, 3, 1, 0, 0, "linear")
    use_kernels(network)
    layer = network.get_submodule("conv").to(DEVICE)
    assert isinstance(layer, Direct)
    assert layer.by_kernel(torch.ones(0, 2, 4, 4, device=DEVICE)).shape == (0, 2, 2, 2)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 8, 3, groups=4),
        nn.Conv2d(3, 8, 5),
        nn.Conv2d(2, 8, 3),
        nn.Conv2d(4, 4, 9, groups=4),
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 3, groups=4, dilation=2),
        nn.Conv2d(4, 4, (3, 5), groups=4),
        nn.Conv2d(4, 4, 3, padding="same", groups=4),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect", groups=4),
        nn.Conv2d(1, 1, 3),
        nn.ConvTranspose2d(4, 4, 3, groups=4),
    ],
)
def test_other_convolutions_stay(layer: nn.Module) -> None:
    network = nn.Sequential(layer)
    use_kernels(network)
    assert network[0] is layer


def test_neighbours_are_those_that_are_called() -> None:
    """A layer that appears twice, pads that are not even, and a module with its own forward."""

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3, groups=2)
            self.relu = nn.ReLU()

        def forward(self, maps: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.conv(maps)
            return result

    torch.manual_seed(0)
    relu = nn.ReLU()
    convs = [nn.Conv2d(2, 2, 3, groups=2) for _ in range(3)]
    uneven = nn.ZeroPad2d((1, 1, 0, 0))
    network = nn.Sequential(convs[0], relu, convs[1], relu, uneven, convs[2], nn.ReLU6(), Own())
    network.eval().requires_grad_(False)
    maps = torch.randn(1, 2, 14, 14) * 5
    wanted = network(maps)
    use_kernels(network)
    assert network[4] is uneven
    own = network[7]
    assert isinstance(own, Own)
    assert isinstance(own.relu, nn.ReLU)
    torch.testing.assert_close(network(maps), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize(
    "case",
    [(96, 3, 2, 0, 1, "relu6", 0), (240, 5, 1, 0, 0, "relu6", 2), (3, 3, 2, 0, 1, "relu6", 0)],
)
def test_every_precision_on_a_gpu(case: tuple, kind: torch.dtype) -> None:
    network = sequence(*case)
    maps = torch.randn(1, case[0], 60, 83).to(kind)
    wanted = network(maps.float())
    use_kernels(network)
    found = network.to("cuda", kind)(maps.cuda())
    assert found.dtype == kind
    near = torch.finfo(kind).eps * 8
    torch.testing.assert_close(found.float().cpu(), wanted, rtol=near, atol=near)
