"""The judge of calibration agrees with detection and evaluation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sppdet.datasets import open_dataset
from sppdet.detector import Detector
from sppdet.evaluation.voc import evaluate_voc
from sppdet.heads.calibration import probabilities
from sppdet.images import read_image
from sppdet.training.images import TrainingImages
from sppdet.training.judging import FOLDS, Unseen, judge, split


@pytest.mark.parametrize("regression", [True, False])
def test_judged_as_detected_and_evaluated(
    scenes: Path, detector: Detector, regression: bool
) -> None:
    """Judged with all that the detector has learned, proposals score and hit as in detection."""
    dataset = open_dataset(scenes, "test", classes=detector.classes)
    images = TrainingImages(
        dataset, detector.extractor, detector.settings, 0.3, 1, 0, lambda *_: None
    )
    heads, settings = detector.heads, detector.settings.selection
    assert heads.box_weight is not None
    assert heads.box_bias is not None
    boxes = (heads.box_weight.flatten(0, 1), heads.box_bias.flatten()) if regression else None
    learned = Unseen(np.arange(4), (heads.svm_weight, heads.svm_bias), boxes)
    numbers = [0, 1, 2, 3]
    judged = [
        one for _, one in images.each("", numbers, lambda view: judge(view, learned, settings))
    ]
    if regression:
        found = [detector.detect(read_image(dataset.images[index])) for index in numbers]
    else:
        plain = Detector(
            detector.extractor,
            type(heads)(heads.svm_weight, heads.svm_bias, heads.calibration),
            detector.classes,
            detector.settings,
        )
        found = [plain.detect(read_image(dataset.images[index])) for index in numbers]
    hits = 0
    for index, (detections, of_image) in enumerate(zip(found, judged, strict=True)):
        assert of_image is not None
        figures = evaluate_voc([detections], [dataset.annotations(index)], detector.classes)
        for label, (values, right) in enumerate(of_image):
            mine = detections.labels == label
            expected = probabilities(values, np.full(len(values), label), heads.calibration)
            np.testing.assert_allclose(expected, detections.scores[mine], rtol=2e-2, atol=1e-3)
            assert right.sum() == figures.classes[label].hits.sum()
            hits += right.sum()
    assert hits >= 4


def test_detections_of_difficult_objects_and_crowds_are_left_out(
    scenes: Path, detector: Detector
) -> None:
    dataset = open_dataset(scenes, "test", classes=detector.classes)
    images = TrainingImages(
        dataset, detector.extractor, detector.settings, 0.3, 1, 0, lambda *_: None
    )
    heads, settings = detector.heads, detector.settings.selection
    learned = Unseen(np.arange(1), (heads.svm_weight, heads.svm_bias), None)
    ((_, view),) = images.each("", [0], lambda view: view)
    assert view is not None
    plain = judge(view, learned, settings)
    assert sum(right.sum() for _, right in plain) > 0
    everything = np.ones(len(view.annotations), bool)
    difficult = replace(view, annotations=replace(view.annotations, difficult=everything))
    crowd = replace(view, annotations=replace(view.annotations, crowd=everything))
    for changed in (difficult, crowd):
        judged = judge(changed, learned, settings)
        assert not any(right.any() for _, right in judged)
        assert sum(len(values) for values, _ in judged) < sum(len(values) for values, _ in plain)


def test_every_image_is_in_one_part() -> None:
    parts = split(list(range(11)), 0)
    assert len(parts) == FOLDS
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(11))
    assert any((a != b).any() for a, b in zip(parts, split(list(range(11)), 1), strict=True))
