import io
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from sppdet.features.pyramid import (
    SpatialPyramidPool,
    _pool_in_basic_operations,
    bin_count,
    check_levels,
)

SIZES = [(1, 1), (1, 9), (2, 3), (5, 5), (6, 12), (13, 7), (40, 1), (37, 61)]
MODES = ["max", "average"]


def slow_pool(maps: torch.Tensor, levels: tuple[int, ...], mode: str = "max") -> torch.Tensor:
    """Every bin by its definition, one at a time."""
    rows, columns = maps.shape[2:]
    parts = []
    for n in levels:
        for i in range(n):
            for j in range(n):
                top, bottom = math.floor(i * rows / n), math.ceil((i + 1) * rows / n)
                left, right = math.floor(j * columns / n), math.ceil((j + 1) * columns / n)
                cells = maps[:, :, top:bottom, left:right]
                parts.append(cells.amax(dim=(2, 3)) if mode == "max" else cells.mean(dim=(2, 3)))
    return torch.cat(parts, dim=1)


def same(found: torch.Tensor, expected: torch.Tensor, mode: str) -> bool:
    """Maxima are exact; means differ by the order of the sums."""
    if mode == "max":
        return torch.equal(found, expected)
    return found.shape == expected.shape and bool((found - expected).abs().max() < 1e-6)


@pytest.mark.parametrize("levels", [(1,), (1, 2, 3, 6), (4, 2, 1), (1, 2, 4), (5, 5), (7,)])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", MODES)
def test_equals_the_definition(levels: tuple[int, ...], size: tuple[int, int], mode: Any) -> None:
    maps = torch.randn(3, 4, *size, generator=torch.Generator().manual_seed(0))
    pool = SpatialPyramidPool(levels, mode)
    result = pool(maps)
    assert result.shape == (3, 4 * pool.bins)
    assert same(result, slow_pool(maps, levels, mode), mode)
    assert same(_pool_in_basic_operations(maps, levels, mode), result, mode)


@pytest.mark.parametrize("mode", MODES)
def test_script(mode: Any) -> None:
    pool = SpatialPyramidPool((1, 2, 3, 6), mode)
    scripted = torch.jit.script(pool)
    for size in SIZES:
        maps = torch.randn(2, 3, *size)
        assert torch.equal(scripted(maps), pool(maps))


def dynamic_sizes() -> tuple[dict[int, Any]]:
    return (dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC),)


@pytest.mark.parametrize("mode", MODES)
def test_export_with_dynamic_sizes(mode: Any) -> None:
    pool = SpatialPyramidPool((1, 2, 3, 6), mode)
    exported = torch.export.export(
        pool, (torch.randn(2, 3, 8, 9),), dynamic_shapes=dynamic_sizes()
    ).module()
    for batch, size in enumerate(SIZES, start=1):
        maps = torch.randn(batch, 3, *size)
        assert same(exported(maps), pool(maps), mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", ["export", "trace"])
@pytest.mark.filterwarnings("ignore")
def test_onnx_with_dynamic_sizes(mode: Any, way: str) -> None:
    """Both exporters of torch, run by onnxruntime: one is the default before torch 2.9."""
    options = (
        {"dynamic_shapes": dynamic_sizes()}
        if way == "export"
        else {"dynamic_axes": {"maps": [0, 2, 3], "vectors": [0]}}
    )
    pool, file = SpatialPyramidPool((1, 2, 3, 6), mode), io.BytesIO()
    torch.onnx.export(
        pool,
        (torch.randn(2, 3, 8, 9),),
        file,
        input_names=["maps"],
        output_names=["vectors"],
        dynamo=way == "export",
        **options,
    )
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for batch, size in enumerate(SIZES, start=1):
        maps = torch.randn(batch, 3, *size)
        (found,) = session.run(None, {"maps": maps.numpy()})
        assert same(torch.from_numpy(found), pool(maps), mode)


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
@pytest.mark.parametrize("mode", MODES)
def test_gradients(size: tuple[int, int], mode: Any) -> None:
    count = 2 * 3 * size[0] * size[1]
    order = torch.randperm(count, generator=torch.Generator().manual_seed(1))
    maps = order.double().reshape(2, 3, *size).requires_grad_()  # well apart: no kinks nearby
    assert torch.autograd.gradcheck(SpatialPyramidPool((1, 2, 3), mode), maps, eps=1e-3)
    leaf = maps.detach().clone().requires_grad_()
    found = []
    for pooled in (
        SpatialPyramidPool((1, 2, 3), mode)(leaf),
        _pool_in_basic_operations(leaf, (1, 2, 3), mode),
    ):
        weights = torch.arange(pooled.numel(), dtype=torch.float64).view_as(pooled)
        found.append(torch.autograd.grad((pooled * weights).sum(), leaf)[0])
    torch.testing.assert_close(*found)


def test_an_empty_batch_stays_empty() -> None:
    assert SpatialPyramidPool((1, 2))(torch.zeros(0, 4, 3, 3)).shape == (0, 20)


@pytest.mark.parametrize(
    ("levels", "error"),
    [
        ((), ValueError),
        ((0,), ValueError),
        ((2, -1), ValueError),
        (np.zeros(1, int), ValueError),
        ((1.5,), TypeError),
        ((2.0,), TypeError),
        ((True,), TypeError),
        (np.array([True]), TypeError),
        ("12", TypeError),
        (3, TypeError),
        (None, TypeError),
    ],
)
def test_wrong_levels(levels: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="levels"):
        SpatialPyramidPool(levels)


@pytest.mark.parametrize(
    "levels", [(1, 2, 6), [1, 2, 6], np.array([1, 2, 6], np.uint8), (n for n in (1, 2, 6))]
)
def test_forms_of_levels(levels: Iterable[int]) -> None:
    pool = SpatialPyramidPool(levels)
    assert pool.levels == (1, 2, 6)
    assert all(type(level) is int for level in pool.levels)
    assert pool.bins == bin_count(check_levels(pool.levels)) == 41


def test_wrong_mode() -> None:
    with pytest.raises(ValueError, match="mode"):
        SpatialPyramidPool((1,), "mean")  # type: ignore[arg-type]


def test_repr() -> None:
    assert repr(SpatialPyramidPool((1, 2))) == "SpatialPyramidPool(levels=(1, 2), mode='max')"


@pytest.mark.parametrize("shape", [(4, 3, 3), (1, 4, 0, 3), (1, 4, 3, 0)])
def test_wrong_maps(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="maps"):
        SpatialPyramidPool((1,))(torch.zeros(shape))
