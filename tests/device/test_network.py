"""The network that a device runs against the trunk's."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from sppdet.device.layers import converted, fold_batch_norms, use_products, widen_input
from sppdet.device.network import DeviceNetwork
from sppdet.errors import SppdetError, SppdetWarning
from sppdet.trunks import Preprocessing, build_trunk, make_trunk
from sppdet.trunks.trunk import Trunk

IMAGES = [(90, 140), (64, 64), (20, 33), (97, 65)]


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


class Shifted(nn.Module):
    """A convolution, a norm that is not in a Sequential, and a Sequential with another forward."""

    class Backwards(nn.Sequential):
        def forward(self, maps: torch.Tensor) -> torch.Tensor:
            for layer in reversed(list(self)):
                maps = layer(maps)
            return maps

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.second = self.Backwards(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8))
        for norm in (self.first[1], self.second[1]):
            assert isinstance(norm, nn.BatchNorm2d)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            nn.init.uniform_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.second(self.first(maps))
        return result


@pytest.fixture(params=["small", "lite0", "zf5", "own", "bgr"])
def trunk(request: pytest.FixtureRequest) -> Trunk:
    if request.param == "own":
        torch.manual_seed(0)
        return make_trunk(Shifted(), Preprocessing("RGB", 1.0, (0.5,) * 3, (0.2,) * 3))
    if request.param == "bgr":
        torch.manual_seed(0)
        means = (103.0, 116.0, 123.0)
        return make_trunk(nn.Conv2d(3, 6, 5, 4, 2), Preprocessing("BGR", 255.0, means, (1.0,) * 3))
    return build_trunk(request.param, None)


@pytest.mark.parametrize("size", IMAGES)
def test_the_map_is_that_of_the_trunk(trunk: Trunk, size: tuple[int, int]) -> None:
    pixels = image(*size)
    with torch.inference_mode():
        found = DeviceNetwork(trunk).map(torch.from_numpy(pixels))
    expected = trunk.map(pixels)
    assert found.shape == expected.shape
    assert found.is_contiguous()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_batch_norms_are_folded_where_their_convolution_stands_before_them() -> None:
    network = Shifted().eval()
    fold_batch_norms(network)
    kinds = [type(layer) for layer in (*network.first, *network.second)]
    assert kinds == [nn.Conv2d, nn.Identity, nn.ReLU, nn.Conv2d, nn.BatchNorm2d]


def test_a_shared_convolution_is_not_folded() -> None:
    shared = nn.Conv2d(3, 3, 1)
    network = nn.Sequential(shared, nn.BatchNorm2d(3), shared).eval()
    fold_batch_norms(network)
    assert isinstance(network[1], nn.BatchNorm2d)


def test_a_response_norm_keeps_the_range_of_single_precision() -> None:
    """300 squared is not in half precision's range."""
    norm = nn.Sequential(nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75))
    maps = torch.full((1, 8, 2, 2), 300.0)
    found = converted(norm, torch.float16)(maps.half())
    torch.testing.assert_close(found.float(), norm(maps), rtol=2e-3, atol=0)


def half_first(trunk: Trunk) -> DeviceNetwork:
    """A network that tries the precisions of a GPU."""
    network = DeviceNetwork(trunk)
    network._kinds = [torch.float16, torch.bfloat16, torch.float32]
    network._network = converted(trunk.network, torch.float16)
    network.settled = False
    return network


class Scaled(nn.Module):
    """Convolution whose result is multiplied and brought back, as a large input makes it."""

    def __init__(self, factor: float, silent: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)
        self.factor = factor
        self.silent = silent

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        maps = self.conv(maps) * self.factor
        return 1 / (1 + maps * maps) if self.silent else maps / self.factor


@pytest.mark.parametrize(("factor", "silent"), [(1.0, False), (1e6, False), (3e3, True)])
def test_an_overflow_in_half_precision_is_found(factor: float, silent: bool) -> None:
    """Also one that gives a finite map: a division by what is infinite."""
    torch.manual_seed(0)
    trunk = make_trunk(Scaled(factor, silent), Preprocessing("RGB", 1.0, (0.0,) * 3, (1.0,) * 3))
    network = half_first(trunk)
    pixels = torch.from_numpy(image(64, 64))
    with torch.inference_mode():
        if factor == 1:
            network.settle(pixels)
            assert network.kind == torch.float16
            return
        with pytest.warns(SppdetWarning, match="leaves the range of"):
            network.settle(pixels)
        assert network.kind in (torch.bfloat16, torch.float32)
        wanted = trunk.map(pixels.numpy())
        found = network.map(pixels).float()
        assert (found - wanted).norm() <= 0.03 * wanted.norm()


def test_a_conversion_that_gives_another_map_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    trunk = build_trunk("small", None)

    def wrong(network: nn.Module, kind: torch.dtype) -> nn.Module:
        return nn.Sequential(converted(network, kind), nn.Dropout(0.0), nn.Hardtanh(0, 1e-3))

    monkeypatch.setattr("sppdet.device.network.converted", wrong)
    network = half_first(trunk)
    network._network = wrong(trunk.network, torch.float16)
    pixels = torch.from_numpy(image(64, 64))
    with torch.inference_mode():
        with pytest.warns(SppdetWarning, match="it runs as it is"):
            network.settle(pixels)
        assert network.kind == torch.float32
        torch.testing.assert_close(network.map(pixels), trunk.map(pixels.numpy()))


def test_a_network_that_gives_no_numbers_is_an_error() -> None:
    trunk = build_trunk("small", None)
    next(trunk.network.parameters()).fill_(torch.nan)
    with torch.inference_mode(), pytest.raises(SppdetError, match="not finite"):
        half_first(trunk).settle(torch.from_numpy(image(64, 64)))
    with pytest.raises(SppdetError, match="not finite"):
        DeviceNetwork(trunk).demote(torch.float32)


@pytest.mark.parametrize("name", ["small", "squeezenet1_0"])
def test_products_and_a_fourth_channel_change_nothing(name: str) -> None:
    network = build_trunk(name, None).network
    images = torch.randn(1, 3, 101, 135, generator=torch.Generator().manual_seed(0))
    images = images.contiguous(memory_format=torch.channels_last)
    other = copy.deepcopy(network)
    use_products(other)
    with torch.inference_mode():
        wanted, found = network(images), other(images)
        assert widen_input(other)
        wide = other(torch.nn.functional.pad(images, (0, 0, 0, 0, 0, 1)))
    least = 1e-5 * float(wanted.abs().max())
    assert least > 0
    torch.testing.assert_close(found, wanted, rtol=0, atol=least)
    torch.testing.assert_close(wide, wanted, rtol=0, atol=least)
    products = [one for one in other.modules() if type(one).__name__ == "Pointwise"]
    assert len(products) == {"small": 0, "squeezenet1_0": 16}[name]
    assert all(one.limits == (0.0, torch.inf) for one in products)


def test_an_input_that_several_layers_read_is_not_widened() -> None:
    first, second = torch.nn.Conv2d(3, 4, 1), torch.nn.Conv2d(3, 4, 1)
    assert not widen_input(torch.nn.ModuleList([first, second]))
    assert not widen_input(torch.nn.Sequential(torch.nn.ReLU(), first))
    assert not widen_input(torch.nn.Sequential(torch.nn.ZeroPad2d(1), first))
    assert first.in_channels == 3
