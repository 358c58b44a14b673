import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sppdet.datasets import Annotations
from sppdet.detections import Detections
from sppdet.evaluation.voc import evaluate_voc

sys.path.insert(0, str(Path(__file__).parent))
from slow_voc import slow_ap

CLASSES = ("cat", "dog", "owl")


def truths(boxes, labels, difficult=None, crowd=None):
    count = len(labels)
    return Annotations(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels, np.int64),
        np.array([False] * count if difficult is None else difficult, bool),
        np.array([False] * count if crowd is None else crowd, bool),
    )


def random_case(seed, images=12, levels=1000, classes=CLASSES):
    """Truths, and detections that are shaken copies of them with many mistakes between."""
    random = np.random.default_rng(seed)
    found, annotations = [], []
    for _ in range(images):
        count = random.integers(0, 6)
        corner = random.integers(0, 80, (count, 2))
        boxes = np.concatenate([corner, corner + random.integers(4, 40, (count, 2))], axis=1)
        labels = random.integers(0, len(classes), count)
        annotations.append(
            truths(boxes, labels, random.random(count) < 0.2, random.random(count) < 0.15)
        )
        rows = (
            random.integers(0, max(count, 1), random.integers(0, 15)) if count else np.zeros(0, int)
        )
        shaken = boxes[rows] + random.integers(-4, 5, (len(rows), 4))
        shaken[:, 2:] = np.maximum(shaken[:, 2:], shaken[:, :2])
        extra = random.integers(0, 60, (3, 2))
        shaken = np.concatenate([shaken, np.concatenate([extra, extra + 30], axis=1)])
        names = np.where(random.random(len(shaken)) < 0.8, np.append(labels[rows], [0, 1, 2]), 1)
        scores = random.integers(0, levels, len(shaken)) / levels
        found.append(Detections(shaken, names % len(classes), scores, classes))
    return found, annotations


def assert_equal_to_slow(found, annotations, classes, iou):
    result = evaluate_voc(found, annotations, classes, iou).to_json()
    elevens, areas = [], []
    for name in classes:
        eleven, area, count, recall = slow_ap(found, annotations, classes, name, iou)
        entry = result["classes"][name]
        assert entry["truths"] == count
        if count == 0:
            assert entry["ap_11"] is entry["ap_area"] is entry["recall"] is None
            continue
        assert entry["ap_11"] == pytest.approx(eleven, abs=1e-9)
        assert entry["ap_area"] == pytest.approx(area, abs=1e-9)
        assert entry["recall"] == pytest.approx(recall, abs=1e-12)
        elevens.append(eleven)
        areas.append(area)
    if elevens:
        assert result["map_11"] == pytest.approx(np.mean(elevens), abs=1e-9)
        assert result["map_area"] == pytest.approx(np.mean(areas), abs=1e-9)
    else:
        assert result["map_11"] is result["map_area"] is None


@pytest.mark.parametrize("iou", [0.1, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("levels", [1000, 4, 1])
@pytest.mark.parametrize("seed", range(6))
def test_equals_the_slow_twin_on_random_images(seed, levels, iou):
    assert_equal_to_slow(*random_case(seed, levels=levels), CLASSES, iou)


BOX, FAR = [10, 10, 30, 30], [60, 60, 80, 80]
NOTHING = Detections([], [], [], CLASSES)
ADVERSARIAL = {
    "no images": ([], []),
    "no detections": ([NOTHING], [truths([BOX], [0])]),
    "no truths": ([Detections([BOX], [0], [0.5], CLASSES)], [truths([], [])]),
    "duplicates": (
        [Detections([BOX] * 5, [0] * 5, [0.9, 0.9, 0.8, 0.7, 0.1], CLASSES)],
        [truths([BOX], [0])],
    ),
    "only difficult": (
        [Detections([BOX, FAR], [0, 0], [0.9, 0.8], CLASSES)],
        [truths([BOX], [0], [True])],
    ),
    "difficult beside ordinary": (
        [Detections([BOX, BOX, FAR], [0] * 3, [0.9, 0.8, 0.7], CLASSES)],
        [truths([BOX, FAR], [0, 0], [True, False])],
    ),
    "two equal truths, three detections": (
        [Detections([BOX] * 3, [1] * 3, [0.5] * 3, CLASSES)],
        [truths([BOX, BOX], [1, 1])],
    ),
    "equal scores everywhere": (
        [Detections([BOX, FAR], [0, 0], [0.5, 0.5], CLASSES) for _ in range(9)],
        [truths([BOX], [0]) for _ in range(9)],
    ),
    "inside a crowd": (
        [Detections([BOX, [12, 12, 20, 20], FAR], [2] * 3, [0.9, 0.8, 0.7], CLASSES)],
        [truths([[0, 0, 50, 50], FAR], [2, 2], None, [True, False])],
    ),
    "recall of exactly three tenths": (
        [Detections([BOX], [0], [0.9 - k / 100], CLASSES) for k in range(3)] + [NOTHING] * 7,
        [truths([BOX], [0]) for _ in range(10)],
    ),
    "empty boxes": (
        [Detections([[5, 5, 5, 5], BOX], [0, 0], [0.9, 0.8], CLASSES)],
        [truths([BOX], [0])],
    ),
    "overlap of exactly the threshold": (
        [Detections([[0, 0, 10, 5]], [0], [0.9], CLASSES)],
        [truths([[0, 0, 10, 10]], [0])],
    ),
    "negative scores": (
        [Detections([BOX, FAR], [0, 0], [-3.0, -7.5], CLASSES)],
        [truths([FAR], [0])],
    ),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_equals_the_slow_twin_on_adversarial_cases(name):
    assert_equal_to_slow(*ADVERSARIAL[name], CLASSES, 0.5)


def test_known_figures():
    """One hit, one mistake, one hit of two truths: precision 1 up to recall 1/2, then 2/3."""
    found = [Detections([BOX, [0, 0, 5, 5], FAR], [0] * 3, [0.9, 0.8, 0.7], CLASSES)]
    result = evaluate_voc(found, [truths([BOX, FAR], [0, 0])], CLASSES)
    assert result.map_area == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert result.map_11 == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)
    assert result.classes[0].recall == 1


def test_three_tenths_count_as_three_tenths():
    result = evaluate_voc(*ADVERSARIAL["recall of exactly three tenths"], CLASSES)
    assert result.classes[0].ap_11 == pytest.approx(4 / 11)


def test_an_ignored_detection_changes_nothing():
    without = ([Detections([FAR], [0], [0.7], CLASSES)], [truths([FAR], [0])])
    result = evaluate_voc(*ADVERSARIAL["difficult beside ordinary"], CLASSES)
    assert result.map_11 == evaluate_voc(*without, CLASSES).map_11 == 1


def test_classes_are_matched_by_name():
    found = [Detections([BOX, FAR], [0, 1], [0.9, 0.8], ("zebra", "dog"))]
    result = evaluate_voc(found, [truths([FAR], [1])], CLASSES)
    assert result.classes[1].ap_area == 1
    assert [len(entry.scores) for entry in result.classes] == [0, 1, 0]


def test_one_entry_per_image_is_needed():
    with pytest.raises(ValueError, match="2 images"):
        evaluate_voc([NOTHING, NOTHING], [truths([], [])], CLASSES)


def test_many_detections_in_seconds():
    """100,000 detections in 5,000 images and 20 classes: under 10 seconds (it takes about one)."""
    random = np.random.default_rng(0)
    classes = tuple(f"class{k}" for k in range(20))

    def boxes(count):
        corner = random.uniform(0, 400, (count, 2))
        return np.concatenate([corner, corner + random.uniform(10, 100, (count, 2))], axis=1)

    annotations = [truths(boxes(3), random.integers(0, 20, 3)) for _ in range(5000)]
    found = [
        Detections(boxes(20), random.integers(0, 20, 20), random.random(20), classes)
        for _ in range(5000)
    ]
    start = time.process_time()
    result = evaluate_voc(found, annotations, classes)
    assert time.process_time() - start < 10
    assert len(result.matching.outcome) == 100_000
