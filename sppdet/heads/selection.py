"""From scored boxes to detections: candidates, non-maximum suppression, box voting, per class."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import Boxes, iou, nms
from sppdet.heads.base import Scorer
from sppdet.heads.groups import SURE, lower_groups
from sppdet.settings import SelectionSettings

VOTER_MARGIN = 2.0
"""How far the score of a voter may lie below that of the detection: its weight is then exp(-2)."""

MOST_LEAD = 500.0
"""How far the score of a voter counts above that of the detection: exp of it is still finite."""

Threshold = float | NDArray[np.float32] | None
"""Least probability of a detection, for all classes or (K,) for each; None means there is none."""


@dataclass(frozen=True)
class Scored:
    """Boxes (N, 4) with their classes (N,) int64 and scores (N,) float32.

    ``rows`` (N,) int64 says which box of the image each one was before the regression.
    """

    boxes: Boxes
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    rows: NDArray[np.int64]

    @staticmethod
    def none() -> "Scored":
        """No boxes."""
        index = np.zeros(0, np.int64)
        return Scored(np.zeros((0, 4), np.float32), index, np.zeros(0, np.float32), index)

    def take(self, index: NDArray[np.int64], boxes: Boxes | None = None) -> "Scored":
        """The entries ``index``, with other boxes if these are given."""
        chosen = self.boxes[index] if boxes is None else boxes
        return Scored(chosen, self.labels[index], self.scores[index], self.rows[index])


def candidates(
    scores: NDArray[np.float32],
    scorer: Scorer,
    settings: SelectionSettings,
    threshold: Threshold = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The boxes that can become a detection, or vote on one.

    Args:
        scores: (N, K); a score that is not finite is never a candidate.
        scorer: gives the probabilities.
        threshold: least probability of a detection. Its voters may lie ``VOTER_MARGIN`` lower, and
            what makes a box a group is a candidate in any case.

    Returns:
        Rows of ``scores`` and labels, class by class, the best first.
    """
    rows, labels = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    margin = VOTER_MARGIN if settings.voter_iou < 1 else 0.0
    least = _per_class(threshold, scores.shape[1])
    for label in range(scores.shape[1]):
        column = scores[:, label]
        chosen = np.flatnonzero(np.isfinite(column))
        if least is not None:
            constant = np.full(len(chosen), label)
            likely = scorer.probabilities(column[chosen] + margin, constant)
            held = (column[chosen] > SURE) & (settings.group_penalty > 0)
            chosen = chosen[(likely >= least[label]) | held]
        best = np.argsort(-column[chosen], kind="stable")[: settings.max_candidates]
        rows.append(chosen[best])
        labels.append(np.full(len(best), label))
    return np.concatenate(rows), np.concatenate(labels)


def select(
    scored: Scored,
    scorer: Scorer,
    settings: SelectionSettings,
    threshold: Threshold = None,
) -> Scored:
    """From candidates to detections.

    The scores of groups are lowered (:func:`sppdet.heads.groups.lower_groups`). Then come
    non-maximum suppression (R-CNN paper, section 2.2), box voting, and suppression across classes.

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
    lowered = lower_groups(scored.boxes, scored.labels, scored.scores, settings.group_penalty)
    scored = replace(scored, scores=lowered)
    kept, boxes = [np.zeros(0, np.int64)], [np.zeros((0, 4), np.float32)]
    least = _per_class(threshold, scorer.classes)
    for label in np.unique(scored.labels):
        mine = np.flatnonzero(scored.labels == label)
        able = mine
        if least is not None:
            likely = scorer.probabilities(scored.scores[mine], scored.labels[mine])
            able = mine[likely >= least[label]]
        alive = nms(scored.boxes[able], scored.scores[able], settings.nms_iou)
        best = able[alive[: settings.max_per_class]]
        kept.append(best)
        boxes.append(_vote(scored, best, mine, settings.voter_iou))
    found = scored.take(np.concatenate(kept), np.concatenate(boxes))
    return one_class_per_object(found, scorer, settings.one_class_iou)


def one_class_per_object(found: Scored, scorer: Scorer, most: float) -> Scored:
    """Drop a detection whose IoU with a likelier one of another class exceeds ``most``.

    Among equal probabilities the first stays. At 1 all stay.
    """
    if most >= 1 or len(np.unique(found.labels)) < 2:
        return found
    likely = scorer.probabilities(found.scores, found.labels)
    order = np.argsort(-likely, kind="stable")
    alive = np.zeros(len(order), bool)
    for row in order:
        better = np.flatnonzero(alive & (found.labels != found.labels[row]))
        alive[row] = not (iou(found.boxes[row : row + 1], found.boxes[better]) > most).any()
    return found.take(np.flatnonzero(alive))


def _per_class(threshold: Threshold, classes: int) -> NDArray[np.float32] | None:
    """(K,), a threshold for each class."""
    if threshold is None:
        return None
    return np.broadcast_to(np.asarray(threshold, np.float32), (classes,))


def _vote(
    scored: Scored, kept: NDArray[np.int64], voters: NDArray[np.int64], voter_iou: float
) -> Boxes:
    """The boxes of ``kept`` after the vote."""
    own = scored.boxes[kept]
    if voter_iou >= 1 or len(kept) == 0:
        return own
    lead = scored.scores[voters] - scored.scores[kept][:, None]
    votes = (iou(own, scored.boxes[voters]) > voter_iou) & (lead >= -VOTER_MARGIN)
    lead = np.where(votes, np.minimum(lead, MOST_LEAD), -np.inf)
    weights = np.exp(lead.astype(np.float64))
    total = weights.sum(axis=1, keepdims=True)
    mean = weights @ scored.boxes[voters] / np.where(total > 0, total, 1)
    # An empty box overlaps nothing, not even itself.
    return np.where(total > 0, mean, own).astype(np.float32)
