"""The sum of the bins is the score that the detector itself reports, of the same proposal."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sppdet.detections import Detections
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.explaining import Explanation, explain, explain_box
from sppdet.features.rcnn import RcnnRegionFeatures
from sppdet.features.spp import SppRegionFeatures
from sppdet.features.windows import image_scales, map_windows
from sppdet.heads.connected import LayeredSvms
from sppdet.heads.layers import Layers
from sppdet.heads.path import find
from sppdet.images import Rgb, read_image
from sppdet.settings import RcnnSettings, SppSettings
from sppdet.trunks import build_trunk

pytestmark = pytest.mark.slow

LARGEST = 1e-6
"""Rounding of float32 relative to the sum of the magnitudes."""


@pytest.fixture(scope="module")
def image(few_scenes: Path) -> Rgb:
    return read_image(sorted(few_scenes.glob("*.jpg"))[0])


def slow_parts(detector: Detector, image: Rgb, one: Explanation) -> np.ndarray:
    """Bin by bin and cell by cell from the map, in double precision."""
    settings = detector.extractor.settings
    height, width = image.shape[:2]
    scales = image_scales(width, height, settings.scales, settings.longest_side)
    maps = detector.extractor.prepare(image, np.array([one.proposal], np.float32)).maps
    index = [(s.width, s.height) for s in scales].index(one.seen_size)
    cells = maps[index].double().numpy()
    left, top, right, bottom = one.window
    inside = cells[top:bottom, left:right]
    weight = detector.scorer.weight[detector.classes.index(one.label)].double().numpy()
    parts, start = [], 0
    for level in settings.levels:
        for y in range(level):
            for x in range(level):
                rows = slice(y * len(inside) // level, -(-(y + 1) * len(inside) // level))
                columns = slice(
                    x * inside.shape[1] // level, -(-(x + 1) * inside.shape[1] // level)
                )
                feature = inside[rows, columns].max(axis=(0, 1))
                parts.append(feature @ weight[start : start + len(feature)])
                start += len(feature)
    assert start == len(weight)
    return np.array(parts)


def test_a_box_that_holds_two_others(keeping: Detector, image: Rgb) -> None:
    """Its score is the sum of the bins, and its probability that of the lowered score."""
    detector = copy.copy(keeping)
    bias = torch.full_like(keeping.scorer.bias, 3.0)
    detector.scorer = replace(keeping.scorer, bias=bias)
    detector.regression = None
    height, width = image.shape[:2]
    boxes = np.array([[0, 0, width, height], [0, 0, 40, 40], [width - 40, 0, width, 40]], "f4")
    found = detector.detect(image, boxes=boxes)
    explained = [
        one
        for one in explain(detector, image, found, boxes=boxes)
        if one.box == (0, 0, width, height)
    ]
    assert explained
    for one in explained:
        label = np.array([detector.classes.index(one.label)])
        lower = np.array([one.score - one.lowered], "f4")
        assert one.lowered > 0
        assert one.probability == pytest.approx(detector.scorer.probabilities(lower, label)[0])


def test_the_sum_is_the_score_that_the_detector_reports(keeping: Detector, image: Rgb) -> None:
    """With the scores, proposals and boxes of the one path from regions to detections."""
    found = keeping.detect(image)
    proposals = keeping.propose(image)
    regions = keeping.extractor.prepare(image, proposals)
    size = image.shape[1], image.shape[0]
    own = find(
        regions, proposals, size, keeping.scorer, keeping.regression, keeping.settings.selection
    )
    explained = explain(keeping, image, found)
    assert len(explained) == len(found) > 5
    likely = keeping.scorer.probabilities(own.scores, own.labels)
    order = np.argsort(-likely, kind="stable")
    for one, detection, row in zip(explained, found, order, strict=True):
        assert (one.label, one.box) == (detection.label, detection.box)
        assert one.probability == detection.score == likely[row]
        magnitude = abs(one.bias) + float(np.abs(one.parts).sum())
        total = one.bias + float(one.parts.sum(dtype=np.float64))
        assert abs(total - one.score) <= LARGEST * magnitude
        assert abs(total - one.lowered - float(own.scores[row])) <= 5 * LARGEST * magnitude
        assert one.proposal == tuple(proposals[own.rows[row]].tolist())
        assert one.bias == float(keeping.scorer.bias[own.labels[row]])
        again = keeping.scorer.probabilities(np.float32([one.score]), own.labels[[row]])[0]
        assert again == pytest.approx(one.probability, rel=1e-4)
    assert any(one.proposal != one.box for one in explained)  # regression and voting moved boxes


def test_the_parts_are_those_of_a_slow_twin(keeping: Detector, image: Rgb) -> None:
    explained = explain(keeping, image, keeping.detect(image)[:12])
    assert len({one.seen_size for one in explained}) == 2  # both scales
    for one in explained:
        assert one.parts.dtype == np.float32
        assert one.parts.shape == (50,)
        np.testing.assert_allclose(one.parts, slow_parts(keeping, image, one), atol=1e-6)
        assert [grid.shape for grid in one.grids()] == [(1, 1), (2, 2), (3, 3), (6, 6)]
        assert one.grids()[1][0, 1] == one.parts[2]


@pytest.mark.parametrize(
    "settings",
    [
        SppSettings((96,), levels=(5,)),
        SppSettings((96,), levels=(2, 1), normalize_levels=True),
    ],
)
def test_any_pyramid(settings: SppSettings, keeping: Detector, image: Rgb) -> None:
    extractor = SppRegionFeatures(keeping.extractor.trunk, settings)
    weight = torch.randn(2, extractor.dimension, generator=torch.Generator().manual_seed(0))
    scorer = replace(
        keeping.scorer,
        weight=weight,
        bias=torch.tensor([0.5, torch.nan]),
        calibration=np.float32([[1, 0], [1, 0]]),
    )
    detector = Detector(extractor, scorer, ("a", "b"))
    one = explain_box(detector, image, [20, 30, 120, 100], "a")
    regions = extractor.prepare(image, np.float32([one.proposal]))
    score = scorer.score(regions.features(np.zeros(1, np.int64)))[0, 0].item()
    assert one.score == pytest.approx(score, rel=1e-4)
    assert len(one.parts) == sum(level**2 for level in settings.levels)
    assert one.levels == settings.levels
    with pytest.raises(SppdetError, match="'b' had no examples"):
        explain_box(detector, image, [20, 30, 120, 100], "b")


def test_a_given_box(keeping: Detector, image: Rgb) -> None:
    box, label = (13.0, 21.5, 90.0, 110.0), keeping.classes[1]
    one = explain_box(keeping, image, box, label)
    assert (one.label, one.box, one.proposal) == (label, box, box)
    regions = keeping.extractor.prepare(image, np.float32([box]))
    index = regions.windows[0, 0]
    scale = image_scales(image.shape[1], image.shape[0], (160, 240), 2000)[index]
    rows, columns = one.map_size
    geometry = keeping.extractor.trunk.geometry
    assert one.window == tuple(map_windows(np.float32([box]), scale, geometry, rows, columns)[0])
    stride = geometry.stride / np.array([scale.x, scale.y] * 2)
    assert (np.abs(np.array(one.window_box) - box) <= stride).all()
    np.testing.assert_allclose(one.parts, slow_parts(keeping, image, one), atol=1e-6)


def test_the_nearest_examples(keeping: Detector, image: Rgb) -> None:
    kept = keeping.kept
    assert kept is not None
    one = explain(keeping, image, keeping.detect(image)[:1], neighbours=2)[0]
    label = keeping.classes.index(one.label)
    feature = keeping.extractor.prepare(image, np.float32([one.proposal])).features(
        np.zeros(1, np.int64)
    )[0]
    for positive in (True, False):
        found = [other for other in one.neighbours if other.positive == positive]
        slow = [
            (float(kept.features[k].float() @ feature), kept.images[k])
            for k in range(len(kept))
            if kept.labels[k] == label and kept.positive[k] == positive
        ]
        best = sorted(slow, reverse=True)[:2]
        assert [other.product for other in found] == pytest.approx([p for p, _ in best], rel=1e-4)
        assert [other.image for other in found] == [name for _, name in best]
    assert one.neighbours[0].thumbnail.shape == (64, 64, 3)
    assert explain(keeping, image, keeping.detect(image)[:1], neighbours=0)[0].neighbours == ()


def test_given_proposals_and_no_detections(keeping: Detector, image: Rgb) -> None:
    boxes = keeping.propose(image)[::7]
    found = keeping.detect(image, boxes=boxes)[:3]
    proposals = {tuple(box.tolist()) for box in boxes}
    assert all(one.proposal in proposals for one in explain(keeping, image, found, boxes=boxes))
    assert explain(keeping, image, Detections.none(keeping.classes)) == ()


def test_other_detections_are_refused(keeping: Detector, image: Rgb) -> None:
    classes = keeping.classes
    wrong = Detections([[1, 1, 150, 140]], [0], [0.987654], classes)
    with pytest.raises(SppdetError, match="is not what this detector finds"):
        explain(keeping, image, wrong)
    with pytest.raises(SppdetError, match="other classes"):
        explain(keeping, image, Detections.none(("a",)))
    with pytest.raises(SppdetError, match="more than 10:1"):
        explain(keeping, np.zeros((20, 400, 3), np.uint8), Detections.none(classes))


@pytest.mark.parametrize(
    "box", [[5, 5, 2, 9], [1, 2, 3], [[1, 2, 3, 4]], [900, 0, 990, 9], [0, 0, np.nan, 9], 7]
)
def test_a_wrong_box(box: object, keeping: Detector, image: Rgb) -> None:
    with pytest.raises(ValueError, match="box"):
        explain_box(keeping, image, box, keeping.classes[0])  # type: ignore[arg-type]


def test_an_unknown_class(keeping: Detector, image: Rgb) -> None:
    with pytest.raises(SppdetError, match=r"no class 'unicorn'; it knows apple"):
        explain_box(keeping, image, [0, 0, 9, 9], "unicorn")


class OtherScorer:
    name = "softmax"
    classes = 3

    def to(self, device: object) -> "OtherScorer":
        return self


def test_a_detector_without_such_a_sum_is_refused_in_one_line(
    keeping: Detector, image: Rgb
) -> None:
    trunk = keeping.extractor.trunk
    rcnn = RcnnRegionFeatures(trunk, RcnnSettings(64))
    fc6 = SppRegionFeatures(
        build_trunk("alexnet", None, layer="fc6"), SppSettings((96,), levels=(6,))
    )
    layers = Layers((torch.zeros(1, 1), torch.zeros(1, 1)), (torch.zeros(1), torch.zeros(1)))
    cases = {
        "R-CNN": Detector(rcnn, keeping.scorer, keeping.classes),
        "fc6": Detector(fc6, keeping.scorer, keeping.classes),
        "connected-svm": Detector(
            keeping.extractor, LayeredSvms(layers, keeping.scorer), keeping.classes
        ),
        "softmax": Detector(keeping.extractor, OtherScorer(), keeping.classes),  # type: ignore[arg-type]
    }
    for said, detector in cases.items():
        with pytest.raises(SppdetError, match=said) as caught:
            explain_box(detector, image, [0, 0, 9, 9], keeping.classes[0])
        assert "train with --method spp" in str(caught.value)
        assert "\n" not in str(caught.value)
