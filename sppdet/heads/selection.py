"""From scored boxes to detections: candidates, suppression and box voting, class by class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import Boxes, iou, nms
from sppdet.heads.calibration import probabilities
from sppdet.settings import SelectionSettings

VOTER_MARGIN = 2.0
"""How far, in SVM scores, a voter may lie under the detection: its weight is then exp(-2)."""


@dataclass(frozen=True)
class Scored:
    """Boxes (N, 4) with their classes (N,) int64 and SVM scores (N,) float32."""

    boxes: Boxes
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]


def candidates(
    scores: NDArray[np.float32],
    calibration: NDArray[np.float32],
    settings: SelectionSettings,
    threshold: float | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The boxes that can become a detection, or vote on one.

    Args:
        scores: (N, K) SVM scores; a score that is not finite is never a candidate.
        calibration: (K, 2), see :mod:`sppdet.heads.calibration`.
        threshold: least probability of a detection; its voters may lie ``VOTER_MARGIN`` lower.

    Returns:
        Rows of ``scores`` and labels, class by class, the best first.
    """
    rows, labels = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    margin = VOTER_MARGIN if settings.voter_iou < 1 else 0.0
    for label in range(scores.shape[1]):
        column = scores[:, label]
        chosen = np.flatnonzero(np.isfinite(column))
        if threshold is not None:
            constant = np.full(len(chosen), label)
            likely = probabilities(column[chosen] + margin, constant, calibration) >= threshold
            chosen = chosen[likely]
        best = np.argsort(-column[chosen], kind="stable")[: settings.max_candidates]
        rows.append(chosen[best])
        labels.append(np.full(len(best), label))
    return np.concatenate(rows), np.concatenate(labels)


def select(
    scored: Scored,
    calibration: NDArray[np.float32],
    settings: SelectionSettings,
    threshold: float | None = None,
) -> tuple[NDArray[np.int64], Boxes]:
    """Non-maximum suppression, then box voting.

    A detection's box becomes the mean of the candidates of its class that overlap it, each weighted
    with the exponential of its SVM score (after Gidaris and Komodakis, 2015, section 5, who
    weight with the score itself). The score stays. What is found at a threshold is what is found
    without one and lies above it.

    Args:
        scored: the candidates, with regressed boxes.
        calibration, threshold: as in :func:`candidates`.

    Returns:
        Rows of the candidates that survive, class by class, the best first, and their boxes (M, 4).
    """
    rows, boxes = [np.zeros(0, np.int64)], [np.zeros((0, 4), np.float32)]
    for label in np.unique(scored.labels):
        mine = np.flatnonzero(scored.labels == label)
        able = mine
        if threshold is not None:
            likely = probabilities(scored.scores[mine], scored.labels[mine], calibration)
            able = mine[likely >= threshold]
        alive = nms(scored.boxes[able], scored.scores[able], settings.nms_iou)
        kept = able[alive[: settings.max_per_class]]
        rows.append(kept)
        boxes.append(_vote(scored, kept, mine, settings.voter_iou))
    return np.concatenate(rows), np.concatenate(boxes)


def _vote(
    scored: Scored, kept: NDArray[np.int64], voters: NDArray[np.int64], voter_iou: float
) -> Boxes:
    """The boxes of ``kept`` after the vote."""
    own = scored.boxes[kept]
    if voter_iou >= 1 or len(kept) == 0:
        return own
    lead = scored.scores[voters] - scored.scores[kept][:, None]
    votes = (iou(own, scored.boxes[voters]) > voter_iou) & (lead >= -VOTER_MARGIN)
    weights = np.exp(np.where(votes, lead, -np.inf).astype(np.float64))
    total = weights.sum(axis=1, keepdims=True)
    mean = weights @ scored.boxes[voters] / np.where(total > 0, total, 1)
    # An empty box overlaps nothing, not even itself.
    return np.where(total > 0, mean, own).astype(np.float32)
