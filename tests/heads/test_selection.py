"""Candidates, suppression and voting."""

import numpy as np
import pytest
import torch

from sppdet.boxes import nms
from sppdet.heads.linear import LinearScorer
from sppdet.heads.selection import (
    VOTER_MARGIN,
    Scored,
    candidates,
    one_class_per_object,
    select,
)
from sppdet.settings import SelectionSettings


def scorer(slope: float = 1.0, offset: float = 0.0) -> LinearScorer:
    """Of three classes; the probability is the logistic function of slope * score + offset."""
    fits = np.tile(np.array([slope, offset], np.float32), (3, 1))
    return LinearScorer(torch.zeros(3, 1), torch.zeros(3), fits)


RAW = scorer()


def scored(
    boxes: list[list[float]], scores: list[float], labels: list[int] | None = None
) -> Scored:
    return Scored(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels or [0] * len(boxes), np.int64),
        np.array(scores, np.float32),
        np.arange(len(boxes)),
    )


def test_candidates_are_the_best_of_each_class() -> None:
    scores = np.random.default_rng(0).normal(size=(50, 3)).astype("f4")
    scores[7, 1] = np.nan
    scores[:, 2] = np.nan
    rows, labels = candidates(scores, RAW, SelectionSettings(max_candidates=20))
    assert np.bincount(labels, minlength=3).tolist() == [20, 20, 0]
    for label in (0, 1):
        best = np.argsort(-np.nan_to_num(scores[:, label], nan=-99))[:20]
        np.testing.assert_array_equal(rows[labels == label], best)


@pytest.mark.parametrize("voter_iou", [0.5, 1.0])
def test_candidates_at_a_threshold_include_their_voters(voter_iou: float) -> None:
    scores = np.linspace(-5, 5, 41, dtype="f4")[:, None]
    chosen = SelectionSettings(voter_iou=voter_iou, group_penalty=0)
    rows, _ = candidates(scores, RAW, chosen, 0.5)
    margin = VOTER_MARGIN if voter_iou < 1 else 0
    np.testing.assert_array_equal(np.sort(rows), np.flatnonzero(scores[:, 0] >= -margin))


def test_scores_of_a_damaged_model_give_boxes() -> None:
    """Scores of any size: exp of their differences would be infinite, and the mean no number."""
    boxes = [[0, 0, 10, 10], [1, 0, 11, 10], [0, 1, 10, 11]]
    huge = scored(boxes, [3e38, -3e38, 1e30])
    for threshold in (None, 0.5):
        found = select(huge, RAW, SelectionSettings(nms_iou=0.95), threshold)
        assert len(found.boxes)
        assert np.isfinite(found.boxes).all()


def test_a_vote_by_hand() -> None:
    """Two boxes that overlap by 8/12 and a third, far under the margin, that has no vote."""
    three = scored([[0, 0, 10, 10], [2, 0, 12, 10], [0, 0, 10, 9]], [1.0, 0.0, 1 - 2.5])
    found = select(three, RAW, SelectionSettings())
    assert found.rows.tolist() == [0]
    share = 1 / (1 + np.e)
    np.testing.assert_allclose(found.boxes, [[2 * share, 0, 10 + 2 * share, 10]], rtol=1e-6)


def test_only_candidates_of_the_same_class_vote() -> None:
    two = scored([[0, 0, 10, 10], [2, 0, 12, 10]], [1.0, 0.9], [0, 1])
    found = select(two, RAW, SelectionSettings())
    assert found.rows.tolist() == [0, 1]
    np.testing.assert_array_equal(found.boxes, two.boxes)


def test_what_overlaps_little_has_no_vote() -> None:
    two = scored([[0, 0, 10, 10], [4, 0, 14, 10]], [1.0, 0.9])  # IoU 6 / 14
    found = select(two, RAW, SelectionSettings())
    np.testing.assert_array_equal(found.boxes, two.boxes[:1])


def test_without_voting_it_is_suppression_alone() -> None:
    random = np.random.default_rng(1)
    corners = random.uniform(0, 80, (200, 2))
    boxes = np.concatenate([corners, corners + random.uniform(5, 40, (200, 2))], axis=1)
    many = scored(boxes.tolist(), random.normal(size=200).tolist())
    found = select(many, RAW, SelectionSettings(voter_iou=1, group_penalty=0))
    np.testing.assert_array_equal(found.rows, nms(many.boxes, many.scores, 0.3))
    np.testing.assert_array_equal(found.boxes, many.boxes[found.rows])
    voted = select(many, RAW, SelectionSettings(group_penalty=0))
    np.testing.assert_array_equal(voted.rows, found.rows)
    assert not np.allclose(voted.boxes, found.boxes)


@pytest.mark.parametrize("threshold", [0.3, 0.6, 0.9])
def test_a_threshold_leaves_what_is_above_it(threshold: float) -> None:
    random = np.random.default_rng(2)
    corners = random.uniform(0, 80, (300, 2))
    boxes = np.concatenate([corners, corners + random.uniform(20, 60, (300, 2))], axis=1)
    many = scored(boxes.tolist(), random.normal(size=300).tolist(), [0, 1, 2] * 100)
    found = select(many, RAW, SelectionSettings())
    above = RAW.probabilities(found.scores, found.labels) >= threshold
    some = select(many, RAW, SelectionSettings(), threshold)
    np.testing.assert_array_equal(some.rows, found.rows[above])
    np.testing.assert_allclose(some.boxes, found.boxes[above], atol=1e-4)


def test_an_empty_box_stays_as_it_is() -> None:
    found = select(scored([[5, 5, 5, 9]], [1.0]), RAW, SelectionSettings())
    assert found.rows.tolist() == [0]
    np.testing.assert_array_equal(found.boxes, [[5, 5, 5, 9]])


def test_nothing() -> None:
    found = select(scored([], []), RAW, SelectionSettings())
    assert found.rows.dtype == np.int64
    assert found.boxes.shape == (0, 4)
    assert found.boxes.dtype == np.float32


@pytest.mark.parametrize("settings", [SelectionSettings(max_per_class=4, max_candidates=25)])
@pytest.mark.parametrize("calibration", [(1.0, 0.0), (3.0, -1.5), (0.4, 2.0)])
@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_limits_and_a_threshold_together(
    settings: SelectionSettings, calibration: tuple[float, float], threshold: float
) -> None:
    """From all scores: what is found at a threshold is the part of all that lies above it."""
    random = np.random.default_rng(3)
    corners = random.uniform(0, 80, (150, 2))
    boxes = np.concatenate([corners, corners + random.uniform(20, 60, (150, 2))], axis=1)
    boxes, scores = boxes.astype("f4"), random.normal(size=(150, 3)).astype("f4")
    calibrated = scorer(*calibration)

    def found(least: float | None) -> Scored:
        rows, labels = candidates(scores, calibrated, settings, least)
        chosen = Scored(boxes[rows], labels, scores[rows, labels], rows)
        return select(chosen, calibrated, settings, least)

    everything, some = found(None), found(threshold)
    assert np.bincount(everything.labels, minlength=3).max() <= 4
    above = calibrated.probabilities(everything.scores, everything.labels) >= threshold
    np.testing.assert_array_equal(some.rows, everything.rows[above])
    np.testing.assert_array_equal(some.labels, everything.labels[above])
    np.testing.assert_allclose(some.boxes, everything.boxes[above], atol=1e-4)


def test_one_class_per_object() -> None:
    """By probabilities, which may rank otherwise than scores of different classes do."""
    fits = np.array([[1.0, 0.0], [1.0, 3.0], [1.0, 0.0]], np.float32)
    judge = LinearScorer(torch.zeros(3, 1), torch.zeros(3), fits)
    boxes = [[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [40, 0, 50, 10], [6, 0, 16, 10]]
    given = scored(boxes, [1.0, 0.5, 0.9, 0.2, 0.1], [0, 1, 2, 2, 2])
    found = one_class_per_object(given, judge, 0.6)
    assert found.labels.tolist() == [1, 2, 2]  # the second is likelier than the first and third
    assert found.rows.tolist() == [1, 3, 4]
    assert one_class_per_object(given, judge, 1.0) is given
    same = scored([[0, 0, 10, 10], [0, 0, 10, 9]], [1.0, 0.5], [1, 1])
    assert one_class_per_object(same, judge, 0.6) is same


def test_thresholds_may_differ_by_class() -> None:
    scores = np.array([[0.0, 0.0, 0.0]], np.float32)  # the probability is a half
    plain = SelectionSettings(voter_iou=1, group_penalty=0)
    rows, labels = candidates(scores, RAW, plain, np.array([0.4, 0.6, 0.5], np.float32))
    assert labels.tolist() == [0, 2]
    given = scored([[0, 0, 10, 10], [20, 0, 30, 10]], [0.0, 0.0], [0, 1])
    found = select(given, RAW, plain, np.array([0.4, 0.6, 0.5], np.float32))
    assert found.labels.tolist() == [0]
    assert rows.tolist() == [0, 0]
