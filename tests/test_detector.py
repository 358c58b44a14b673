import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sppdet.boxes import clip, decode, iou
from sppdet.detections import Detections
from sppdet.detector import Detector
from sppdet.errors import SppdetError, SppdetWarning
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.groups import lower_groups
from sppdet.heads.linear import LinearScorer
from sppdet.heads.regression import BoxRegression
from sppdet.heads.selection import VOTER_MARGIN
from sppdet.settings import DetectorSettings, SelectionSettings, SppSettings
from sppdet.trunks import build_trunk

CLASSES = ("cat", "dog")
IMAGE = np.random.default_rng(0).integers(0, 255, (90, 140, 3)).astype(np.uint8)


def make_detector(
    regression: bool = True, selection: SelectionSettings | None = None, **settings: object
) -> Detector:
    extractor = SppRegionFeatures(build_trunk("small", None), SppSettings((128,), levels=(1, 2)))
    random = torch.Generator().manual_seed(0)
    size = extractor.dimension
    scorer = LinearScorer(
        torch.randn(2, size, generator=random) * 0.1,
        torch.tensor([0.1, -0.2]),
        np.array([[2.0, 0.5], [1.0, -0.5]], np.float32),
    )
    boxes = BoxRegression(torch.randn(8, size, generator=random) * 0.005, torch.zeros(8))
    chosen = DetectorSettings(selection=selection or SelectionSettings(), **settings)  # type: ignore[arg-type]
    return Detector(extractor, scorer, CLASSES, chosen, boxes if regression else None)


def some_boxes(count: int = 120) -> np.ndarray:
    corners = np.random.default_rng(1).uniform(0, [140, 90], (count, 2, 2))
    return np.concatenate([corners.min(1), corners.max(1) + 3], axis=1).astype("f4")


def slow_suppress(boxes: np.ndarray, scores: np.ndarray, limit: float) -> list[int]:
    left = sorted(range(len(boxes)), key=lambda i: (-scores[i], i))
    kept = []
    while left:
        kept.append(left.pop(0))
        overlap = iou(boxes[kept[-1]][None], boxes[left])[0] if left else []
        left = [i for i, value in zip(left, overlap, strict=True) if value <= limit]
    return kept


def slow_vote(row: int, boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    total, weight = np.zeros(4), 0.0
    for box, score in zip(boxes, scores, strict=True):
        if score >= scores[row] - VOTER_MARGIN and iou(boxes[row][None], box[None])[0, 0] > 0.5:
            total += np.exp(score) * box
            weight += np.exp(score)
    return total / weight


@pytest.mark.parametrize("voting", [False, True])
@pytest.mark.parametrize("regression", [False, True])
def test_detection_is_what_the_steps_one_by_one_give(regression: bool, voting: bool) -> None:
    selection = SelectionSettings() if voting else SelectionSettings(voter_iou=1)
    detector, boxes = make_detector(regression, selection), some_boxes()
    found = detector.detect(IMAGE, boxes=boxes)
    regions = detector.extractor.prepare(IMAGE, boxes)
    features = regions.features(regions.keys)
    scores = detector.scorer.score(features).numpy()
    for label in (0, 1):
        moved, values = boxes, scores[:, label]
        if regression:
            deltas = features @ detector.regression.weight[4 * label : 4 * label + 4].T
            moved = clip(decode(boxes, deltas.numpy()), 140, 90)
        order = np.argsort(-values, kind="stable")
        same = np.zeros(len(order), np.int64)
        lowered = lower_groups(moved[order], same, values[order], selection.group_penalty)
        values = lowered[np.argsort(order)]
        rows = slow_suppress(moved, values, 0.3)[:100]
        expected_boxes = moved[rows]
        if voting:
            expected_boxes = [slow_vote(row, moved, values) for row in rows]
        values = values[rows]
        expected = detector.scorer.probabilities(values, np.full(len(values), label))
        mine = found.labels == label
        np.testing.assert_allclose(found.scores[mine], expected, rtol=1e-3)
        np.testing.assert_allclose(found.boxes[mine], expected_boxes, atol=1e-2)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.7])
def test_a_threshold_leaves_what_is_above_it(threshold: float) -> None:
    detector, boxes = make_detector(), some_boxes()
    everything = detector.detect(IMAGE, boxes=boxes)
    some = detector.detect(IMAGE, threshold, boxes)
    above = everything.scores >= threshold
    assert 0 < above.sum() < len(everything)
    np.testing.assert_array_equal(some.scores, everything.scores[above])
    np.testing.assert_array_equal(some.labels, everything.labels[above])
    np.testing.assert_allclose(some.boxes, everything.boxes[above], atol=1e-3)


def test_at_most_so_many_per_class() -> None:
    found = make_detector(selection=SelectionSettings(max_per_class=3, nms_iou=0.9)).detect(
        IMAGE, boxes=some_boxes()
    )
    assert np.bincount(found.labels).max() <= 3


def test_a_class_that_was_not_trained_is_never_found() -> None:
    detector = make_detector()
    detector.scorer.bias[1] = torch.nan
    found = detector.detect(IMAGE, boxes=some_boxes())
    assert set(found.labels) == {0}


@pytest.mark.parametrize("threads", [1, 2])
def test_seconds_of_the_stages(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    seconds = dict(make_detector().detect(IMAGE).seconds)
    torch.set_num_threads(before)
    stages = ["proposals", "convolution", "windows", "pooling", "scoring"]
    assert [name for name in seconds if name in stages] == stages
    assert list(seconds)[-1] == "total"
    total = seconds.pop("total")
    if threads > 1:  # two stages run side by side
        seconds["proposals"] = max(seconds.pop("convolution"), seconds["proposals"])
    assert 0 < sum(seconds.values()) <= total


@pytest.mark.parametrize("size", [(1, 1), (3000, 40), (40, 3000), (30, 20)])
@pytest.mark.parametrize("filled", [False, True])
def test_any_image_is_taken(size: tuple[int, int], filled: bool) -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 255, (*size, 3)) if filled else np.full((*size, 3), 90)
    found = make_detector().detect(image.astype(np.uint8))
    assert np.isfinite(found.boxes).all()
    assert (found.boxes[:, :2] >= 0).all()
    assert (found.boxes[:, 2:] <= (size[1], size[0])).all()


def test_no_proposals() -> None:
    found = make_detector().detect(IMAGE, boxes=np.zeros((0, 4), "f4"))
    assert len(found) == 0
    assert found.classes == CLASSES


def test_nothing_above_the_threshold() -> None:
    found = make_detector().detect(IMAGE, 1.0, some_boxes())
    assert found.boxes.shape == (0, 4)
    assert found.boxes.dtype == np.float32
    assert found.labels.dtype == np.int64


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_searching_beside_the_convolution_changes_nothing(threads: int) -> None:
    detector = make_detector(max_boxes=300)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = detector.detect(IMAGE)
        assert torch.get_num_threads() == threads
        expected = detector.detect(IMAGE, boxes=detector.propose(IMAGE))
    finally:
        torch.set_num_threads(before)
    assert len(found) > 0
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-2)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-3)
    assert {"proposals", "convolution", "pooling"} < set(found.seconds)


def test_an_error_in_the_search_reaches_the_caller() -> None:
    detector = make_detector(proposals="no such method")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(SppdetError, match="no such method"):
            detector.detect(IMAGE)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_thresholds_of_classes() -> None:
    """A class has the threshold that is given, or else the detector's own."""
    plain = make_detector()
    detector = Detector(
        plain.extractor, plain.scorer, CLASSES, plain.settings, plain.regression, (0.5, 0.4)
    )
    boxes = some_boxes()
    everything = detector.detect(IMAGE, boxes=boxes)
    for given, expected in (({}, (0.5, 0.4)), ({"dog": 0.2}, (0.5, 0.2)), (0.3, (0.3, 0.3))):
        found = detector.detect(IMAGE, given, boxes)
        above = everything.scores >= np.array(expected)[everything.labels]
        assert 0 < above.sum() < len(everything)
        np.testing.assert_array_equal(found.scores, everything.scores[above])
        np.testing.assert_array_equal(found.labels, everything.labels[above])


@pytest.mark.parametrize("wrong", [{"cow": 0.5}, {"cat": 1.5}, {"cat": None}, "0.5"])
def test_wrong_thresholds_are_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="threshold"):
        make_detector().detect(IMAGE, wrong, some_boxes())  # type: ignore[arg-type]


def test_a_threshold_for_each_class() -> None:
    plain = make_detector()
    with pytest.raises(ValueError, match="1 threshold for 2 classes"):
        Detector(plain.extractor, plain.scorer, CLASSES, thresholds=(0.5,))


# ---------------------------------------------------------------- many images, many threads


def different_images(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(3)
    return [random.integers(0, 255, (60 + 7 * k, 110, 3)).astype(np.uint8) for k in range(count)]


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_eight_threads_at_once_give_what_one_after_the_other_gives() -> None:
    detector, images = make_detector(max_boxes=200), different_images(8)
    expected = [detector.detect(image) for image in images]
    together = threading.Barrier(8)

    def work(image: np.ndarray) -> tuple[Detections, int]:
        together.wait()
        return detector.detect(image), torch.get_num_threads()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, images))
    assert [one for one, _ in found] == expected
    assert {count for _, count in found} == {2}
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("workers", [None, 1, 2, 3])
def test_detect_many_is_ordered_and_reads_only_a_little_ahead(workers: int | None) -> None:
    detector, images = make_detector(max_boxes=100), different_images(8)
    expected = [detector.detect(image, 0.3) for image in images]
    taken = []

    def read() -> Iterator[np.ndarray]:
        for number, image in enumerate(images):
            taken.append(number)
            yield image

    results = detector.detect_many(read(), 0.3, workers=workers)
    for number, found in enumerate(results):
        assert len(taken) <= number + 2 + (workers or 2)
        assert found.labels.tolist() == expected[number].labels.tolist()
        np.testing.assert_allclose(found.boxes, expected[number].boxes, atol=1e-2)
        assert found.size == (110, 60 + 7 * number)
    assert taken == list(range(8))
    assert torch.get_num_threads() == 2


def test_stream(tmp_path: Path) -> None:
    detector, images = make_detector(max_boxes=100), different_images(3)
    for name, image in zip(("a2.png", "a10.png"), images, strict=False):
        Image.fromarray(image).save(tmp_path / name)
    (tmp_path / "a3.png").write_text("no image")
    with pytest.warns(SppdetWarning, match="a3"):
        found = list(detector.stream([tmp_path, images[2]], 0.3))
    assert found == [detector.detect(image, 0.3) for image in images]
    assert [one.source for one in found[:2]] == [tmp_path / "a2.png", tmp_path / "a10.png"]
    assert found[2].source is images[2]
    assert found[0].plot().shape == images[0].shape


def test_a_result_knows_the_path_and_no_pixels(tmp_path: Path) -> None:
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    found = make_detector().detect(tmp_path / "a.png")
    assert (found.source, found.size) == (tmp_path / "a.png", (140, 90))
    assert make_detector().detect(IMAGE).source is None


def test_warm_up() -> None:
    assert make_detector().warm_up((64, 48)) > 0
