import numpy as np
import pytest
import torch

from sppdet.features.pyramid import SpatialPyramidPool, bin_count
from sppdet.features.window_averaging import average_windows, average_windows_torch


def random_case(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    feature_map = random.standard_normal((11, 14, 5)).astype("f4")
    first = np.stack([random.integers(0, 14, count), random.integers(0, 11, count)], 1)
    space = np.array([14, 11]) - first
    end = first + 1 + (random.random((count, 2)) * space).astype(int)
    return feature_map, np.concatenate([first, end], 1).astype(np.int32)


def slow_average(feature_map: np.ndarray, windows: np.ndarray, levels: tuple) -> np.ndarray:
    result = []
    for x1, y1, x2, y2 in windows.tolist():
        bins = []
        for n in levels:
            for i in range(n):
                for j in range(n):
                    top, bottom = y1 + (i * (y2 - y1)) // n, y1 + -(-((i + 1) * (y2 - y1)) // n)
                    left, right = x1 + (j * (x2 - x1)) // n, x1 + -(-((j + 1) * (x2 - x1)) // n)
                    bins.append(feature_map[top:bottom, left:right].mean(axis=(0, 1)))
        result.append(bins)
    return np.array(result, "f4")


@pytest.mark.parametrize("levels", [(1, 2, 3, 6), (4, 2, 1), (3, 3), (7,)])
def test_both_paths_equal_the_slow_one(levels: tuple[int, ...]) -> None:
    feature_map, windows = random_case()
    expected = slow_average(feature_map, windows, levels)
    fast = average_windows(feature_map, windows, levels)
    assert fast.shape == (60, bin_count(levels), 5)
    np.testing.assert_allclose(fast, expected, rtol=1e-4, atol=1e-6)
    found = average_windows_torch(torch.from_numpy(feature_map), windows, levels)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-6)


def test_equals_the_pyramid_module_on_the_same_cells() -> None:
    feature_map, windows = random_case(20)
    module = SpatialPyramidPool((1, 2, 3, 6), mode="average")
    for (x1, y1, x2, y2), pooled in zip(
        windows, average_windows(feature_map, windows, (1, 2, 3, 6)), strict=True
    ):
        cells = torch.from_numpy(feature_map[y1:y2, x1:x2]).permute(2, 0, 1)[None]
        np.testing.assert_allclose(module(cells)[0].numpy(), pooled.ravel(), rtol=1e-4, atol=1e-6)


def test_no_windows_and_wrong_ones() -> None:
    feature_map, _ = random_case(1)
    none = np.zeros((0, 4), np.int32)
    assert average_windows(feature_map, none, (1, 2)).shape == (0, 5, 5)
    assert average_windows_torch(torch.from_numpy(feature_map), none, (1, 2)).shape == (0, 5, 5)
    with pytest.raises(ValueError, match="windows must hold a cell"):
        average_windows(feature_map, [[0, 0, 15, 2]], (1,))
    with pytest.raises(TypeError, match="float32"):
        average_windows(feature_map.astype("f8"), [[0, 0, 2, 2]], (1,))
