"""Recall, precision and confusion at the thresholds, against a slow twin and by hand."""

import numpy as np
import pytest
from numpy.typing import ArrayLike

from sppdet.boxes import iou
from sppdet.datasets.base import Annotations
from sppdet.detections import Detections
from sppdet.evaluation.errors import operating_point
from sppdet.evaluation.tables import confusion_table
from sppdet.evaluation.thresholded import at_thresholds
from sppdet.evaluation.voc import evaluate_voc

CLASSES = ("cat", "owl", "fox")
A, B, C = [0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]


def truth(boxes: ArrayLike, labels: ArrayLike, difficult: ArrayLike = False) -> Annotations:
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return Annotations(
        boxes,
        np.array(labels, np.int64),
        np.broadcast_to(np.array(difficult, bool), len(boxes)),
        np.zeros(len(boxes), bool),
    )


@pytest.mark.parametrize(
    ("boxes", "labels", "scores", "wanted"),
    [
        ([A], [0], [0.9], {(0, 0): 1, (1, 3): 1}),  # the owl is missed
        ([A], [0], [0.4], {(0, 3): 1, (1, 3): 1}),  # below the threshold
        ([A], [0], [0.5], {(0, 0): 1, (1, 3): 1}),  # at the threshold
        ([A], [1], [0.9], {(0, 1): 1, (1, 3): 1}),  # a cat seen as an owl
        ([A, A], [0, 1], [0.6, 0.9], {(0, 0): 1, (3, 1): 1, (1, 3): 1}),  # the cat is found
        ([A, A], [0, 0], [0.9, 0.8], {(0, 0): 1, (3, 0): 1, (1, 3): 1}),  # a duplicate
        ([A, A], [1, 2], [0.7, 0.9], {(0, 2): 1, (3, 1): 1, (1, 3): 1}),  # the best one takes it
        ([C], [2], [0.9], {(3, 2): 1, (0, 3): 1, (1, 3): 1}),  # background
        ([], [], [], {(0, 3): 1, (1, 3): 1}),
    ],
)
def test_confusion(boxes: list, labels: list, scores: list, wanted: dict) -> None:
    found = [Detections(boxes, labels, scores, CLASSES)]
    result = evaluate_voc(found, [truth([A, B], [0, 1])], CLASSES)
    shown = at_thresholds(result, 1, dict.fromkeys(CLASSES, 0.5))
    cells = {tuple(at): int(shown.confusion[tuple(at)]) for at in np.argwhere(shown.confusion)}
    assert cells == wanted
    assert shown.right.sum() == np.trace(shown.confusion[:3, :3])
    assert shown.given


def test_difficult_objects_count_in_no_cell() -> None:
    found = [Detections([A, B], [0, 0], [0.9, 0.8], CLASSES)]
    result = evaluate_voc(found, [truth([A, C], [0, 1], [True, True])], CLASSES)
    shown = at_thresholds(result, 1, dict.fromkeys(CLASSES, 0.5))
    assert np.argwhere(shown.confusion).tolist() == [[3, 0]]  # the box at B
    assert shown.by_image.tolist() == [[0, 0, 1, 0]]
    assert shown.recall() is None
    assert shown.precision() == 0


def random_case(seed: int) -> tuple[list[Detections], list[Annotations]]:
    random = np.random.default_rng(seed)
    found, truths = [], []
    for _ in range(4):
        corner = random.integers(0, 25, (2, 12, 2)).astype(np.float32)
        boxes = np.concatenate([corner, corner + random.integers(8, 16, (2, 12, 2))], axis=2)
        labels, scores = random.integers(0, 3, (2, 12)), random.permutation(12) / 12
        found.append(Detections(boxes[0], labels[0], scores, CLASSES))
        truths.append(truth(boxes[1][:6], labels[1][:6], random.random(6) < 0.2))
    return found, truths


@pytest.mark.parametrize("seed", range(10))
def test_against_a_slow_twin(seed: int) -> None:
    """Each image is cut at the thresholds first, then matched box by box."""
    found, truths = random_case(seed)
    least = {"cat": 0.3, "owl": 0.5, "fox": 0.1}
    limits = np.array([least[name] for name in CLASSES], np.float32)
    shown = at_thresholds(evaluate_voc(found, truths, CLASSES), 4, least)
    matrix = np.zeros((4, 4), int)
    for index, (one, there) in enumerate(zip(found, truths, strict=True)):
        one = one.select(one.scores >= limits[one.labels])
        overlap, free = iou(one.boxes, there.boxes), ~there.difficult
        waiting = []
        for row, label in enumerate(one.labels):
            same = np.where(there.labels == label, overlap[row], 0)
            best = int(np.argmax(same))
            if same[best] >= 0.5 and free[best]:
                free[best] = False
                matrix[label, label] += 1
            elif not (same[best] >= 0.5 and there.difficult[best]):
                waiting.append(row)
        for row in waiting:
            label = one.labels[row]
            other = np.where(free & (there.labels != label), overlap[row], 0)
            best = int(np.argmax(other))
            if other[best] >= 0.5:
                free[best] = False
                matrix[there.labels[best], label] += 1
            else:
                matrix[3, label] += 1
        for label in there.labels[free]:
            matrix[label, 3] += 1
        assert shown.by_image[index].tolist()[0] == (~there.difficult).sum()
    np.testing.assert_array_equal(shown.confusion, matrix)
    assert shown.by_image[:, 1].sum() == np.trace(matrix[:3, :3])
    assert shown.by_image[:, 2].sum() == matrix[:, :3].sum() - np.trace(matrix[:3, :3])


def test_unknown_thresholds_are_those_of_the_best_f1() -> None:
    found, truths = random_case(3)
    result = evaluate_voc(found, truths, CLASSES)
    shown = at_thresholds(result, 4)
    assert not shown.given
    for label, entry in enumerate(result.classes):
        point = operating_point(entry)
        assert point is not None
        assert shown.recall(label) == pytest.approx(point["recall"])
        assert shown.precision(label) == pytest.approx(point["precision"])


def test_a_page_shows_the_classes_with_most_errors() -> None:
    names = tuple(f"class {k}" for k in range(60))
    boxes = [[20 * k, 0, 20 * k + 10, 10] for k in range(60)]
    found = [Detections(boxes[:50], range(50), np.linspace(1, 0.5, 50), names)]
    result = evaluate_voc(found, [truth(boxes, list(range(60)))], names)
    text = confusion_table(result, at_thresholds(result, 1, dict.fromkeys(names, 0.1)))
    assert "20 classes with fewer errors are left out" in text
    assert "<th>class 59</th>" in text  # missed
    assert "<th>class 49</th>" not in text
