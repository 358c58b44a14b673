import math

import pytest
import torch
from torch import nn

from sppdet.classification.networks import build_network
from sppdet.classification.normless import NORMLESS
from sppdet.errors import SppdetError
from sppdet.features.pyramid import SpatialPyramidPool


@pytest.mark.parametrize("name", NORMLESS)
def test_no_norm_is_left_and_every_convolution_has_a_bias(name: str) -> None:
    network = build_network(name, 10, norm=False)
    usual = build_network(name, 10)
    kinds = [type(module) for module in network.modules()]
    assert nn.BatchNorm2d not in kinds
    assert kinds.count(nn.Conv2d) == sum(isinstance(m, nn.Conv2d) for m in usual.modules())
    assert kinds.count(nn.ReLU) == sum(isinstance(m, nn.ReLU) for m in usual.modules())
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert not layer.bias.any()
            fan = layer.weight[0].numel()
            wanted = NORMLESS[name] or math.sqrt(2 / fan)
            assert float(layer.weight.detach().std()) == pytest.approx(wanted, rel=0.1)
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, 10)


def test_nin_has_maxima_as_published() -> None:
    kinds = [type(one) for one in build_network("nin", 10, norm=False).modules()]
    assert kinds.count(nn.MaxPool2d) == 2
    assert nn.AvgPool2d not in kinds


def test_seeds() -> None:
    first, again, other = (build_network("nin", 3, seed=s, norm=False) for s in (1, 1, 2))
    weights = [next(network.parameters()) for network in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("name", ["small", "lenet5", "zf5-spp", "resnet18"])
def test_others_are_refused(name: str) -> None:
    with pytest.raises(SppdetError, match=f"--no-norm: is for spp5, .*, not for {name}"):
        build_network(name, 3, norm=False)


def test_average_bins() -> None:
    network = build_network("spp5", 10, (2, 1), pooling="average").eval()
    images = torch.rand(2, 3, 24, 24)
    pooled = SpatialPyramidPool((2, 1), "average")(network.features(images))
    assert torch.equal(network(images), network.classifier(pooled))
    with pytest.raises(SppdetError, match="--pooling average: nin has no pyramid"):
        build_network("nin", 10, pooling="average")
