from typing import Any

import numpy as np
import pytest
import torch
import torchvision

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


@pytest.mark.parametrize("wrong", [[[1, 2, 3]], [1, 2, 3, 4]])
def test_as_boxes_refuses_other_shapes(wrong: list) -> None:
    with pytest.raises(ValueError, match="shape"):
        bx.as_boxes(wrong)


@pytest.mark.parametrize(
    "form",
    [
        list,
        np.array,
        lambda rows: np.array(rows, np.int64),
        lambda rows: np.array(rows, np.float16),
        torch.tensor,
        lambda rows: torch.tensor(rows, dtype=torch.float64, requires_grad=True),
        lambda rows: np.array(rows, order="F"),
    ],
)
def test_check_boxes_takes_every_form(form: Any) -> None:
    rows = [[0, 0, 10, 20], [-5, 3, 2, 70], [60, 40, 64, 48]]
    checked = bx.check_boxes(form(rows), width=64, height=48)
    assert checked.dtype == np.float32
    assert checked.tolist() == rows


@pytest.mark.parametrize("none", [[], np.zeros((0, 4)), torch.zeros(0, 4), np.zeros(0)])
def test_check_boxes_of_nothing(none: Any) -> None:
    checked = bx.check_boxes(none, 64, 48)
    assert checked.shape == (0, 4)
    assert checked.dtype == np.float32


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ([np.nan, 0, 1, 1], "finite"),
        ([0, 0, np.inf, 1], "finite"),
        ([0, 0, 1e300, 1], "finite"),
        ([5, 0, 5, 9], "empty or inverted"),
        ([0, 9, 5, 3], "empty or inverted"),
        ([10, 10, 10 + 1e-9, 20], "empty or inverted"),
        ([64, 0, 70, 9], "outside the image of 64 x 48"),
        ([0, 48, 9, 60], "outside"),
        ([-9, 0, 0, 9], "outside"),
        ([0, -9, 9, 0], "outside"),
    ],
)
def test_check_boxes_names_the_row(box: list[float], reason: str) -> None:
    with pytest.raises(ValueError, match=r"boxes\[2\]") as caught:
        bx.check_boxes([[0, 0, 1, 1], [0, 0, 64, 48], box, box], 64, 48)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ([1, 2, 3, 4], ValueError),
        ([[1, 2, 3]], ValueError),
        ([[]], ValueError),
        (np.zeros((0, 5)), ValueError),
        (np.zeros((1, 1, 4)), ValueError),
        ([[0, 0, 1, 1], [0, 0, 1]], ValueError),
        ([["0", "0", "1", "1"]], TypeError),
        ([[None, 0, 1, 1]], TypeError),
        ([[True, False, True, True]], TypeError),
        (None, TypeError),
    ],
)
def test_check_boxes_refuses_other_shapes_and_types(wrong: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="boxes"):
        bx.check_boxes(wrong, 64, 48)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7, 1.0])
def test_nms_equals_torchvisions(threshold: float) -> None:
    random = np.random.default_rng(2)
    boxes = np.concatenate([random_boxes(random, 300), np.round(random_boxes(random, 300), -1)])
    boxes[5] = [3, 3, 3, 9]  # empty
    scores = random.random(600).astype("f4")
    scores[300:] = np.round(scores[300:], 1)
    theirs = torchvision.ops.nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold)
    assert bx.nms(boxes, scores, threshold).tolist() == theirs.tolist()
