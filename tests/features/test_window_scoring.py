"""Linear functions of windows against pooling and a matrix product."""

import numpy as np
import pytest
import torch

from sppdet.features.spp import SppRegionFeatures
from sppdet.features.streaming import Linear, stream
from sppdet.features.window_pooling import pool_windows
from sppdet.features.window_scoring import score_windows
from sppdet.runtime.timing import Clock
from sppdet.settings import SppSettings
from sppdet.trunks import load_trunk


def windows_of(count: int, columns: int, rows: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, columns, (count, 2)), rng.integers(0, rows, (count, 2))
    x.sort(axis=1)
    y.sort(axis=1)
    return np.stack([x[:, 0], y[:, 0], x[:, 1] + 1, y[:, 1] + 1], 1).astype(np.int32)


@pytest.mark.parametrize("levels", [(1,), (1, 2, 3, 6), (2, 5)])
@pytest.mark.parametrize("channels", [1, 3, 70])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 90])
@pytest.mark.parametrize("outputs", [1, 5])
def test_it_is_pooling_and_a_product(levels, channels, count, outputs) -> None:
    rng = np.random.default_rng(1)
    feature_map = rng.standard_normal((9, 11, channels)).astype("f4")
    windows = windows_of(count, 11, 9)
    dimension = sum(level * level for level in levels) * channels
    weight = rng.standard_normal((outputs, dimension)).astype("f4")
    features = pool_windows(feature_map, windows, levels).reshape(count, dimension)
    expected = features.astype("f8") @ weight.T.astype("f8")
    found = score_windows(feature_map, windows, levels, weight)
    assert found.shape == (count, outputs)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(score_windows(feature_map, windows, levels, weight, 3), found)


def test_nan_is_not_lost() -> None:
    rng = np.random.default_rng(4)
    feature_map = rng.standard_normal((9, 11, 3)).astype("f4")
    feature_map[4, 5, 1] = np.nan
    windows = windows_of(90, 11, 9)
    found = score_windows(feature_map, windows, (1, 2), np.ones((1, 15), "f4"))
    left, top, right, bottom = windows.T
    inside = (left <= 5) & (right > 5) & (top <= 4) & (bottom > 4)
    np.testing.assert_array_equal(np.isnan(found[:, 0]), inside)


@pytest.mark.parametrize(
    ("map_", "weight", "error"),
    [
        (np.zeros((4, 4, 2)), np.zeros((1, 100), "f4"), TypeError),
        (np.zeros((4, 4, 2), "f4"), np.zeros((1, 100)), TypeError),
        (np.zeros((4, 4, 2), "f4"), np.zeros((1, 99), "f4"), ValueError),
        (np.zeros((4, 4), "f4"), np.zeros((1, 100), "f4"), ValueError),
        (np.zeros((4, 4, 2), "f4"), np.zeros(100, "f4"), ValueError),
        (np.zeros((3, 3, 2), "f4"), np.zeros((1, 100), "f4"), ValueError),  # the window leaves it
    ],
)
def test_what_does_not_fit_is_refused(map_, weight, error) -> None:
    with pytest.raises(error):
        score_windows(map_, [[0, 0, 4, 4]], (1, 2, 3, 6), weight)


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("scales", [(96,), (80, 160)])
def test_regions_stream_the_same_scores_either_way(scales, normalized) -> None:
    """Normalised levels are no linear function of the map: the features are held."""
    trunk = load_trunk("small", device="cpu")
    extractor = SppRegionFeatures(trunk, SppSettings(scales, normalize_levels=normalized))
    image = np.random.default_rng(2).integers(0, 256, (120, 150, 3), np.uint8)
    corners = np.random.default_rng(3).uniform(0, 60, (50, 4))
    boxes = np.concatenate([corners[:, :2], corners[:, :2] + 12 + corners[:, 2:]], 1).astype("f4")
    regions = extractor.prepare(image, boxes)
    function = Linear(
        torch.randn(3, extractor.dimension, generator=torch.Generator().manual_seed(0)),
        torch.tensor([1.0, -2.0, torch.nan]),
    )
    keys = np.arange(regions.count)[::-1].copy()
    found = stream(regions, keys, function, 3)
    expected = stream(regions, keys, lambda features: function(features), 3)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    assert np.isnan(found[:, 2]).all()
    fused = regions.linear(keys, function.weight, Clock())
    assert (fused is None) == normalized
