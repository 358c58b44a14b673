"""Candidates, suppression and voting of all classes at once, without waiting for the device.

The twin of :mod:`sppdet.heads.selection`, whose rules these are. Every result has a fixed size, and
says how much of it is meant.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sppdet.heads.groups import SURE
from sppdet.heads.selection import MOST_LEAD, VOTER_MARGIN
from sppdet.settings import SelectionSettings

BLOCK = 1 << 24
"""Pairs of candidates that are compared at a time."""


@dataclass(frozen=True)
class Ranked:
    """The C best candidates of each of K classes, the best first.

    Attributes:
        rows: (K, C) int64, which box each is.
        scores: (K, C) float32; minus infinity where a class has fewer candidates.
        able: (K, C) bool, which may become detections; the others vote.
    """

    rows: Tensor
    scores: Tensor
    able: Tensor


@dataclass(frozen=True)
class Chosen:
    """The P best detections of each of K classes, the best first.

    Attributes:
        places: (K, P) int64, which candidate of its class each is.
        counts: (K,) int64, how many there are; what is behind them is not meaningful.
        boxes: (K, P, 4) float32, after the vote.
        converged: () bool; where it is False, the rounds were too few, and the result is not right.
    """

    places: Tensor
    counts: Tensor
    boxes: Tensor
    converged: Tensor


def rank(
    scores: Tensor,
    meant: Tensor,
    calibration: Tensor,
    least: Tensor | None,
    settings: SelectionSettings,
) -> Ranked:
    """:func:`sppdet.heads.selection.candidates` of linear heads.

    Args:
        scores: (N, K) float32; one that is not finite is never a candidate.
        meant: (N,) bool, the rows that are boxes.
        calibration: (K, 2) float64, slopes and offsets.
        least: (K,) float32, the least probability of a detection; None keeps all.
        settings: of the selection.
    """
    table = scores.T + 0.0  # no minus zero, which a sort may put behind zero
    chosen = torch.isfinite(table) & meant
    if least is not None:
        margin = VOTER_MARGIN if settings.voter_iou < 1 else 0.0
        able = likely(table + margin, calibration, least)
        chosen &= able | (table > SURE) if settings.group_penalty > 0 else able
    ordered, rows = table.masked_fill(~chosen, -torch.inf).sort(dim=1, descending=True, stable=True)
    count = min(settings.max_candidates, len(scores))
    ordered, rows = ordered[:, :count].contiguous(), rows[:, :count].contiguous()
    able = ordered > -torch.inf
    if least is not None:
        able = able & likely(ordered, calibration, least)
    return Ranked(rows, ordered, able)


def likely(scores: Tensor, calibration: Tensor, least: Tensor) -> Tensor:
    """Which scores (K, N) have at least the wanted probability, by the logistic function."""
    exponent = scores.double() * calibration[:, :1] + calibration[:, 1:]
    return torch.sigmoid(exponent.clamp(-60, 60)).float() >= least[:, None]


def suppress_and_vote(
    ranked: Ranked, boxes: Tensor, settings: SelectionSettings, rounds: int
) -> Chosen:
    """:func:`sppdet.heads.selection.select` behind the lowering of groups, without the suppression
    across classes.

    Greedy suppression keeps a candidate if no better one that is kept overlaps it. That is an
    equation for the kept ones with one solution. Each round puts the kept ones of the round before
    into its right side: after round r all are right that depend on chains of at most r others. A
    round that changes nothing has found the solution.

    Args:
        ranked: the candidates.
        boxes: (K, C, 4) float32, theirs.
        settings: of the selection.
        rounds: at least 2; C + 1 are always enough.
    """
    classes, count = ranked.scores.shape
    block = max(BLOCK // max(count * count, 1), 1)
    parts = [
        _choose(
            ranked.scores[first : first + block],
            ranked.able[first : first + block],
            boxes[first : first + block],
            settings,
            rounds,
        )
        for first in range(0, classes, block)
    ]
    if len(parts) == 1:
        return parts[0]
    return Chosen(
        torch.cat([part.places for part in parts]),
        torch.cat([part.counts for part in parts]),
        torch.cat([part.boxes for part in parts]),
        torch.stack([part.converged for part in parts]).all(),
    )


def _choose(
    scores: Tensor, able: Tensor, boxes: Tensor, settings: SelectionSettings, rounds: int
) -> Chosen:
    """One block of classes."""
    classes, count = scores.shape
    boxes = boxes.masked_fill((scores == -torch.inf)[:, :, None], 0)  # else NaN could spread
    overlaps = pairwise_iou(boxes)
    kind = torch.float16 if boxes.is_cuda else torch.float32
    better = (overlaps > _not_above(settings.nms_iou)).triu(1).to(kind)
    kept = before = able
    for _ in range(rounds):
        hits = torch.bmm(kept[:, None].to(kind), better)[:, 0]
        before, kept = kept, able & (hits == 0)
    converged = (kept == before).all()

    most = min(settings.max_per_class, count)
    place = kept.cumsum(1)
    counts = place[:, -1].clamp(max=most)
    # The last place takes all that are not wanted.
    place = (place - 1).masked_fill(~kept, most).clamp(max=most)
    order = torch.arange(count, device=boxes.device).expand(classes, count)
    places = place.new_zeros(classes, most + 1).scatter_(1, place, order)[:, :most].contiguous()
    own = boxes.gather(1, places[:, :, None].expand(-1, -1, 4))
    if settings.voter_iou >= 1:
        return Chosen(places, counts, own, converged)

    theirs = overlaps.gather(1, places[:, :, None].expand(-1, -1, count))
    lead = scores[:, None] - scores.gather(1, places)[:, :, None]
    votes = (theirs > settings.voter_iou) & (lead >= -VOTER_MARGIN)
    weights = lead.clamp(max=MOST_LEAD).masked_fill(~votes, -torch.inf).double().exp()
    sums = torch.bmm(weights, _with_one(boxes.double()))
    total = sums[:, :, 4:]
    mean = (sums[:, :, :4] / total).float()
    return Chosen(places, counts, torch.where(total > 0, mean, own), converged)


def _with_one(boxes: Tensor) -> Tensor:
    """(K, C, 5): the boxes with a one behind each, so that one product gives sums and weights."""
    return torch.nn.functional.pad(boxes, (0, 1), value=1.0)


def pairwise_iou(boxes: Tensor) -> Tensor:
    """:func:`sppdet.boxes.iou` of every pair within each class: (K, C, 4) to (K, C, C)."""
    lower = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    upper = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    sides = (upper - lower).clamp(min=0)
    shared = sides[..., 0] * sides[..., 1]
    own = (boxes[:, :, 2:] - boxes[:, :, :2]).clamp(min=0)
    area = own[..., 0] * own[..., 1]
    union = area[:, :, None] + area[:, None] - shared
    return (shared / union).masked_fill(~(union > 0), 0)


def _not_above(limit: float) -> float:
    """The largest number of single precision up to ``limit``: an overlap in single precision is
    above the one if it is above the other, though torch compares in single precision."""
    nearest = np.float32(limit)
    return float(nearest if float(nearest) <= limit else np.nextafter(nearest, np.float32(-np.inf)))
