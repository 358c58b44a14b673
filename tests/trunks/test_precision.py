"""Maps in bfloat16 on a CPU."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from sppdet.errors import SppdetError
from sppdet.trunks import Preprocessing, Trunk, build_trunk, make_trunk

IMAGE = np.random.default_rng(0).integers(0, 256, (90, 130, 3)).astype(np.uint8)


def with_norm() -> Trunk:
    """Its batch norm has a variance that bfloat16 would round by 0.3 %."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
    norm = network[1]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_var is not None
    norm.running_var.fill_(1.003)
    return make_trunk(network, Preprocessing("RGB", 1.0, (0.5,) * 3, (0.2,) * 3))


@pytest.mark.parametrize("name", ["small", "lite0", "squeezenet1_0", "own"])
def test_the_map_is_near_that_in_single_precision(name: str) -> None:
    trunk = with_norm() if name == "own" else build_trunk(name, None)
    wanted, found = trunk.map(IMAGE), trunk.in_precision("bfloat16").map(IMAGE)
    assert found.dtype == torch.float32
    assert found.shape == wanted.shape
    distance = float((found - wanted).norm() / wanted.norm())
    assert 0 < distance < 0.05
    assert torch.equal(trunk.map(IMAGE), wanted)


def test_the_network_itself_stays_as_it_is() -> None:
    """It is what a detector's file has."""
    trunk = with_norm()
    half = trunk.in_precision("bfloat16")
    half.map(IMAGE)
    assert half.network is trunk.network
    kinds = {one.dtype for one in half.state().values() if one.is_floating_point()}
    assert kinds == {torch.float32}
    assert half.in_precision("float32").precision == "float32"
    norms = [one for one in half._in_bfloat16.modules() if isinstance(one, nn.BatchNorm2d)]
    assert {one.running_var.dtype for one in norms if one.running_var is not None} == kinds


def test_what_it_says() -> None:
    trunk = with_norm()
    assert "bfloat16" not in repr(trunk)
    assert repr(trunk.in_precision("bfloat16")).endswith("cpu in bfloat16)")


def test_a_network_in_another_precision_keeps_it() -> None:
    trunk = with_norm()
    trunk.network.to(torch.float64)
    assert torch.equal(trunk.in_precision("bfloat16").map(IMAGE), trunk.map(IMAGE))


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="give one of float32, bfloat16"):
        with_norm().in_precision("half")  # type: ignore[arg-type]
    on_gpu = replace(with_norm(), device=torch.device("cuda", 0))
    with pytest.raises(SppdetError, match="--precision bfloat16: is for a CPU; cuda:0 runs in"):
        on_gpu.in_precision("bfloat16")
    assert on_gpu.in_precision("float32").precision == "float32"
