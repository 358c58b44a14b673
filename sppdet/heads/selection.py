"""From scored boxes to detections: candidates, non-maximum suppression, box voting, per class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import Boxes, iou, nms
from sppdet.heads.base import Scorer
from sppdet.settings import SelectionSettings

VOTER_MARGIN = 2.0
"""How far the score of a voter may lie below that of the detection: its weight is then exp(-2)."""


@dataclass(frozen=True)
class Scored:
    """Boxes (N, 4) with their classes (N,) int64 and scores (N,) float32.

    ``rows`` (N,) int64 says which box of the image each one was before the regression.
    """

    boxes: Boxes
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    rows: NDArray[np.int64]

    def take(self, index: NDArray[np.int64], boxes: Boxes | None = None) -> "Scored":
        """The entries ``index``, with other boxes if these are given."""
        chosen = self.boxes[index] if boxes is None else boxes
        return Scored(chosen, self.labels[index], self.scores[index], self.rows[index])


def candidates(
    scores: NDArray[np.float32],
    scorer: Scorer,
    settings: SelectionSettings,
    threshold: float | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The boxes that can become a detection, or vote on one.

    Args:
        scores: (N, K); a score that is not finite is never a candidate.
        scorer: gives the probabilities.
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
            chosen = chosen[scorer.probabilities(column[chosen] + margin, constant) >= threshold]
        best = np.argsort(-column[chosen], kind="stable")[: settings.max_candidates]
        rows.append(chosen[best])
        labels.append(np.full(len(best), label))
    return np.concatenate(rows), np.concatenate(labels)


def select(
    scored: Scored,
    scorer: Scorer,
    settings: SelectionSettings,
    threshold: float | None = None,
) -> Scored:
    """Non-maximum suppression (R-CNN paper, section 2.2), then box voting.

    The box of a detection d becomes the weighted mean of its voters, the candidates v of its class
    with IoU(d, v) > ``voter_iou`` and s_v >= s_d - ``VOTER_MARGIN``:

        box = sum_v exp(s_v - s_d) box_v / sum_v exp(s_v - s_d)

    (after Gidaris and Komodakis, 2015, section 5, whose weight is the score itself). The score
    stays. The detections at a threshold are those without one whose probability reaches it.

    Args:
        scored: the candidates, with regressed boxes.
        scorer, threshold: as in :func:`candidates`.

    Returns:
        The detections, class by class, the best first.
    """
    kept, boxes = [np.zeros(0, np.int64)], [np.zeros((0, 4), np.float32)]
    for label in np.unique(scored.labels):
        mine = np.flatnonzero(scored.labels == label)
        able = mine
        if threshold is not None:
            likely = scorer.probabilities(scored.scores[mine], scored.labels[mine])
            able = mine[likely >= threshold]
        alive = nms(scored.boxes[able], scored.scores[able], settings.nms_iou)
        best = able[alive[: settings.max_per_class]]
        kept.append(best)
        boxes.append(_vote(scored, best, mine, settings.voter_iou))
    return scored.take(np.concatenate(kept), np.concatenate(boxes))


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
