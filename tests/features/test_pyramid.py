import math

import pytest
import torch

from sppdet.features.pyramid import SpatialPyramidPool


def slow_pool(maps: torch.Tensor, levels: tuple[int, ...]) -> torch.Tensor:
    """Every bin by its definition, one at a time."""
    rows, columns = maps.shape[2:]
    parts = []
    for n in levels:
        for i in range(n):
            for j in range(n):
                top, bottom = math.floor(i * rows / n), math.ceil((i + 1) * rows / n)
                left, right = math.floor(j * columns / n), math.ceil((j + 1) * columns / n)
                parts.append(maps[:, :, top:bottom, left:right].amax(dim=(2, 3)))
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("levels", [(1,), (1, 2, 3, 6), (4, 2, 1), (1, 2, 4), (5, 5), (7,)])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (5, 5), (6, 12), (13, 7), (40, 1)])
def test_equals_the_definition(levels: tuple[int, ...], size: tuple[int, int]) -> None:
    maps = torch.randn(3, 4, *size, generator=torch.Generator().manual_seed(0))
    pool = SpatialPyramidPool(levels)
    result = pool(maps)
    assert result.shape == (3, 4 * pool.bins)
    assert torch.equal(result, slow_pool(maps, levels))


def test_the_size_that_the_issue_names() -> None:
    maps = torch.rand(5, 512, 22, 82)
    result = SpatialPyramidPool((1, 2, 4))(maps)
    assert result.shape == (5, 10752)
    assert torch.equal(result[:, :512], maps.amax(dim=(2, 3)))


def test_bins_hold_their_channels_side_by_side() -> None:
    maps = torch.arange(2 * 2 * 2, dtype=torch.float32).reshape(1, 2, 2, 2)  # channel, row, column
    result = SpatialPyramidPool((2, 1))(maps)
    assert result.tolist() == [[0, 4, 1, 5, 2, 6, 3, 7, 3, 7]]


def test_memory_layout_does_not_matter() -> None:
    maps = torch.randn(2, 6, 5, 9)
    pool = SpatialPyramidPool((1, 2, 3))
    assert torch.equal(pool(maps), pool(maps.contiguous(memory_format=torch.channels_last)))


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (6, 6)])
def test_gradients(size: tuple[int, int]) -> None:
    count = 2 * 3 * size[0] * size[1]
    order = torch.randperm(count, generator=torch.Generator().manual_seed(1))
    maps = order.double().reshape(2, 3, *size).requires_grad_()  # well apart: no kinks nearby
    assert torch.autograd.gradcheck(SpatialPyramidPool((1, 2, 3)), maps, eps=1e-3)


def test_an_empty_batch_stays_empty() -> None:
    assert SpatialPyramidPool((1, 2))(torch.zeros(0, 4, 3, 3)).shape == (0, 20)


@pytest.mark.parametrize("levels", [(), (0,), (2, -1), (1.5,)])
def test_wrong_levels(levels: tuple) -> None:
    with pytest.raises(ValueError, match="levels"):
        SpatialPyramidPool(levels)


@pytest.mark.parametrize("shape", [(4, 3, 3), (1, 4, 0, 3), (1, 4, 3, 0)])
def test_wrong_maps(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least one cell"):
        SpatialPyramidPool((1,))(torch.zeros(shape))
