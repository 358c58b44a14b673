"""Maps on canvases of rounded sides against those of the images as they are."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from sppdet.device.canvas import STEP, Step, cells
from sppdet.device.features import DeviceFeatures
from sppdet.device.layout import Layout
from sppdet.device.rounding import rounding_of
from sppdet.features.spp import SppRegionFeatures
from sppdet.features.windows import image_scales
from sppdet.settings import SppSettings
from sppdet.trunks import Preprocessing, Trunk, build_trunk

PLAIN = Preprocessing("RGB", 1.0, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
BOXES = np.array([[0, 0, 20, 20]], "f4")


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def of_trunk(trunk: Trunk, *scales: int) -> DeviceFeatures:
    return DeviceFeatures(SppRegionFeatures(trunk, SppSettings(scales or (64,))))


def packed(features: DeviceFeatures, *images: np.ndarray) -> tuple[Layout, Tensor]:
    """The packed buffer of images, with other pixels behind them on their canvases."""
    layout, buffer = features.pack(images, (images[0].shape[1], images[0].shape[0]), BOXES)
    for canvas, one in zip(layout.views(buffer).images, images, strict=True):
        canvas[len(one) :] = 255
        canvas[:, one.shape[1] :] = 255
    return layout, buffer


def first_map(features: DeviceFeatures, layout: Layout, buffer: Tensor) -> Tensor:
    return features.maps(layout, buffer)[0]


@torch.inference_mode()
def assert_same_map(features: DeviceFeatures, pixels: np.ndarray) -> None:
    """The cells of the image are those without a canvas, and the others are zero."""
    layout, buffer = packed(features, pixels)
    (found,) = features.maps(layout, buffer)
    wanted = features.network.map(torch.from_numpy(pixels))
    rows, columns, _ = wanted.shape
    least = 1e-5 * float(wanted.abs().max())
    torch.testing.assert_close(found[:rows, :columns], wanted, rtol=0, atol=least)
    assert not found[rows:].any()
    assert not found[:, columns:].any()
    assert found.is_contiguous()
    cells = layout.views(buffer).cells.tolist()
    assert cells == [[columns - 1, rows - 1, 0]]


SIZES = [(64, 64), (65, 97), (96, 128), (95, 127), (97, 129), (101, 83), (64, 200), (20, 33)]


@pytest.fixture(
    scope="module",
    params=["small", "lite0", "lite0-stage5", "squeezenet1_0", "alexnet", "resnet18", "zf5"],
)
def features(request: pytest.FixtureRequest) -> DeviceFeatures:
    return of_trunk(build_trunk(request.param, None))


@pytest.mark.parametrize("size", SIZES)
def test_the_cells_of_the_image_are_those_without_a_canvas(
    features: DeviceFeatures, size: tuple[int, int]
) -> None:
    assert features.network.rounding is not None
    assert_same_map(features, image(*size))


class Mixed(nn.Module):
    """Layers of many kinds, one of them that pads in its own code, and branches that meet."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, 1, 2, dilation=2)
        self.pools = nn.ModuleList(
            [nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(2)]
        )
        self.padded = nn.Sequential(nn.ZeroPad2d((0, 3, 0, 3)), nn.Conv2d(6, 6, 4))
        self.side = nn.Conv2d(6, 6, 1)
        self.last = nn.Conv2d(12, 5, 5, 2, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        maps = self.first(maps)
        for pool in self.pools:
            maps = pool(maps) - 0.3
        maps = torch.cat([self.padded(maps), self.side(maps)], 1)
        result: Tensor = self.last(F.pad(maps, (1, 2, 1, 2))) - 0.1
        return result


def own(network: nn.Module, multiple: int = 1) -> Trunk:
    """A trunk of any network; its geometry means nothing."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.reset_parameters()
    network.eval().requires_grad_(False)
    with torch.inference_mode():
        channels = network(torch.zeros(1, 3, 96, 96)).shape[1]
    trunk = build_trunk("small", None)
    return replace(
        trunk, network=network, preprocessing=PLAIN, channels=channels, multiple=multiple
    )


@pytest.mark.parametrize("size", SIZES)
def test_a_network_of_ones_own(size: tuple[int, int]) -> None:
    features = of_trunk(own(Mixed()))
    assert features.network.rounding is not None
    assert_same_map(features, image(*size))


LAYERS = [
    lambda: nn.Conv2d(4, 4, 3, padding=1),
    lambda: nn.Conv2d(4, 4, 3),
    lambda: nn.Conv2d(4, 4, 5, 2, 2),
    lambda: nn.Conv2d(4, 4, 1, 2),
    lambda: nn.Conv2d(4, 4, 1, padding=1),
    lambda: nn.MaxPool2d(2),
    lambda: nn.MaxPool2d(3, 2, ceil_mode=True),
    lambda: nn.MaxPool2d(3, 1, 1),
    lambda: nn.AvgPool2d(3, 1, 1),
    lambda: nn.ZeroPad2d((2, 1, 2, 1)),
    lambda: nn.ReLU(inplace=True),
    lambda: nn.LocalResponseNorm(3),
]


@settings(max_examples=40, deadline=None)
@given(
    chosen=st.lists(st.sampled_from(range(len(LAYERS))), min_size=1, max_size=5),
    size=st.tuples(st.integers(1, 140), st.integers(1, 140)),
    multiple=st.sampled_from([1, 16, 24]),
)
def test_any_chain_of_layers(chosen: list[int], size: tuple[int, int], multiple: int) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), *(LAYERS[i]() for i in chosen))
    features = of_trunk(own(network, multiple))
    assert features.network.rounding is not None
    assert_same_map(features, image(*size))


class Squeezed(nn.Module):
    """A channel's mean over the whole map scales it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)
        self.mean = nn.AdaptiveAvgPool2d(1)

    def forward(self, maps: Tensor) -> Tensor:
        maps = self.conv(maps)
        return maps * self.mean(maps)


class Sized(nn.Module):
    """Its code reads the size of the map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)

    def forward(self, maps: Tensor) -> Tensor:
        maps = self.conv(maps)
        result: Tensor = maps / maps.shape[2]
        return result


@pytest.mark.parametrize(
    "network",
    [
        Squeezed(),
        Sized(),
        nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Upsample(scale_factor=2)),
        nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.InstanceNorm2d(4)),
        nn.Conv2d(3, 4, 3, 2, 1, padding_mode="reflect"),
        nn.Conv2d(3, 4, (3, 1)),
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.AvgPool2d(3, 2, ceil_mode=True)),
    ],
    ids=lambda network: type(network).__name__,
)
def test_other_networks_see_images_as_they_are(network: nn.Module) -> None:
    features = of_trunk(own(network))
    assert features.network.rounding is None
    pixels = image(65, 97)
    layout, buffer = packed(features, pixels)
    assert layout == Layout(((65, 97),), 256)
    with torch.inference_mode():
        (found,) = features.maps(layout, buffer)
        assert torch.equal(found, features.network.map(torch.from_numpy(pixels)))
        assert features.pooled(layout, buffer)[0].shape[0] == 256


def test_a_network_whose_map_changes_sees_images_as_they_are() -> None:
    """A layer that is not what its type says, which no walk over the layers finds."""
    layer = nn.ReLU()
    layer.forward = lambda maps: maps - maps.mean(dim=(2, 3), keepdim=True)  # type: ignore[method-assign, assignment]
    assert rounding_of(own(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), layer))) is None


@pytest.mark.parametrize("name", ["small", "lite0", "squeezenet1_0"])
def test_few_layouts_serve_images_of_many_sizes(name: str) -> None:
    features = of_trunk(build_trunk(name, None), 96, 128)
    random = np.random.default_rng(0)
    layouts, sizes = set(), set()
    for width, height in random.integers(200, 400, (50, 2)).tolist():
        scales = image_scales(width, height, (96, 128), 2000)
        images = [image(scale.height, scale.width) for scale in scales]
        sizes.add(tuple(one.shape for one in images))
        layouts.add(features.pack(images, (width, height), BOXES)[0])
    assert len(sizes) >= 45
    # Two orientations, and the steps between once and twice the shorter sides.
    assert len(layouts) <= 2 * (1 + 96 // STEP + 128 // STEP)


def test_the_side_of_a_scale_is_not_rounded_and_not_cleared() -> None:
    features = of_trunk(build_trunk("small", None), 80)
    layout, _ = features.pack([image(80, 101)], (101, 80), BOXES)
    assert layout.sides == ((80, 128),)
    rows, columns = layout.strips[0]
    assert not any(rows)
    assert columns == (STEP - 1, 8, 4, 2)


def test_all_images_of_a_canvas_have_strips_of_the_same_widths() -> None:
    rounding = of_trunk(build_trunk("squeezenet1_0", None)).network.rounding
    assert rounding is not None
    found: dict[int, tuple[int, ...]] = {}
    for pixels in range(1, 400):
        side = rounding.side(pixels, False)
        assert side.canvas >= max(pixels, 64)
        assert found.setdefault(side.canvas, side.strips) == side.strips
        assert len(side.mask) == sum(side.strips)
        assert side.mask[: side.strips[0]].sum() == side.canvas - pixels
    assert sorted(found) == list(range(64, 401 + STEP - 1, STEP))


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [(3, 2, 1, 1), (2, 3, 1, 1), (3, 2, 0, 2), (5, 1, 2, 1)],
)
def test_the_numbers_of_cells_are_pytorchs(
    ceil: bool, kernel: int, stride: int, padding: int, dilation: int
) -> None:
    layer = nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil)
    sides = np.arange(8, 40)
    wanted = [layer(torch.zeros(1, side, side)).shape[2] for side in sides.tolist()]
    step = Step(kernel, stride, padding, padding, dilation, ceil)
    assert cells((step,), sides).tolist() == wanted


def test_a_map_that_is_not_finite_behind_the_image_is_no_error() -> None:
    """A maximum over cells behind the image only is minus infinity."""
    features = of_trunk(own(nn.Sequential(nn.Conv2d(3, 4, 1), nn.MaxPool2d(3, 2, 1))))
    layout, buffer = packed(features, image(65, 97))
    with torch.inference_mode():
        pooled, finite = features.pooled(layout, buffer)
    assert torch.isfinite(finite)
    assert torch.isfinite(pooled).all()


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["squeezenet1_0", "zf5", "small"])
def test_images_of_one_canvas_share_a_graph_on_a_gpu(name: str) -> None:
    """Eagerly, captured and replayed, each time with another size."""
    trunk = build_trunk(name, None, "cuda")
    features = of_trunk(trunk)
    keys = set()
    with torch.inference_mode():
        for width in (131, 157, 129, 160, 144, 133):
            pixels = image(80, width)
            layout, buffer = packed(features, pixels)
            if not features.network.settled:
                features.settle(layout, buffer)
                torch.cuda.synchronize()
            keys.add(layout)
            found, _ = features.queue(layout, partial(first_map, features, layout), buffer)
            torch.cuda.synchronize()
            wanted = trunk.map(pixels).cpu()
            rows, columns, _ = wanted.shape
            distance = (found[:rows, :columns].float() - wanted).norm()
            assert distance <= 0.01 * wanted.norm()
            assert not found[:, columns:].any()
    assert len(keys) == len(features.graphs) == 1


def test_a_canvas_goes_through_the_networks_own_layers() -> None:
    """What is changed in them later, such as a widened input, counts there too."""
    network = of_trunk(build_trunk("squeezenet1_0", None)).network
    assert network._on_canvas is not None
    own_layers = {id(one) for one in network._network.modules() if not list(one.children())}
    there = {id(one) for one in network._on_canvas.modules() if not list(one.children())}
    assert there == own_layers
