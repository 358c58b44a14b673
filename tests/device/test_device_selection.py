"""Selection of all classes at once against the loops of heads/selection.py."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sppdet.device import selection as fast
from sppdet.device.groups import lower_groups
from sppdet.heads import selection as slow
from sppdet.heads.linear import LinearScorer
from sppdet.settings import SelectionSettings


def calibrated(random: np.random.Generator, classes: int) -> LinearScorer:
    fits = np.stack([random.uniform(0.5, 3, classes), random.normal(size=classes)], axis=1)
    return LinearScorer(torch.zeros(classes, 1), torch.zeros(classes), fits.astype("f4"))


def find(
    scores: np.ndarray,
    boxes: np.ndarray,
    scorer: LinearScorer,
    chosen: SelectionSettings,
    least: np.ndarray | None,
    padding: int = 0,
    rounds: int = 40,
    device: str = "cpu",
) -> tuple[slow.Scored, bool]:
    """By the device's functions, with rows behind the boxes that are not meant."""
    count, classes = scores.shape
    filled = np.concatenate([scores, np.full((padding, classes), 7, np.float32)])
    corners = np.concatenate([boxes, np.tile(np.array([0, 0, 1, 1], "f4"), (padding, 1))])
    ranked = fast.rank(
        torch.from_numpy(filled).to(device),
        torch.arange(count + padding, device=device) < count,
        torch.from_numpy(scorer.calibration).double().to(device),
        None if least is None else torch.from_numpy(least).to(device),
        chosen,
    )
    moved = torch.from_numpy(corners).to(device)[ranked.rows]
    bounds = None if least is None else torch.from_numpy(least).to(device)
    ranked, moved = lower_groups(
        ranked,
        moved,
        chosen.group_penalty,
        torch.from_numpy(scorer.calibration).double().to(device),
        bounds,
    )
    found = fast.suppress_and_vote(ranked, moved, chosen, rounds)
    meant = np.arange(found.places.shape[1]) < found.counts.cpu().numpy()[:, None]
    labels = np.broadcast_to(np.arange(classes)[:, None], meant.shape)[meant]
    rows = ranked.rows.gather(1, found.places).cpu().numpy()[meant]
    lowered = ranked.scores.gather(1, found.places).cpu().numpy()[meant]
    return (
        slow.Scored(found.boxes.cpu().numpy()[meant], labels, lowered, rows),
        bool(found.converged),
    )


def expect(
    scores: np.ndarray,
    boxes: np.ndarray,
    scorer: LinearScorer,
    chosen: SelectionSettings,
    least: np.ndarray | None,
) -> slow.Scored:
    rows, labels = slow.candidates(scores, scorer, chosen, least)
    scored = slow.Scored(boxes[rows], labels, scores[rows, labels], rows)
    return slow.select(scored, scorer, chosen, least)


def random_case(seed: int, count: int, classes: int) -> tuple[np.ndarray, np.ndarray, LinearScorer]:
    """Scores with ties and without a number, and boxes of which many overlap and some are empty."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(count, classes)).astype("f4")
    if random.random() < 0.5:
        scores = np.round(scores * 4) / 4
    scores[random.random(scores.shape) < 0.1] = np.nan
    scores[random.random(scores.shape) < 0.05] = np.inf
    scores[random.random(scores.shape) < 0.05] = -0.0
    low = random.integers(0, 12, (count, 2))
    boxes = np.concatenate([low, low + random.integers(0, 12, (count, 2))], axis=1).astype("f4")
    if random.random() < 0.5:
        boxes += random.uniform(0, 0.5, boxes.shape).astype("f4")
        boxes[:, 2:] = np.maximum(boxes[:, :2], boxes[:, 2:])
    return scores, boxes, calibrated(random, classes)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.sampled_from([1, 2, 10, 60]),
    classes=st.sampled_from([1, 3, 20]),
    threshold=st.sampled_from([None, 0.0, 0.3, "each", 1.0]),
    padding=st.sampled_from([0, 5]),
    chosen=st.builds(
        SelectionSettings,
        max_candidates=st.sampled_from([1, 8, 400]),
        nms_iou=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
        voter_iou=st.sampled_from([0.3, 0.5, 1.0]),
        max_per_class=st.sampled_from([1, 4, 100]),
        group_penalty=st.sampled_from([0.0, 0.5, 2.0]),
    ),
)
def test_the_detections_equal_those_of_the_loops(
    seed: int,
    count: int,
    classes: int,
    threshold: float | str | None,
    padding: int,
    chosen: SelectionSettings,
) -> None:
    scores, boxes, scorer = random_case(seed, count, classes)
    least = None
    if threshold == "each":
        least = np.random.default_rng(seed).random(classes).astype("f4")
    elif threshold is not None:
        least = np.full(classes, threshold, "f4")
    wanted = expect(scores, boxes, scorer, chosen, least)
    found, converged = find(scores, boxes, scorer, chosen, least, padding)
    assert converged
    np.testing.assert_array_equal(found.labels, wanted.labels)
    np.testing.assert_array_equal(found.rows, wanted.rows)
    np.testing.assert_array_equal(found.scores, wanted.scores)
    np.testing.assert_allclose(found.boxes, wanted.boxes, atol=1e-3)


def test_an_overlap_of_just_the_limit() -> None:
    """3 of 10 in single precision is above the number 0.3, as the loop sees it."""
    boxes = np.array([[0, 0, 10, 1], [7, 0, 10, 1]], "f4")
    scores = np.array([[1.0], [0.5]], "f4")
    scorer = calibrated(np.random.default_rng(0), 1)
    chosen = SelectionSettings(nms_iou=0.3)
    wanted = expect(scores, boxes, scorer, chosen, None)
    assert find(scores, boxes, scorer, chosen, None)[0].rows.tolist() == wanted.rows.tolist() == [0]


def chain(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of which each overlaps the next only: every second one stays."""
    left = np.arange(count, dtype="f4") * 6
    boxes = np.stack([left, 0 * left, left + 10, 0 * left + 10], axis=1)
    return np.linspace(1, 0, count, dtype="f4")[:, None], boxes


@pytest.mark.parametrize("rounds", [2, 10, 30, 31])
def test_too_few_rounds_are_told(rounds: int) -> None:
    scores, boxes = chain(30)
    scorer, chosen = calibrated(np.random.default_rng(0), 1), SelectionSettings(nms_iou=0.2)
    found, converged = find(scores, boxes, scorer, chosen, None, rounds=rounds)
    right = found.rows.tolist() == list(range(0, 30, 2))
    assert right or not converged
    assert converged == (rounds >= 30)


def test_classes_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, boxes, scorer = random_case(3, 40, 7)
    chosen = SelectionSettings()
    whole, _ = find(scores, boxes, scorer, chosen, None)
    monkeypatch.setattr(fast, "BLOCK", 2 * 40 * 40)
    parts, converged = find(scores, boxes, scorer, chosen, None)
    assert converged
    np.testing.assert_array_equal(parts.rows, whole.rows)
    np.testing.assert_array_equal(parts.boxes, whole.boxes)


@pytest.mark.gpu
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("classes", [1, 20])
def test_a_gpu_selects_what_the_loops_select(seed: int, classes: int) -> None:
    scores, boxes, scorer = random_case(seed, 500, classes)
    least = None if seed % 2 else np.full(classes, 0.4, "f4")
    chosen = SelectionSettings(nms_iou=(0.3, 0.5)[seed // 2 % 2])
    wanted = expect(scores, boxes, scorer, chosen, least)
    found, converged = find(scores, boxes, scorer, chosen, least, 12, 60, "cuda")
    assert converged
    np.testing.assert_array_equal(found.labels, wanted.labels)
    np.testing.assert_array_equal(found.rows, wanted.rows)
    np.testing.assert_array_equal(found.scores, wanted.scores)
    np.testing.assert_allclose(found.boxes, wanted.boxes, atol=1e-3)
