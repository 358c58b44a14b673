import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from sppdet.datasets.scenes import render_scene
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.linear import LinearScorer
from sppdet.runtime.timing import Clock
from sppdet.settings import SppSettings
from sppdet.trunks import load_trunk

pytestmark = pytest.mark.slow

IMAGE = render_scene(3, (200, 150)).image
LEVELS = (1, 3, 2)


def some_boxes(count: int = 60) -> np.ndarray:
    corners = np.random.default_rng(1).uniform(0, [200, 150], (count, 2, 2))
    return np.concatenate([corners.min(1), corners.max(1) + 1], axis=1).astype("f4")


@pytest.fixture(scope="module")
def average(example: Callable[[str], ModuleType]) -> ModuleType:
    return example("average_pooling")


def slow_means(window: np.ndarray) -> np.ndarray:
    """The mean of each bin by loops: (h, w, channels) to (bins, channels)."""
    height, width, _ = window.shape
    bins = []
    for n in LEVELS:
        for i in range(n):
            for j in range(n):
                rows = slice(int(np.floor(i * height / n)), int(np.ceil((i + 1) * height / n)))
                columns = slice(int(np.floor(j * width / n)), int(np.ceil((j + 1) * width / n)))
                bins.append(window[rows, columns].mean(axis=(0, 1)))
    return np.array(bins)


def test_features_are_the_means_of_the_bins(average: ModuleType) -> None:
    trunk, boxes = load_trunk("small"), some_boxes()
    extractor = average.AveragePooling(trunk, 160, LEVELS)
    regions = extractor.prepare(IMAGE, boxes)
    features = regions.features(regions.keys).reshape(len(boxes), 14, 256).numpy()
    assert extractor.dimension == 14 * 256
    assert 1 < regions.count < len(boxes)

    same_windows = SppRegionFeatures(trunk, SppSettings((160,))).prepare(IMAGE, boxes)
    (feature_map,) = extractor.maps(IMAGE, Clock())
    windows = same_windows.windows[same_windows.keys, 1:]
    for row, (x1, y1, x2, y2) in enumerate(windows):
        expected = slow_means(feature_map.numpy()[y1:y2, x1:x2].astype(np.float64))
        np.testing.assert_allclose(features[row], expected, rtol=1e-5, atol=1e-5)


def test_stored_regions_are_the_same_in_half_precision(average: ModuleType) -> None:
    extractor = average.AveragePooling(load_trunk("small"), 160, LEVELS)
    regions = extractor.prepare(IMAGE, some_boxes())
    again = extractor.restore(regions.to_arrays())
    keys = np.array([2, 0, 2])
    np.testing.assert_array_equal(again.keys, regions.keys)
    torch.testing.assert_close(again.features(keys), regions.features(keys), rtol=1e-3, atol=1e-3)


def test_the_detector_detects_and_is_not_saved(average: ModuleType, tmp_path: Path) -> None:
    extractor = average.AveragePooling(load_trunk("small"), 160, LEVELS)
    scorer = LinearScorer(
        torch.ones(1, extractor.dimension), torch.zeros(1), np.ones((1, 2), np.float32)
    )
    detector = Detector(extractor, scorer, ("a",))
    assert len(detector.detect(IMAGE)) > 0
    with pytest.raises(SppdetError, match="average"):
        detector.save(tmp_path / "average.safetensors")


def test_training_on_scenes(average: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    average.main(["--scenes", "12"])
    line = capsys.readouterr().out
    found = re.fullmatch(r"average pooling: mAP (\d\.\d{3}) on 6 scenes\n", line)
    assert found is not None
    assert float(found[1]) > 0.5
