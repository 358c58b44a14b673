"""What the folds decide, and the card."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from sppdet.datasets import Annotations, read_dataset
from sppdet.detections import Detections
from sppdet.evaluation.voc import evaluate_voc
from sppdet.heads.linear import LinearScorer, LinearSvms
from sppdet.heads.selection import Scored
from sppdet.heads.thresholds import best_f1
from sppdet.settings import DetectorSettings, SelectionSettings, TrainSettings
from sppdet.training.folds import ONE_CLASS_IOU, card, data_digest, decide
from sppdet.training.unseen import Unseen

NAMES = ("apple", "pear")


def annotations(boxes: np.ndarray, labels: np.ndarray) -> Annotations:
    none = np.zeros(len(boxes), bool)
    return Annotations(boxes.astype(np.float32), labels.astype(np.int64), none, none)


def confused(seed: int, both: float) -> list[Unseen]:
    """Images with one object each, found as its class, and in a part of them as the other too."""
    random = np.random.default_rng(seed)
    seen = []
    for _ in range(60):
        box = np.array([[10, 10, 60, 60]], np.float32) + random.integers(0, 40)
        label = random.integers(0, 2)
        boxes, labels, scores = [box], [label], [random.normal(1.2, 0.4)]
        if random.random() < both:
            boxes.append(box + 2)
            labels.append(1 - label)
            scores.append(random.normal(0.4, 0.4))
        order = np.lexsort((-np.array(scores), np.array(labels)))
        found = Scored(
            np.concatenate(boxes)[order],
            np.array(labels)[order],
            np.array(scores, np.float32)[order],
            order,
        )
        seen.append(Unseen(found, annotations(box, np.array([label]))))
    return seen


@pytest.fixture
def scorer() -> LinearScorer:
    return LinearSvms().restore(
        {
            "svm.weight": torch.zeros(2, 3),
            "svm.bias": torch.zeros(2),
            "calibration": torch.tensor([[2.0, 0.0], [2.0, 0.0]]),
        }
    )


@pytest.mark.parametrize(
    ("asked", "both", "expected"),
    [
        (None, 0.9, ONE_CLASS_IOU),
        (None, 0.0, 1.0),
        (True, 0.0, ONE_CLASS_IOU),
        (False, 0.9, 1.0),
    ],
    ids=["the folds prefer it", "the folds see no use", "asked for", "refused"],
)
def test_one_class_per_object(
    scorer: LinearScorer, asked: bool | None, both: float, expected: float
) -> None:
    seen = confused(0, both)
    decided = decide(seen, LinearSvms(), scorer, NAMES, TrainSettings(one_class=asked))
    assert decided.selection.one_class_iou == expected
    shown = sum(len(one.scores) for one in decided.result.classes)
    everything = sum(len(one.candidates.labels) for one in seen)
    assert (shown < everything) == (expected < 1 and both > 0)


def holding(objects: str) -> list[Unseen]:
    """Images in which a box holds two others; the objects are those two, or the one around them."""
    boxes = np.array([[0, 0, 40, 20], [0, 0, 18, 20], [22, 0, 40, 20]], np.float32)
    labels, rows = np.zeros(3, np.int64), np.arange(3)
    seen = []
    for number in range(12):
        scores = np.array([0.9, 0.8, 0.7], np.float32) - number / 100
        truths = boxes[1:] if objects == "held" else boxes[:1]
        found = Scored(boxes, labels, scores, rows)
        seen.append(Unseen(found, annotations(truths, labels[: len(truths)])))
    return seen


@pytest.mark.parametrize(
    ("asked", "objects", "expected"),
    [
        (None, "held", 2.0),
        (None, "around", 0.0),
        (True, "around", 2.0),
        (False, "held", 0.0),
    ],
    ids=["the folds prefer it", "the folds lose by it", "asked for", "refused"],
)
def test_lower_scores_of_groups(
    scorer: LinearScorer, asked: bool | None, objects: str, expected: float
) -> None:
    settings = TrainSettings(lower_groups=asked)
    decided = decide(holding(objects), LinearSvms(), scorer, NAMES, settings)
    assert decided.selection.group_penalty == expected
    best = asked is None
    assert (decided.result.classes[0].ap_area > 0.9) == best


@pytest.mark.parametrize(("asked", "expected"), [(None, 0.4), (True, 0.4), (False, 1.0)])
def test_an_overlap_that_is_given_is_kept(
    scorer: LinearScorer, asked: bool | None, expected: float
) -> None:
    detector = DetectorSettings(selection=SelectionSettings(one_class_iou=0.4))
    settings = TrainSettings(detector=detector, one_class=asked)
    decided = decide(confused(0, 0.0), LinearSvms(), scorer, NAMES, settings)
    assert decided.selection.one_class_iou == expected


def test_the_thresholds_are_those_of_the_calibrated_probabilities(scorer: LinearScorer) -> None:
    seen = confused(1, 0.5)
    decided = decide(seen, LinearSvms(), scorer, NAMES, TrainSettings(one_class=False))
    found = [
        Detections(one.candidates.boxes, one.candidates.labels, one.candidates.scores, NAMES)
        for one in seen
    ]
    result = evaluate_voc(found, [one.annotations for one in seen], NAMES)
    for label, (one, best) in enumerate(zip(result.classes, decided.thresholds, strict=True)):
        scores = one.scores.astype(np.float32)
        probabilities = decided.scorer.probabilities(scores, np.full(len(scores), label))
        assert best == best_f1(probabilities, one.hits, one.truths)
        assert 0 < best.threshold < 1
        assert best.f1 > 0.8


def test_the_card_is_json_with_the_figures(scorer: LinearScorer, scenes: Path) -> None:
    dataset = read_dataset(scenes, "test")
    settings = TrainSettings(one_class=False)
    decided = decide(confused(2, 0.3), LinearSvms(), scorer, NAMES, settings)
    found = json.loads(json.dumps(card(dataset, decided, 7, settings, 3, 60)))
    assert found["data"]["images"] == 7
    assert found["data"]["digest"] == data_digest(dataset)
    assert found["settings"]["detector"]["proposals"] == "fast"
    assert found["folds"]["map_11"] == decided.result.map_11
    assert set(found["folds"]["classes"]) == set(NAMES)
    assert SelectionSettings(**found["settings"]["detector"]["selection"]) == SelectionSettings()


def test_the_digest_changes_with_the_labels(tmp_path: Path, scenes: Path) -> None:
    copy = shutil.copytree(scenes, tmp_path / "copy")
    first = data_digest(read_dataset(copy, "test"))
    assert first == data_digest(read_dataset(scenes, "test"))
    for path in copy.rglob("*.xml"):
        path.write_text(path.read_text().replace("<xmin>", "<xmin>1", 1))
    assert data_digest(read_dataset(copy, "test")) != first
