import numpy as np
import pytest

from sppdet.boxes import as_boxes, iou
from sppdet.datasets import Annotations, read_dataset
from sppdet.errors import SppdetError
from sppdet.features.spp import SppRegionFeatures
from sppdet.settings import ConnectedSettings, SppSettings, TrainSettings
from sppdet.training.images import TrainingImages, views_of
from sppdet.training.windows import UNUSED, choose_windows, collect_windows, window_labels
from sppdet.trunks import load_trunk

SETTINGS = ConnectedSettings()


def annotations(boxes, labels, difficult=(), crowd=()) -> Annotations:
    rows = np.arange(len(labels))
    return Annotations(
        as_boxes(boxes), np.array(labels), np.isin(rows, difficult), np.isin(rows, crowd)
    )


def slow_label(truths: Annotations, box: np.ndarray, classes: int) -> tuple[int, float]:
    """One box at a time, in words of the paper."""
    best, label, spoilt = 0.0, classes, False
    for truth, of, difficult, crowd in zip(
        truths.boxes, truths.labels, truths.difficult, truths.crowd, strict=True
    ):
        overlap = float(iou(box[None], truth[None])[0, 0])
        if difficult or crowd:
            spoilt |= overlap >= 0.5
        elif overlap > best:
            best = overlap
            label = int(of) if overlap >= 0.5 else classes
    if label == classes and spoilt:
        label = UNUSED
    return label, best


@pytest.mark.parametrize("seed", range(6))
def test_labels_are_those_of_a_slow_twin(seed: int) -> None:
    random = np.random.default_rng(seed)
    corners = random.integers(0, 60, (4, 2))
    truths = annotations(
        np.hstack([corners, corners + random.integers(15, 40, (4, 2))]),
        random.integers(0, 3, 4),
        difficult=random.integers(0, 4, 1),
        crowd=random.integers(0, 4, seed % 2),
    )
    corners = random.integers(0, 60, (300, 2))
    boxes = as_boxes(np.hstack([corners, corners + random.integers(10, 45, (300, 2))]))
    boxes = np.concatenate([truths.boxes, boxes])
    labels, best, greatest = window_labels(truths, boxes, 3, SETTINGS)
    for row, box in enumerate(boxes):
        label, overlap = slow_label(truths, box, 3)
        assert labels[row] == label
        assert greatest[row] == pytest.approx(overlap, abs=1e-6)
        if label not in (3, UNUSED):
            assert truths.labels[best[row]] == label
    assert {0, 3} <= {int(label) for label in labels} | {0}
    assert (labels == 3).any()
    assert UNUSED in labels


def test_the_limits_belong_to_the_positives_and_to_the_background() -> None:
    truths = annotations([[0, 0, 10, 10]], [1])
    boxes = as_boxes(
        [[0, 0, 10, 5], [0, 0, 10, 4.9], [0, 0, 10, 1], [0, 0, 1, 1], [50, 50, 60, 60]]
    )
    labels, _, greatest = window_labels(truths, boxes, 2, SETTINGS)
    assert labels.tolist() == [1, 2, 2, 2, 2]
    chosen = choose_windows(labels, greatest, 2, 5, 2, SETTINGS, np.random.default_rng(0))
    assert chosen.tolist() == [0, 1, 2]  # those of 0.1 to 0.5 come first


def test_an_image_without_objects_gives_background() -> None:
    none = annotations(np.zeros((0, 4)), [])
    boxes = as_boxes([[0, 0, 10, 10], [5, 5, 30, 30]])
    labels, _, greatest = window_labels(none, boxes, 2, SETTINGS)
    assert labels.tolist() == [2, 2]
    chosen = choose_windows(labels, greatest, 2, 4, 4, SETTINGS, np.random.default_rng(0))
    assert chosen.tolist() == [0, 1]


def test_no_more_than_the_quota_is_chosen() -> None:
    labels = np.array([0] * 30 + [2] * 50 + [UNUSED] * 9)
    greatest = np.where(labels == 0, 0.8, 0.3).astype(np.float32)
    chosen = choose_windows(labels, greatest, 2, 8, 20, SETTINGS, np.random.default_rng(0))
    assert np.bincount(labels[chosen] // 2).tolist() == [8, 20]
    assert len(np.unique(chosen)) == 28


@pytest.fixture(scope="module")
def extractor() -> SppRegionFeatures:
    return SppRegionFeatures(load_trunk("small"), SppSettings((120,), levels=(1, 2)))


def windows_of(scenes, extractor, settings=SETTINGS, workers=1):
    dataset = read_dataset(scenes, "train")
    images = TrainingImages(dataset, extractor, TrainSettings(workers=workers), lambda *_: None)
    views = views_of(range(6), True)
    return collect_windows(images, views, 3, extractor.dimension, settings, 0), dataset, images


def test_the_windows_of_images(scenes, extractor) -> None:
    windows, dataset, _ = windows_of(scenes, extractor)
    again, _, _ = windows_of(scenes, extractor, workers=3)
    assert np.array_equal(windows.features, again.features)
    assert np.array_equal(windows.labels, again.labels)
    count = len(windows.labels)
    assert windows.features.shape == (count, extractor.dimension)
    assert windows.features.dtype == np.float16
    assert windows.targets.shape == (count, 4)
    assert set(np.unique(windows.images)) == set(range(6))
    assert (windows.targets[windows.labels == 3] == 0).all()
    for image in range(6):
        labels = windows.labels[windows.images == image]
        assert (labels < 3).sum() <= 2 * 16
        assert set(labels) - {3} <= set(dataset.annotations(image).labels.tolist())
    assert np.abs(windows.targets).max() < 1.5  # an IoU of 0.5 or more
    assert (np.asarray(windows.features).astype(np.float32).max(axis=1) > 0).all()


def test_a_full_disk_gives_fewer_windows(scenes, extractor) -> None:
    few, _, _ = windows_of(scenes, extractor, ConnectedSettings(disk=1))
    assert len(few.labels) <= 12 * 8
    assert len(few.labels) > 12 * 4


def test_without_an_object_there_is_nothing_to_learn(scenes, extractor) -> None:
    dataset = read_dataset(scenes, "train")
    images = TrainingImages(dataset, extractor, TrainSettings(workers=1), lambda *_: None)
    with pytest.raises(SppdetError, match="no window of an object"):
        collect_windows(images, [], 3, extractor.dimension, SETTINGS, 0)
