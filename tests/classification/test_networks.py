import pytest
import torch

from sppdet.classification.networks import NETWORKS, build_network
from sppdet.errors import SppdetError
from sppdet.features.pyramid import SpatialPyramidPool
from sppdet.trunks.geometry import MapGeometry, map_geometry
from sppdet.trunks.small import small_trunk


@pytest.mark.parametrize("name", [n for n in NETWORKS if n not in ("zf5-spp", "lenet5")])
@pytest.mark.parametrize("size", [(32, 32), (40, 24), (24, 57)])
def test_any_size(name: str, size: tuple[int, int]) -> None:
    network = build_network(name, 7).eval()
    images = torch.rand(2, 3, *size)
    if name == "spp5-flatten" and size != (32, 32):
        with pytest.raises(SppdetError, match="one image size only"):
            network(images)
    else:
        assert network(images).shape == (2, 7)


def test_zf5_with_a_pyramid() -> None:
    network = build_network("zf5-spp", 4, levels=(1, 2)).eval()
    assert network.classifier.fc6.in_features == 256 * 5
    assert network(torch.rand(1, 3, 101, 133)).shape == (1, 4)


@pytest.mark.parametrize("levels", [(4, 2, 1), (1, 2, 3, 6), (1,)])
def test_levels_can_be_chosen(levels: tuple[int, ...]) -> None:
    network = build_network("spp5", 10, levels).eval()
    assert network.pool.levels == levels
    assert network(torch.rand(2, 3, 16, 16)).shape == (2, 10)


def test_it_is_convolutions_then_pyramid_then_layers() -> None:
    network = build_network("spp5", 10).eval()
    images = torch.rand(2, 3, 20, 28)
    maps = network.features(images)
    assert torch.equal(network(images), network.classifier(SpatialPyramidPool((4, 2, 1))(maps)))


def test_seeds() -> None:
    first, again, other = (build_network("spp5", 3, seed=s).state_dict() for s in (1, 1, 2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["features.conv1.conv.weight"], other["features.conv1.conv.weight"])


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "squeezenet1_1"])
def test_torchvision_by_name(name: str) -> None:
    network = build_network(name, 5).eval()
    assert network(torch.rand(1, 3, 64, 64)).shape == (1, 5)


def test_lenet5_has_the_sizes_of_its_paper() -> None:
    network = build_network("lenet5", 10).eval()
    shapes = [tuple(p.shape) for p in network.parameters() if p.ndim > 1]
    assert shapes == [(6, 3, 5, 5), (16, 6, 5, 5), (120, 16, 5, 5), (84, 120), (10, 84)]
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, 10)


def test_unknown_names() -> None:
    with pytest.raises(SppdetError, match="network nonsense: unknown"):
        build_network("nonsense", 5)
    with pytest.raises(SppdetError, match="has no pyramid"):
        build_network("nin", 5, levels=(1, 2))


def test_the_small_trunk_is_what_detection_expects() -> None:
    trunk = small_trunk().eval()
    assert map_geometry(trunk) == MapGeometry(stride=16, first_center=7.0)
    maps = trunk(torch.randn(1, 3, 75, 64))
    assert maps.shape == (1, 256, 4, 4)
    assert maps.min() >= 0
    names = build_network("small", 5).state_dict()
    assert set(trunk.state_dict()) <= set(names)
    count = sum(p.numel() for p in build_network("small", 200).parameters())
    assert count < 3_000_000  # 6 MB in half precision
