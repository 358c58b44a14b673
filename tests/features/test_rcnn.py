import numpy as np
import pytest
import torch

from sppdet.boxes import as_boxes
from sppdet.detector import Detector
from sppdet.features.pyramid import SpatialPyramidPool
from sppdet.features.rcnn import RcnnRegionFeatures
from sppdet.features.warp import crop_windows, warp
from sppdet.heads.linear import LinearScorer
from sppdet.runtime.timing import Clock
from sppdet.settings import DetectorSettings, RcnnSettings
from sppdet.trunks import Trunk, build_trunk


@pytest.fixture(scope="module")
def trunk() -> Trunk:
    return build_trunk("small", None)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (90, 140, 3)).astype(np.uint8)


def boxes(count: int = 30) -> np.ndarray:
    corners = np.random.default_rng(1).uniform(0, 90, (count, 2, 2))
    return as_boxes(np.concatenate([corners.min(1), corners.max(1) + 2], axis=1))


SETTINGS = [
    RcnnSettings(64, 4),
    RcnnSettings(80, 0, "tight"),
    RcnnSettings(64, 4, levels=(1, 2), normalize_levels=True),
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("batch", [1, 7, 64])
def test_features_are_the_pyramids_of_the_crops(
    trunk: Trunk, image: np.ndarray, settings: RcnnSettings, batch: int
) -> None:
    extractor = RcnnRegionFeatures(trunk, settings, batch)
    regions = extractor.prepare(image, boxes())
    found = regions.features(regions.keys)
    assert found.shape == (30, extractor.dimension)
    pyramid = SpatialPyramidPool(settings.levels)
    for box, vector in zip(boxes(), found, strict=True):
        window = crop_windows(box[None], settings.size, settings.context, settings.mode)
        crop = warp(trunk.normalized(image), window, settings.size)
        expected = pyramid(trunk.network(crop))[0]
        if settings.normalize_levels:
            parts = expected.split([level * level * trunk.channels for level in settings.levels])
            expected = torch.cat([part / part.norm() for part in parts])
        torch.testing.assert_close(vector, expected, rtol=2e-3, atol=2e-3)


def test_equal_boxes_are_computed_once(trunk: Trunk, image: np.ndarray) -> None:
    twice = np.concatenate([boxes(5), boxes(5)])
    regions = RcnnRegionFeatures(trunk).prepare(image, twice)
    assert regions.count == 5
    np.testing.assert_array_equal(regions.keys[:5], regions.keys[5:])


def test_restored_regions_are_the_same(trunk: Trunk, image: np.ndarray) -> None:
    extractor = RcnnRegionFeatures(trunk)
    regions = extractor.prepare(image, boxes())
    again = extractor.restore(regions.to_arrays())
    np.testing.assert_array_equal(again.keys, regions.keys)
    torch.testing.assert_close(again.features(again.keys), regions.features(regions.keys))


def test_no_boxes(trunk: Trunk, image: np.ndarray) -> None:
    extractor = RcnnRegionFeatures(trunk)
    regions = extractor.prepare(image, as_boxes([]))
    assert regions.features(np.zeros(0, np.int64)).shape == (0, extractor.dimension)


def test_the_stages_are_timed(trunk: Trunk, image: np.ndarray) -> None:
    clock = Clock()
    RcnnRegionFeatures(trunk).prepare(image, boxes(), clock)
    assert list(clock.seconds) == ["crops", "convolution", "pooling"]
    assert min(clock.seconds.values()) > 0


@pytest.mark.parametrize(
    ("name", "size", "context"), [("small", 64, 4), ("squeezenet1_0", 227, 16), ("vgg16", 224, 16)]
)
def test_crops_suit_the_trunk(name: str, size: int, context: int) -> None:
    assert RcnnRegionFeatures(build_trunk(name, None)).settings == RcnnSettings(size, context)


def test_a_detector_survives_its_file(trunk: Trunk, image: np.ndarray, tmp_path) -> None:
    extractor = RcnnRegionFeatures(trunk, RcnnSettings(64, 4, "tight", (1, 2)))
    random = torch.Generator().manual_seed(0)
    heads = LinearScorer(
        torch.randn(2, extractor.dimension, generator=random),
        torch.zeros(2),
        np.float32([[1, 0], [1, 0]]),
    )
    detector = Detector(extractor, heads, ("a", "b"), DetectorSettings(max_boxes=40))
    detector.save(tmp_path / "model.safetensors")
    again = Detector.load(tmp_path / "model.safetensors", "cpu")
    assert again.extractor.to_json() == extractor.to_json()
    found, expected = again.detect(image), detector.detect(image)
    assert len(expected) > 0
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert {"proposals", "crops", "convolution", "pooling", "scoring"} <= set(found.seconds)
