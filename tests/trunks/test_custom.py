import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from sppdet.boxes import as_boxes
from sppdet.errors import SppdetError
from sppdet.features.rcnn import RcnnRegionFeatures
from sppdet.features.spp import SppRegionFeatures
from sppdet.settings import RcnnSettings, SppSettings
from sppdet.trunks import SPECS, MapGeometry, Preprocessing, Trunk, build_trunk, make_trunk
from sppdet.trunks.loading import build_network, cut_behind

IMAGE = np.random.default_rng(0).integers(0, 255, (90, 131, 3)).astype(np.uint8)


def resnet(last: str = "layer3") -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return cut_behind(torchvision.models.resnet18(weights=None), last)


class Wrapped(nn.Module):
    """A network behind code that cannot be followed, and with other outputs than a map."""

    def __init__(self, network: nn.Module, kind: str = "a map") -> None:
        super().__init__()
        self.network = network
        self.kind = kind

    def forward(self, batch: torch.Tensor) -> object:
        if batch.shape[2] % 2:
            batch = nn.functional.pad(batch, (0, 0, 0, 1))
        if self.kind == "one size only" and batch.shape[2:] != (224, 224):
            raise AssertionError("Input height doesn't match model (224).\nSee there.")
        if self.kind == "no size":
            raise RuntimeError("nothing works")
        result = self.network(batch)
        return {
            "a tuple": (result, result),
            "a dict": {"0": result},
            "tokens": result.flatten(2).transpose(1, 2),
            "channels last": result.permute(0, 2, 3, 1),
            "a vector": result.mean((2, 3)),
            "one cell": result.mean((2, 3), keepdim=True),
            "no stride": nn.functional.interpolate(result, scale_factor=2),
        }.get(self.kind, result)


def test_a_network_whose_graph_can_be_followed_gives_the_named_trunks_maps() -> None:
    named = build_trunk("resnet18", None)
    mine = make_trunk(build_network(SPECS["resnet18"]), named.preprocessing, name="mine")
    mine.network.load_state_dict(named.network.state_dict())
    assert (mine.geometry, mine.channels, mine.multiple) == (named.geometry, 256, 1)
    assert torch.equal(mine.map(IMAGE), named.map(IMAGE))
    assert not mine.rebuildable
    assert repr(mine) == (
        "Trunk(mine: 256 channels, stride 16, weights: given with a Sequential, cpu)"
    )


def test_a_network_whose_graph_cannot_be_followed() -> None:
    network = Wrapped(resnet()).train()
    trunk = make_trunk(network, Preprocessing())
    assert trunk.geometry == MapGeometry(16, 0.0)
    assert (trunk.name, trunk.layer, trunk.multiple) == ("custom", "pooled", 16)
    assert not network.training
    found = trunk.map(IMAGE)
    assert found.shape == (96 // 16, 144 // 16, 256)
    assert found.dtype == torch.float32


def test_the_geometry_that_is_given_is_taken() -> None:
    trunk = make_trunk(Wrapped(resnet()), Preprocessing(), MapGeometry(16, 3.5))
    assert trunk.geometry == MapGeometry(16, 3.5)


def test_a_given_geometry_of_another_stride_is_refused() -> None:
    with pytest.raises(SppdetError, match=r"stride is 8, but .* one cell every 16 px"):
        make_trunk(resnet(), Preprocessing(), MapGeometry(8, 3.5))


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("a tuple", r"returns a tuple; .*\(B, channels, H', W'\)"),
        ("a dict", "returns a dict"),
        ("tokens", r"returns tokens \(1, 16, 256\).*class token"),
        ("channels last", r"channels last; return output\.permute"),
        ("a vector", r"returns the shape \(1, 256\)"),
        ("one cell", "cut the network before its global pooling"),
        ("one size only", r"on 224 x 224 px, but not on 896 x 224 px \(Input height"),
        ("no size", "does not run on images of 448 px: nothing works"),
        ("no stride", r"cannot be found \(.*\); give geometry=MapGeometry"),
    ],
)
def test_what_is_no_map_is_one_clear_line(kind: str, line: str) -> None:
    with pytest.raises(SppdetError, match=line) as caught:
        make_trunk(Wrapped(resnet(), kind), Preprocessing(), name="net")
    assert "network net: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_arguments_are_checked() -> None:
    with pytest.raises(SppdetError, match=r"torch\.nn\.Module is wanted, not a str"):
        make_trunk("resnet18", Preprocessing())  # type: ignore[arg-type]
    with pytest.raises(SppdetError, match="another trunk has this name"):
        make_trunk(resnet(), Preprocessing(), name="vgg16")


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64])
def test_networks_in_another_precision(kind: torch.dtype) -> None:
    trunk = make_trunk(resnet().to(kind), Preprocessing())
    assert trunk.geometry == MapGeometry(16, 0.0)
    assert next(trunk.network.parameters()).dtype == kind
    assert trunk.map(IMAGE).dtype == torch.float32


@pytest.fixture(scope="module")
def convnext() -> Trunk:
    features = torchvision.models.convnext_tiny(weights=None).features[:4]
    return make_trunk(features, Preprocessing(), scales=(320, 480))


def test_both_methods_run_on_a_trunk_of_ones_own(convnext: Trunk) -> None:
    assert convnext.geometry == MapGeometry(8, 3.5)
    assert convnext.spec.scales == (320, 480)
    boxes = as_boxes([[10, 5, 80, 69], [0, 0, 131, 90]])
    spp = SppRegionFeatures(convnext, SppSettings((120,), levels=(1, 2)))
    rcnn = RcnnRegionFeatures(convnext, RcnnSettings(60, 4, levels=(1, 2)))
    for extractor in (spp, rcnn):
        regions = extractor.prepare(IMAGE, boxes)
        assert regions.features(regions.keys).shape == (2, 5 * convnext.channels)
