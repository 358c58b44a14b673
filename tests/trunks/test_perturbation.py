import pytest
import torch
import torchvision
from torch import nn

from sppdet.errors import SppdetError
from sppdet.trunks import SPECS, MapGeometry, map_geometry
from sppdet.trunks.loading import build_network, cut_behind
from sppdet.trunks.perturbation import growth_stride, perturbed_geometry


def seeded(build, *arguments) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(*arguments).eval().requires_grad_(False)


def features(name: str, end: int | None = None) -> nn.Module:
    return torchvision.models.get_model(name, weights=None).features[:end]


def stages(name: str, last: str) -> nn.Module:
    return cut_behind(torchvision.models.get_model(name, weights=None), last)


@pytest.mark.parametrize("name", sorted(set(SPECS) - {"resnet50", "squeezenet1_0", "vgg16"}))
def test_named_trunks_lie_where_their_graph_says(name: str) -> None:
    network = seeded(build_network, SPECS[name])
    assert perturbed_geometry(network, 64) == map_geometry(network)


@pytest.mark.parametrize(
    ("build", "arguments", "stride"),
    [
        (stages, ("resnet18", "layer1"), 4),
        (stages, ("resnet18", "layer2"), 8),
        (stages, ("resnet18", "layer4"), 32),
        (stages, ("regnet_y_400mf", "trunk_output.block4"), 32),  # squeeze and excitation
        (features, ("mobilenet_v2",), 32),
        (features, ("mobilenet_v3_small",), 32),
        (features, ("efficientnet_b0",), 32),
    ],
)
def test_other_networks_lie_where_their_graph_says(build, arguments, stride: int) -> None:
    network = seeded(build, *arguments)
    followed = map_geometry(network)
    assert followed.stride == stride
    assert perturbed_geometry(network, 64) == followed


@pytest.mark.parametrize(
    ("build", "arguments", "expected"),
    [
        (stages, ("shufflenet_v2_x0_5", "conv5"), MapGeometry(32, 0.0)),
        (features, ("convnext_tiny", 4), MapGeometry(8, 3.5)),
    ],
)
def test_networks_whose_graph_cannot_be_followed(build, arguments, expected: MapGeometry) -> None:
    network = seeded(build, *arguments)
    with pytest.raises(ValueError, match="unknown"):
        map_geometry(network)
    assert perturbed_geometry(network, 64) == expected


class SamePadding(nn.Module):
    """TensorFlow's "SAME": the odd pixel of padding lies at the far end."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, kernel, stride=2)
        self.conv2 = nn.Conv2d(16, 16, kernel, stride=2)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        for layer in (self.conv1, self.conv2):
            missing = layer.kernel_size[0] - 2 + batch.shape[-1] % 2
            near = missing // 2
            batch = layer(nn.functional.pad(batch, (near, missing - near) * 2)).relu()
        return batch


@pytest.mark.parametrize(("kernel", "center"), [(3, 1 + 2), (5, 1 + 2), (7, 1 + 2)])
def test_asymmetric_padding(kernel: int, center: float) -> None:
    """Near padding (k - 3) / 2 for even sides: the centre moves by 1 px at strides 1 and 2."""
    assert perturbed_geometry(seeded(SamePadding, kernel), 64) == MapGeometry(4, center)


class Attention(nn.Module):
    """Patches of 16 px, each of which looks at all others."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 16, stride=16)
        self.block = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        maps = self.patches(batch)
        tokens = self.block(maps.flatten(2).transpose(1, 2))
        return tokens.transpose(1, 2).reshape(maps.shape)


def test_where_every_pixel_changes_every_cell_the_strongest_changes_decide() -> None:
    found = perturbed_geometry(seeded(Attention), 64)
    assert found.stride == 16
    assert abs(found.first_center - 7.5) <= 0.5


@pytest.mark.parametrize("stride", [1, 3])
def test_strides_that_are_no_powers_of_two(stride: int) -> None:
    network = seeded(lambda: nn.Sequential(nn.Conv2d(3, 8, 5, stride=stride)))
    assert perturbed_geometry(network, 64) == MapGeometry(stride, 2.0)


class Broken(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.conv = nn.Conv2d(3, 8, 4, stride=4)
        self.wide = nn.Conv2d(3, 8, (4, 8), stride=(4, 8))
        self.low = nn.Conv2d(3, 8, (5, 4), stride=4)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        if self.kind == "constant":
            return self.conv(batch) * 0
        if self.kind == "no gradient":
            return self.conv(batch).detach()
        if self.kind == "not square":
            return self.wide(batch)
        if self.kind == "not symmetric":
            return self.low(batch)
        if self.kind == "few cells":
            return nn.functional.adaptive_avg_pool2d(self.conv(batch), 5)
        return nn.functional.interpolate(self.conv(batch), scale_factor=2)


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("constant", "do not change"),
        ("no gradient", "no gradient"),
        ("not square", "stride 4 .*from left to right 8"),
        ("not symmetric", r"first centre 2\.0, .* 4 and 1\.5"),
        ("few cells", "only 5 cells"),
        ("doubled", "one stride apart"),
    ],
)
def test_maps_without_a_regular_grid_are_refused(kind: str, line: str) -> None:
    with pytest.raises(SppdetError, match=line):
        perturbed_geometry(seeded(Broken, kind), 64)


def test_the_growth_of_the_map_gives_the_stride() -> None:
    network = seeded(nn.Conv2d, 3, 4, (8, 32), (8, 32))
    assert (growth_stride(network, 64, 2), growth_stride(network, 64, 3)) == (8, 32)
