"""Lower scores for boxes that hold several objects, against the loops that the rule describes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sppdet.boxes import iou
from sppdet.heads.groups import lower_groups

SIDE_BY_SIDE = np.array([[0, 0, 40, 20], [0, 0, 18, 20], [22, 0, 40, 20]], "f4")
"""A group and the two that it holds."""


def lower_slowly(
    boxes: np.ndarray, labels: np.ndarray, scores: np.ndarray, penalty: float
) -> np.ndarray:
    """One box after the other; pairs of held boxes from the best down."""
    result = scores.copy()
    for row, box in enumerate(boxes):
        held = []
        for other in np.flatnonzero(labels == labels[row]):
            inner = boxes[other]
            area = np.float32(inner[2] - inner[0]) * np.float32(inner[3] - inner[1])
            own = np.float32(box[2] - box[0]) * np.float32(box[3] - box[1])
            width = max(min(box[2], inner[2]) - max(box[0], inner[0]), np.float32(0))
            height = max(min(box[3], inner[3]) - max(box[1], inner[1]), np.float32(0))
            inside = width * height >= np.float32(0.75) * area
            if area > 0 and inside and area < np.float32(0.7) * own and scores[other] > -0.6:
                held.append(other)
        for other in held[1:]:
            if iou(boxes[held[:1]], boxes[other : other + 1])[0, 0] <= 0.2:
                result[row] -= np.float32(penalty) * (scores[other] - np.float32(-0.6))
                break
    return result


def lower(boxes: np.ndarray, scores: list[float], penalty: float = 2.0) -> list[float]:
    labels = np.zeros(len(boxes), np.int64)
    order = np.argsort(-np.array(scores), kind="stable")
    lowered = np.empty(len(scores), "f4")
    lowered[order] = lower_groups(boxes[order], labels, np.array(scores, "f4")[order], penalty)
    return lowered.tolist()


def test_a_group_goes_down_by_its_second_one() -> None:
    assert lower(SIDE_BY_SIDE, [1.0, 0.9, 0.4]) == pytest.approx([1 - 2 * 1.0, 0.9, 0.4])
    assert lower(SIDE_BY_SIDE, [1.0, -0.1, 0.4], 3.0) == pytest.approx([1 - 3 * 0.5, -0.1, 0.4])


@pytest.mark.parametrize(
    ("boxes", "scores"),
    [
        pytest.param(SIDE_BY_SIDE, [1.0, 0.9, -0.6], id="the second is not sure"),
        pytest.param(SIDE_BY_SIDE[:2], [1.0, 0.9], id="one is held"),
        pytest.param(
            np.array([[0, 0, 40, 20], [0, 0, 18, 20], [2, 0, 20, 20]], "f4"),
            [1.0, 0.9, 0.8],
            id="the same object twice",
        ),
        pytest.param(
            np.array([[0, 0, 40, 20], [0, 0, 29, 20], [30, 0, 40, 20]], "f4"),
            [1.0, 0.9, 0.8],
            id="the first is nearly as large",
        ),
        pytest.param(
            np.array([[0, 0, 40, 20], [0, 0, 18, 20], [30, 0, 48, 20]], "f4"),
            [1.0, 0.9, 0.8],
            id="the second lies half outside",
        ),
        pytest.param(
            np.array([[0, 0, 40, 20], [0, 0, 18, 20], [30, 0, 30, 20]], "f4"),
            [1.0, 0.9, 0.8],
            id="the second is empty",
        ),
    ],
)
def test_what_is_no_group(boxes: np.ndarray, scores: list[float]) -> None:
    assert lower(boxes, scores) == pytest.approx(scores)


def test_other_classes_make_no_group() -> None:
    scores = np.array([1.0, 0.9, 0.8], "f4")
    for labels in ([0, 0, 1], [0, 1, 1]):
        found = lower_groups(SIDE_BY_SIDE, np.array(labels), scores, 2.0)
        np.testing.assert_array_equal(found, scores)


def test_no_penalty_and_no_candidates() -> None:
    scores = np.array([1.0, 0.9, 0.8], "f4")
    labels = np.zeros(3, np.int64)
    np.testing.assert_array_equal(lower_groups(SIDE_BY_SIDE, labels, scores, 0.0), scores)
    assert lower_groups(SIDE_BY_SIDE[:0], labels[:0], scores[:0], 2.0).shape == (0,)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 12, 50]), st.sampled_from([0.5, 2.0]))
def test_the_scores_equal_those_of_the_loops(seed: int, count: int, penalty: float) -> None:
    random = np.random.default_rng(seed)
    low = random.integers(0, 12, (count, 2))
    boxes = np.concatenate([low, low + random.integers(0, 14, (count, 2))], axis=1).astype("f4")
    if random.random() < 0.5:
        boxes[:, 2:] += random.uniform(0, 0.5, (count, 2)).astype("f4")
    labels = np.sort(random.integers(0, 2, count))
    scores = np.round(random.normal(size=count) * 4).astype("f4") / 4
    order = np.lexsort((-scores, labels))
    wanted = lower_slowly(boxes[order], labels[order], scores[order], penalty)
    found = lower_groups(boxes[order], labels[order], scores[order], penalty)
    np.testing.assert_array_equal(found, wanted)
