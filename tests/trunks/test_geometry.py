import functools

import pytest
import torch
from torch import nn

from sppdet.trunks import ARCHITECTURES, MapGeometry, Trunk, build_trunk, map_geometry

SIDE = 480


def seen_columns(network: nn.Module, cell: int) -> tuple[int, int]:
    """First and last image column that can change a map cell of the middle row, by perturbation.

    With positive weights a brighter pixel shows through every ReLU and max pooling. Brightening all
    columns from x on changes the cell exactly if x is not behind its last column (and likewise from
    the left), so that bisection finds both ends.
    """
    base = torch.full((1, 3, 64, SIDE), 0.1)

    def value(image: torch.Tensor) -> float:
        result = network(image)[0].sum(0)
        return float(result[result.shape[0] // 2, cell])

    before = value(base)

    def changes(first: int, end: int) -> bool:
        image = base.clone()
        image[..., first:end] += 10.0
        return abs(value(image) - before) > 1e-9 * abs(before)

    low, high = 0, SIDE  # the last x for which brightening x.. changes the cell
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if changes(middle, SIDE) else (low, middle)
    last = low
    low, high = 0, SIDE  # the first end for which brightening ..end changes the cell
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if changes(0, middle) else (middle, high)
    return high - 1, last


@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - {"vgg16", "resnet50"}))
def test_geometry_is_where_perturbed_pixels_are_seen(name: str) -> None:
    network = ARCHITECTURES[name]().double().eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
        if isinstance(module, nn.LocalResponseNorm):
            module.alpha = 0.0
    geometry = map_geometry(network)
    assert geometry.stride == 16
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode():
            for cell in (13, 14):
                first, last = seen_columns(network, cell)
                assert 0 < first < last < SIDE - 1
                assert (first + last) / 2 == geometry.first_center + 16 * cell
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("name", "center"),
    [
        ("alexnet", 15),
        ("vgg16", 7.5),
        ("squeezenet1_0", 17),
        ("zf5", 20),
        ("resnet18", 0),
        ("resnet50", 0),
        ("small", 7),
    ],
)
def test_published_first_centers(name: str, center: float) -> None:
    assert map_geometry(ARCHITECTURES[name]()) == MapGeometry(16, center)


def test_branches_that_disagree_are_refused() -> None:
    class Crooked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Conv2d(3, 4, 3, padding=1)
            self.b = nn.Conv2d(3, 4, 3, padding=0)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([self.a(x), self.b(x)], 1)

    with pytest.raises(ValueError, match="differ"):
        map_geometry(Crooked())


@pytest.mark.parametrize("layer", [nn.Upsample(scale_factor=2), nn.Conv2d(3, 4, (3, 5))])
def test_unknown_layers_are_refused(layer: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"unknown|both axes"):
        map_geometry(nn.Sequential(layer))


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
@pytest.mark.parametrize("size", [(1, 1), (18, 400), (64, 64), (100, 65)])
def test_every_trunk_gives_a_map_of_every_image(name: str, size: tuple[int, int]) -> None:
    result = random_trunk(name).map(torch.zeros(*size, 3, dtype=torch.uint8).numpy())
    assert min(result.shape) >= 1
    assert result.shape[2] == random_trunk(name).channels


@functools.cache
def random_trunk(name: str) -> Trunk:
    return build_trunk(name, None)
