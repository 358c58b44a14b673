"""The kernels in Triton's interpreter, which is slow (maps are small here), or on a GPU."""

import os

import numpy as np
import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when a kernel is defined

pytest.importorskip("triton")

from sppdet.features.window_pooling import pool_windows
from sppdet.features.window_pooling_torch import pool_windows_torch
from sppdet.features.window_pooling_triton import Launch, pool_windows_triton

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LEVELS = [(1, 2, 3, 6), (4, 2, 1), (1, 2, 4, 5), (3, 1, 3), (2, 9, 3, 1), (5,)]


def random_case(
    seed: int, rows: int, columns: int, channels: int, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(seed)
    feature_map = random.standard_normal((rows, columns, channels)).astype("f4")
    first = np.stack([random.integers(0, columns, count), random.integers(0, rows, count)], 1)
    space = np.array([columns, rows]) - first
    end = first + 1 + (random.random((count, 2)) * space).astype(int)
    windows = np.concatenate([first, end], 1).astype(np.int32)
    if count:
        windows[-1] = 0, 0, columns, rows
    return torch.from_numpy(feature_map).to(DEVICE), torch.from_numpy(windows).to(DEVICE)


def check(feature_map: torch.Tensor, windows: torch.Tensor, levels: tuple, launch: Launch) -> None:
    found = pool_windows_triton(feature_map, windows, levels, launch)
    assert (found.dtype, found.device) == (feature_map.dtype, feature_map.device)
    slow = pool_windows(feature_map.float().cpu().numpy(), windows.cpu().numpy(), levels)
    np.testing.assert_array_equal(found.float().cpu().numpy(), slow)


@pytest.mark.parametrize("levels", LEVELS)
def test_levels(levels: tuple) -> None:
    check(*random_case(0, 7, 9, 3, 3), levels, Launch(4, 1))


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 2), (14, 3, 5), (2, 2, 4)])
@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_shapes_and_depths_of_the_table(shape: tuple, depth: int) -> None:
    """Bins of more than two blocks are read in a loop; 14 cells are 7 blocks of level 1."""
    check(*random_case(1, *shape, 2), (2, 1), Launch(4, 1, depth))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_types(dtype: torch.dtype) -> None:
    """The interpreter compares bfloat16 as integers: the GPU's test has it."""
    feature_map, windows = random_case(2, 6, 5, 4, 3)
    check(feature_map.to(dtype), windows, (1, 2, 3), Launch(4, 1))


def test_nan_is_not_lost() -> None:
    feature_map, windows = random_case(3, 6, 5, 2, 3)
    feature_map[2, 2, 1] = torch.nan
    found = pool_windows_triton(feature_map, windows, (1, 2))
    expected = pool_windows(feature_map.cpu().numpy(), windows.cpu().numpy(), (1, 2))
    np.testing.assert_array_equal(found.cpu().numpy(), expected)
    assert np.isnan(expected).any()


@pytest.mark.parametrize(("count", "channels"), [(0, 3), (2, 0)])
def test_nothing_to_pool(count: int, channels: int) -> None:
    found = pool_windows_triton(*random_case(4, 3, 3, channels, count), (1, 2))
    assert found.shape == (count, 5, channels)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("levels", "channels", "dtype"),
    [
        ((1, 2, 3, 6), 256, torch.float32),
        ((1, 2, 3, 6), 455, torch.float16),
        ((1, 2, 4, 5), 40, torch.bfloat16),
        ((3, 9, 3, 1), 512, torch.float16),
        ((1,), 256, torch.bfloat16),
    ],
)
def test_whole_photographs_on_a_gpu(levels: tuple, channels: int, dtype: torch.dtype) -> None:
    feature_map, windows = random_case(5, 43, 62, channels, 300)
    feature_map = feature_map.to(dtype)
    found = pool_windows_torch(feature_map, windows, levels)
    slow = pool_windows_torch(feature_map.float().cpu(), windows.cpu(), levels)
    np.testing.assert_array_equal(found.float().cpu().numpy(), slow.numpy())


@pytest.mark.gpu
def test_a_gradient_takes_the_torch_operations() -> None:
    feature_map, windows = random_case(6, 5, 6, 2, 4)
    leaf = feature_map.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda m: pool_windows_torch(m, windows, (1, 2, 3)), (leaf,))
