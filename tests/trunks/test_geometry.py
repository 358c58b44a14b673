import functools
import threading

import pytest
import torch
from torch import nn

from sppdet.trunks import SPECS, MapGeometry, Trunk, build_trunk, map_geometry
from sppdet.trunks.loading import build_network

SIDE = 960


def seen_columns(network: nn.Module, cell: int) -> tuple[int, int]:
    """First and last image column that can change a map cell of the middle row, by perturbation.

    With positive weights a brighter pixel shows through every ReLU and max pooling. Brightening all
    columns from x on changes the cell exactly if x is not behind its last column (and likewise from
    the left), so that bisection finds both ends.
    """
    base = torch.full((1, 3, 64, SIDE), 0.01)  # so that no ReLU6 is at its end

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


@pytest.mark.parametrize("name", sorted(set(SPECS) - {"vgg16", "resnet50"}))
def test_geometry_is_where_perturbed_pixels_are_seen(name: str) -> None:
    network = build_network(SPECS[name]).double().eval()
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
            for cell in (29, 30):
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
        ("lite0", 15),
        ("lite2", 15),
    ],
)
def test_published_first_centers(name: str, center: float) -> None:
    assert map_geometry(build_network(SPECS[name])) == MapGeometry(16, center)


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


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("cat along the height", "dimension 2"),
        ("a method that moves cells", "method flip"),
        ("an average over the map", "does not depend on the place"),
        ("two outputs", "not one tensor"),
        ("a joined shift", "differ"),
    ],
)
def test_operations_that_lose_the_grid_are_refused(kind: str, line: str) -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.conv = nn.Conv2d(3, 3, 2, stride=2)

        def forward(self, x: torch.Tensor) -> object:
            if kind == "cat along the height":
                return torch.cat([x, x], dim=2)
            if kind == "a method that moves cells":
                return x.flip(3)
            if kind == "an average over the map":
                return self.pool(x)
            return (x, x) if kind == "two outputs" else self.conv(x) + x

    with pytest.raises(ValueError, match=line):
        map_geometry(Odd())


@pytest.mark.parametrize(
    "layer",
    [nn.ReLU6(), nn.Hardswish(), nn.GELU(), nn.Sigmoid(), nn.Hardsigmoid(), nn.LeakyReLU()],
)
def test_pointwise_layers_keep_the_grid(layer: nn.Module) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), layer, nn.Conv2d(8, 8, 3, groups=8))
    assert map_geometry(network) == MapGeometry(2, 3.0)


@pytest.mark.parametrize(
    ("padding", "center"), [((0, 1, 0, 1), 2.0), ((1, 2, 1, 2), 1.0), ((2, 0, 2, 5), 0.0)]
)
def test_padding_at_the_far_end_moves_no_cell(
    padding: tuple[int, int, int, int], center: float
) -> None:
    network = nn.Sequential(nn.ZeroPad2d(padding), nn.Conv2d(3, 4, 5, stride=2))
    assert map_geometry(network) == MapGeometry(2, center)


@pytest.mark.parametrize("functional", [False, True])
def test_squeeze_and_excitation_keeps_the_grid(functional: bool) -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
            self.pool = nn.AdaptiveAvgPool2d((1, 1))
            self.squeeze = nn.Conv2d(8, 8, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv(x)
            pooled = nn.functional.adaptive_avg_pool2d(x, 1) if functional else self.pool(x)
            return x * torch.sigmoid(self.squeeze(pooled))

    assert map_geometry(Gated()) == MapGeometry(2, 0.0)


@pytest.mark.parametrize(
    "layer", [nn.Upsample(scale_factor=2), nn.Conv2d(3, 4, (3, 5)), nn.ZeroPad2d((1, 0, 0, 1))]
)
def test_unknown_layers_are_refused(layer: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"unknown|both axes"):
        map_geometry(nn.Sequential(layer))


@pytest.mark.parametrize("name", sorted(SPECS))
@pytest.mark.parametrize("size", [(1, 1), (18, 400), (64, 64), (100, 65)])
def test_every_trunk_gives_a_map_of_every_image(name: str, size: tuple[int, int]) -> None:
    result = random_trunk(name).map(torch.zeros(*size, 3, dtype=torch.uint8).numpy())
    assert min(result.shape) >= 1
    assert result.shape[2] == random_trunk(name).channels


@functools.cache
def random_trunk(name: str) -> Trunk:
    return build_trunk(name, None)


def test_another_thread_runs_networks_while_one_is_traced() -> None:
    """PyTorch's tracer takes the place of every module's call, in all threads."""
    image, other = torch.zeros(1, 3, 32, 32), nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    wanted, begun, errors = other(image), threading.Event(), []

    class Slow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 4, 3, stride=2, padding=1)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
            return self.layer(pixels)

    def run() -> None:
        begun.set()
        try:
            assert torch.equal(other(image), wanted)
        except Exception as error:
            errors.append(error)

    geometry = map_geometry(Slow())
    assert begun.is_set()
    assert not errors
    assert geometry.stride == 2
