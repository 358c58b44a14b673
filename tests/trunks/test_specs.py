import subprocess
import sys
from dataclasses import FrozenInstanceError

import pytest
import torch

from sppdet.errors import SppdetError
from sppdet.trunks import SPECS, TrunkSpec, pool5_level, trunk_spec
from sppdet.trunks.loading import build_network


@pytest.mark.parametrize(
    ("name", "scales", "crop", "context", "weights"),
    [
        ("small", (320,), 64, 4, "packaged"),
        ("lite0", (480,), 224, 16, "efficientnet-lite0"),
        ("lite2", (480,), 224, 16, "efficientnet-lite2"),
        ("squeezenet1_0", (480,), 227, 16, "torchvision"),
        ("squeezenet1_1", (480,), 224, 16, "torchvision"),
        ("alexnet", (480,), 227, 16, "torchvision"),
        ("vgg16", (480,), 224, 16, "torchvision"),
        ("resnet18", (480,), 224, 16, "torchvision"),
        ("resnet50", (480,), 224, 16, "torchvision"),
        ("zf5", (480,), 224, 16, None),
    ],
)
def test_the_values_of_every_trunk(
    name: str, scales: tuple[int, ...], crop: int, context: int, weights: str | None
) -> None:
    spec = SPECS[name]
    assert (spec.name, spec.scales, spec.crop, spec.context) == (name, scales, crop, context)
    assert spec.weights == weights


def test_a_trunk_of_ones_own_has_sensible_defaults() -> None:
    spec = TrunkSpec("mine")
    assert (spec.builder, spec.scales, spec.crop, spec.context) == (None, (480,), 224, 16)
    assert spec.fully_connected is None
    with pytest.raises(FrozenInstanceError):
        spec.crop = 1  # type: ignore[misc]


@pytest.mark.parametrize("name", sorted(SPECS))
def test_every_network_is_cut_before_its_classifier(name: str) -> None:
    network = build_network(SPECS[name]).eval()
    assert not any(isinstance(module, torch.nn.Linear) for module in network.modules())
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 480, 480)).shape[2:] >= (28, 28)


@pytest.mark.parametrize(("name", "level"), [("alexnet", 6), ("vgg16", 7)])
def test_the_grid_of_pool5(name: str, level: int) -> None:
    assert pool5_level(name) == level


def test_unknown_names_and_missing_layers_are_named() -> None:
    with pytest.raises(SppdetError, match=r"unknown; choose one of small, .*zf5"):
        trunk_spec("resnet9000")
    with pytest.raises(SppdetError, match=r"unknown"):
        pool5_level("resnet9000")
    with pytest.raises(SppdetError, match=r"zf5: has no fully.*alexnet, vgg16"):
        pool5_level("zf5")


def test_the_specs_need_no_torch() -> None:
    """A help text names the trunks and must not wait for torch."""
    code = "import sys; from sppdet.trunks import SPECS, Layer; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
