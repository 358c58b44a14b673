import numpy as np
import pytest
import torch

from sppdet.boxes import as_boxes
from sppdet.features.spp import SppRegionFeatures, normalize_levels
from sppdet.features.streaming import Linear, features_together, half_features, stream
from sppdet.features.windows import choose_scale, image_scales, map_windows, resize
from sppdet.settings import SppSettings
from sppdet.trunks import Trunk, build_trunk


@pytest.fixture(scope="module")
def trunk() -> Trunk:
    return build_trunk("small", None)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (90, 140, 3)).astype(np.uint8)


def boxes(count: int = 60) -> np.ndarray:
    corners = np.random.default_rng(1).uniform(0, 90, (count, 2, 2))
    return as_boxes(np.concatenate([corners.min(1), corners.max(1) + 2], axis=1))


SETTINGS = [
    SppSettings((160,)),
    SppSettings((160,), normalize_levels=True),
    SppSettings((128, 256), levels=(1, 2)),
    SppSettings((128, 256), levels=(1, 3), pooling="average"),
    SppSettings((160,), pooling="average", mapping="code", normalize_levels=True),
    SppSettings((160,), mapping="nearest"),
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_features_equal_those_made_box_by_box(
    trunk: Trunk, image: np.ndarray, settings: SppSettings
) -> None:
    extractor = SppRegionFeatures(trunk, settings)
    regions = extractor.prepare(image, boxes())
    found = regions.features(np.arange(regions.count))[torch.from_numpy(regions.keys)]
    assert found.shape == (60, extractor.dimension)
    scales = image_scales(140, 90, settings.scales, settings.longest_side)
    maps = [trunk.map(resize(image, scale)) for scale in scales]
    for box, vector in zip(boxes(), found, strict=True):
        index = choose_scale(box[None], scales)[0]
        rows, columns, _ = maps[index].shape
        x1, y1, x2, y2 = map_windows(
            box[None], scales[index], trunk.geometry, rows, columns, settings.mapping
        )[0]
        cells = maps[index][y1:y2, x1:x2].permute(2, 0, 1)[None]
        parts = []
        for level in settings.levels:
            pool = {
                "max": torch.nn.functional.adaptive_max_pool2d,
                "average": torch.nn.functional.adaptive_avg_pool2d,
            }[settings.pooling]
            part = pool(cells, level)[0]
            part = part.flatten(1).T.flatten()
            parts.append(part / part.norm() if settings.normalize_levels else part)
        torch.testing.assert_close(vector, torch.cat(parts), rtol=1e-4, atol=1e-5)
    weight = torch.randn(3, extractor.dimension)
    scores = stream(regions, np.arange(regions.count), Linear(weight, torch.zeros(3)), 3)
    expected = regions.features(np.arange(regions.count)) @ weight.T
    np.testing.assert_allclose(scores, expected.numpy(), rtol=1e-3, atol=1e-3)


def test_layers_that_were_trained_on_maxima_refuse_means() -> None:
    alexnet = build_trunk("alexnet", None, layer="fc6")
    with pytest.raises(ValueError, match="fc6 of alexnet takes maxima"):
        SppRegionFeatures(alexnet, SppSettings((96,), levels=(6,), pooling="average"))


@pytest.mark.parametrize("wrong", [{"pooling": "median"}, {"mapping": "mine"}])
def test_unknown_names_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="give one of"):
        SppSettings(**wrong)  # type: ignore[arg-type]


def test_boxes_on_the_same_cells_are_one(trunk: Trunk, image: np.ndarray) -> None:
    box = boxes(1)
    twins = np.concatenate([box, box + 0.01, box]).astype("f4")
    regions = SppRegionFeatures(trunk, SppSettings((160,))).prepare(image, twins)
    assert regions.count == 1
    assert regions.keys.tolist() == [0, 0, 0]


@pytest.mark.parametrize("settings", SETTINGS)
def test_restored_regions_are_those_in_half_precision(
    trunk: Trunk, image: np.ndarray, settings: SppSettings
) -> None:
    extractor = SppRegionFeatures(trunk, settings)
    regions = extractor.prepare(image, boxes())
    again = extractor.restore(regions.to_arrays())
    np.testing.assert_array_equal(again.keys, regions.keys)
    keys = np.arange(regions.count)
    torch.testing.assert_close(again.features(keys), regions.features(keys), rtol=2e-3, atol=1e-3)


def test_no_boxes(trunk: Trunk, image: np.ndarray) -> None:
    regions = SppRegionFeatures(trunk, SppSettings((160,))).prepare(image, as_boxes([]))
    assert regions.count == 0
    assert regions.features(np.zeros(0, np.int64)).shape == (0, 50 * trunk.channels)
    assert half_features(regions, np.zeros(0, np.int64)).shape == (0, 50 * trunk.channels)


def test_blockwise_scores_equal_the_whole_product(trunk: Trunk, image: np.ndarray) -> None:
    extractor = SppRegionFeatures(trunk, SppSettings((300,)))
    regions = extractor.prepare(image, boxes(700))
    assert regions.count > 256
    keys = np.arange(regions.count)
    weight, bias = torch.randn(3, extractor.dimension), torch.randn(3)
    expected = regions.features(keys) @ weight.T + bias
    scores = stream(regions, keys, lambda features: features @ weight.T + bias, 3)
    np.testing.assert_allclose(scores, expected.numpy(), rtol=1e-3, atol=1e-3)


def test_a_level_of_zeros_stays_zero() -> None:
    pooled = torch.zeros(2, 5, 3)
    pooled[1, 1:] = 2.0
    normalize_levels(pooled, (1, 2))
    assert pooled[0].abs().sum() == 0
    assert pooled[1, 0].abs().sum() == 0
    assert pooled[1, 1:].flatten().norm() == pytest.approx(1)


@pytest.mark.parametrize("sizes", [[], [0], [0, 0], [3], [7, 0, 12]])
def test_features_together_are_those_of_each_choice(
    trunk: Trunk, image: np.ndarray, sizes: list[int]
) -> None:
    regions = SppRegionFeatures(trunk, SppSettings((160,))).prepare(image, boxes())
    random = np.random.default_rng(0)
    choices = [random.permutation(regions.count)[:size] for size in sizes]
    found = features_together(regions, choices)
    assert len(found) == len(sizes)
    for one, keys in zip(found, choices, strict=True):
        assert torch.equal(one, half_features(regions, keys))


def test_regions_keep_their_features_in_another_precision(trunk: Trunk, image: np.ndarray) -> None:
    extractor = SppRegionFeatures(trunk, SppSettings((128, 256)))
    regions = extractor.prepare(image, boxes())
    small = regions.to_type(torch.float16)
    assert small.nbytes == regions.nbytes // 2
    restored = extractor.restore(regions.to_arrays())
    keys = np.arange(regions.count)
    found = small.to_type(torch.float32).features(keys)
    assert torch.equal(found, restored.features(keys))


@pytest.mark.gpu
def test_scores_of_a_whole_image_on_a_gpu_are_those_of_the_cpu(image: np.ndarray) -> None:
    on_gpu = SppRegionFeatures(build_trunk("small", None), SppSettings((160,)))
    regions = on_gpu.prepare(image, boxes())
    weight = torch.randn(3, on_gpu.dimension, generator=torch.Generator().manual_seed(0))
    keys, bias = np.arange(regions.count), torch.arange(3.0)
    wanted = stream(regions, keys, Linear(weight, bias), 3)
    regions.maps = [one.cuda() for one in regions.maps]
    found = stream(regions, keys, Linear(weight.cuda(), bias.cuda()), 3)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3)
