import numpy as np
import pytest

from sppdet import boxes as bx


def random_boxes(random: np.random.Generator, count: int) -> np.ndarray:
    corner = random.random((count, 2)) * 80
    return np.concatenate([corner, corner + 1 + random.random((count, 2)) * 40], 1).astype("f4")


def slow_iou(a: np.ndarray, b: np.ndarray) -> float:
    wide = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    high = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - wide * high
    return wide * high / union


def slow_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    left = sorted(range(len(boxes)), key=lambda i: (-scores[i], i))
    kept: list[int] = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [i for i in left if slow_iou(boxes[best], boxes[i]) <= threshold]
    return kept


def test_iou_equals_the_slow_one() -> None:
    random = np.random.default_rng(0)
    a, b = random_boxes(random, 20), random_boxes(random, 30)
    expected = [[slow_iou(x, y) for y in b] for x in a]
    np.testing.assert_allclose(bx.iou(a, b), expected, rtol=1e-5)


def test_iou_of_empty_and_touching_boxes_is_zero() -> None:
    point = bx.as_boxes([[5, 5, 5, 5]])
    assert bx.iou(point, point)[0, 0] == 0
    assert bx.iou(bx.as_boxes([[0, 0, 5, 5]]), bx.as_boxes([[5, 0, 9, 5]]))[0, 0] == 0
    assert bx.iou(bx.as_boxes([]), point).shape == (0, 1)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("tied", [False, True])
def test_nms_equals_the_slow_one(threshold: float, tied: bool) -> None:
    random = np.random.default_rng(1)
    boxes = random_boxes(random, 200)
    scores = random.random(200).astype("f4")
    if tied:
        scores = np.round(scores, 1)
    assert bx.nms(boxes, scores, threshold).tolist() == slow_nms(boxes, scores, threshold)


def test_nms_of_nothing() -> None:
    assert bx.nms(bx.as_boxes([]), np.zeros(0, "f4"), 0.3).shape == (0,)


def test_decode_inverts_encode() -> None:
    random = np.random.default_rng(2)
    proposals, truths = random_boxes(random, 50), random_boxes(random, 50)
    decoded = bx.decode(proposals, bx.encode(proposals, truths))
    np.testing.assert_allclose(decoded, truths, rtol=1e-4, atol=1e-3)


def test_decode_survives_wild_deltas() -> None:
    decoded = bx.decode(bx.as_boxes([[0, 0, 10, 10]]), np.full((1, 4), 1e6))
    assert np.isfinite(decoded).all()


def test_clip_and_flip() -> None:
    box = bx.as_boxes([[-3, 2, 50, 8]])
    assert bx.clip(box, 40, 5).tolist() == [[0, 2, 40, 5]]
    assert bx.flip(box, 40).tolist() == [[-10, 2, 43, 8]]
    np.testing.assert_array_equal(bx.flip(bx.flip(box, 40), 40), box)


def test_unique_keeps_the_first_of_equals_in_order() -> None:
    boxes = bx.as_boxes([[3, 0, 4, 1], [1, 0, 2, 1], [3, 0, 4, 1]])
    assert bx.unique(boxes).tolist() == [[3, 0, 4, 1], [1, 0, 2, 1]]


@pytest.mark.parametrize("wrong", [[[1, 2, 3]], [1, 2, 3, 4]])
def test_as_boxes_refuses_other_shapes(wrong: list) -> None:
    with pytest.raises(ValueError, match="shape"):
        bx.as_boxes(wrong)
