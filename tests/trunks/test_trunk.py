import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from sppdet.errors import SppdetError
from sppdet.trunks import SPECS, Trunk, build_trunk, load_trunk

IMAGE = np.random.default_rng(0).integers(0, 255, (80, 96, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def small() -> Trunk:
    return build_trunk("small", None)


def test_the_default_preprocessing_is_torchvisions() -> None:
    trunk = build_trunk("squeezenet1_1", None)
    expected = (IMAGE / 255 - (0.485, 0.456, 0.406)) / np.array((0.229, 0.224, 0.225))
    np.testing.assert_allclose(
        trunk.input_tensor(IMAGE)[0].permute(1, 2, 0).numpy(), expected, atol=1e-5
    )


def test_nan_in_the_weights_is_noticed() -> None:
    trunk = build_trunk("squeezenet1_1", None)
    next(trunk.network.parameters()).fill_(torch.nan)
    with pytest.raises(SppdetError, match="not finite"):
        trunk.map(IMAGE)


def test_the_repr_is_one_line_that_says_what_the_trunk_is(small: Trunk) -> None:
    assert repr(small) == "Trunk(small: 256 channels, stride 16, weights: random, cpu)"
    with_layers = build_trunk("alexnet", None, layer="fc6")
    assert repr(with_layers).startswith("Trunk(alexnet: 256 channels, fc6, stride 16")


@pytest.mark.parametrize(
    ("name", "layer", "levels", "length"),
    [
        ("small", "pooled", None, 50 * 256),
        ("alexnet", "pooled", None, 50 * 256),
        ("alexnet", "fc6", (6,), 4096),
        ("alexnet", "fc7", (6,), 4096),
    ],
)
def test_the_trunk_knows_its_layer(
    name: str, layer: str, levels: tuple[int, ...] | None, length: int
) -> None:
    trunk = load_trunk(name, "random", layer=layer)  # type: ignore[arg-type]
    assert (trunk.layer, trunk.levels) == (layer, levels)
    assert trunk.feature_length(50) == length
    assert trunk.spec is SPECS[name]
    assert trunk.rebuildable


@pytest.mark.parametrize(
    ("size", "smallest", "multiple", "expected"),
    [
        ((80, 96), 64, 1, (80, 96)),
        ((1, 70), 64, 1, (64, 70)),
        ((80, 97), 64, 32, (96, 128)),
        ((1, 1), 100, 14, (112, 112)),
    ],
)
def test_images_are_filled_up_to_what_the_network_takes(
    small: Trunk,
    size: tuple[int, int],
    smallest: int,
    multiple: int,
    expected: tuple[int, int],
) -> None:
    class Sizes(nn.Module):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            seen.append(tuple(batch.shape[2:]))
            assert not batch[..., size[0] :, :].any()
            assert not batch[..., size[1] :].any()
            return batch

    seen: list[tuple[int, ...]] = []
    trunk = dataclasses.replace(small, network=Sizes(), smallest_side=smallest, multiple=multiple)
    image = np.full((*size, 3), 255, np.uint8)
    assert trunk.map(image).shape == (*expected, 3)
    assert seen == [expected]


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_a_map_is_float32_whatever_the_network_computes_in(kind: torch.dtype) -> None:
    trunk = build_trunk("squeezenet1_1", None)
    expected = trunk.map(IMAGE)
    trunk.network.to(kind)
    found = trunk.map(IMAGE)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05 * float(expected.max()))


@pytest.mark.parametrize("name", ["small", "lite0", "squeezenet1_1", "alexnet"])
@pytest.mark.parametrize("side", [20, 97, 130])
def test_cells_are_those_of_the_map(name: str, side: int) -> None:
    trunk = build_trunk(name, None)
    image = np.zeros((side, side + 40, 3), np.uint8)
    assert trunk.cells(side) == trunk.map(image).shape[0]


def test_cells_of_a_network_that_needs_values_are_unknown() -> None:
    class Odd(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images[:, :, : int(images.sum()) + 9]

    assert dataclasses.replace(build_trunk("small", None), network=Odd()).cells(99) is None
