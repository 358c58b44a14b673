"""The judge of calibration agrees with detection and evaluation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sppdet.datasets import read_dataset
from sppdet.detector import Detector
from sppdet.evaluation.voc import evaluate_voc
from sppdet.images import read_image
from sppdet.settings import TrainSettings
from sppdet.training.images import PreparedImage, TrainingImages, View
from sppdet.training.unseen import (
    FOLDS,
    Fold,
    Unseen,
    evaluate_unseen,
    judged,
    look,
    select_unseen,
    split,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("regression", [True, False])
def test_judged_as_detected_and_evaluated(
    scenes: Path, detector: Detector, regression: bool
) -> None:
    """Judged with all that the detector has learned, proposals score and hit as in detection."""
    dataset = read_dataset(scenes, "test", classes=detector.classes)
    settings = TrainSettings(detector=detector.settings, workers=1, store_bytes=0)
    images = TrainingImages(dataset, detector.extractor, settings, lambda *_: None)
    assert detector.regression is not None
    boxes = detector.regression if regression else None
    fold, numbers = Fold(np.arange(4), detector.scorer, boxes), [0, 1, 2, 3]

    selection = detector.settings.selection

    def work(image: PreparedImage) -> Unseen:
        return look(image, fold, selection)

    seen = [one for _, one in images.each("", [View(index) for index in numbers], work)]
    same = Detector(detector.extractor, detector.scorer, detector.classes, detector.settings, boxes)
    found = [same.detect(read_image(dataset.images[index])) for index in numbers]
    hits = 0
    for index, (detections, of_image) in enumerate(zip(found, seen, strict=True)):
        assert of_image is not None
        figures = evaluate_voc([detections], [dataset.annotations(index)], detector.classes)
        chosen = select_unseen([of_image], detector.scorer, selection)
        result = evaluate_unseen([of_image], chosen, detector.classes)
        for label, one in enumerate(judged(result)):
            mine = detections.labels == label
            expected = detector.scorer.probabilities(one.scores, np.full(len(one.scores), label))
            np.testing.assert_allclose(expected, detections.scores[mine], rtol=2e-2, atol=1e-3)
            assert one.right.sum() == figures.classes[label].hits.sum()
            hits += one.right.sum()
    assert hits >= 4


def test_detections_of_difficult_objects_and_crowds_are_left_out(
    scenes: Path, detector: Detector
) -> None:
    dataset = read_dataset(scenes, "test", classes=detector.classes)
    settings = TrainSettings(detector=detector.settings, workers=1, store_bytes=0)
    images = TrainingImages(dataset, detector.extractor, settings, lambda *_: None)
    fold, selection = Fold(np.arange(1), detector.scorer, None), detector.settings.selection
    ((_, view),) = images.each("", [View(0)], lambda view: view)
    assert view is not None
    seen = look(view, fold, selection)

    def outcome(one: Unseen) -> list[np.ndarray]:
        chosen = select_unseen([one], detector.scorer, selection)
        result = evaluate_unseen([one], chosen, detector.classes)
        return [entry.right for entry in judged(result)]

    plain = outcome(seen)
    assert sum(one.sum() for one in plain) > 0
    everything = np.ones(len(view.annotations), bool)
    for kind in ("difficult", "crowd"):
        annotations = replace(view.annotations, **{kind: everything})
        changed = outcome(replace(seen, annotations=annotations))
        assert not any(one.any() for one in changed)
        assert sum(map(len, changed)) < sum(map(len, plain))


def test_every_image_is_in_one_part() -> None:
    parts = split(list(range(11)), 0)
    assert len(parts) == FOLDS
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(11))
    assert any((a != b).any() for a, b in zip(parts, split(list(range(11)), 1), strict=True))
