"""Lower scores for boxes that hold several objects, of all classes at once.

The twin of :mod:`sppdet.heads.groups`, whose rules these are.
"""

import torch
from torch import Tensor

from sppdet.device.selection import BLOCK, Ranked, likely, pairwise_iou
from sppdet.heads.groups import APART, HELD, SMALLER, SURE


def lower_groups(
    ranked: Ranked, boxes: Tensor, penalty: float, calibration: Tensor, least: Tensor | None
) -> tuple[Ranked, Tensor]:
    """The candidates with :func:`sppdet.heads.groups.lower_groups`, in their new order.

    Args:
        ranked: K classes with C candidates each.
        boxes: (K, C, 4) float32, theirs.
        penalty: 0 changes nothing.
        calibration, least: as in :func:`sppdet.device.selection.rank`.

    Returns:
        The candidates, the best first, and their boxes.
    """
    if penalty == 0:
        return ranked, boxes
    classes, count = ranked.scores.shape
    block = max(BLOCK // max(count * count, 1), 1)
    lowered = torch.cat(
        [
            _lowered(ranked.scores[first : first + block], boxes[first : first + block], penalty)
            for first in range(0, classes, block)
        ]
    )
    scores, order = lowered.sort(dim=1, descending=True, stable=True)
    able = scores > -torch.inf
    if least is not None:
        able = able & likely(scores, calibration, least)
    moved = boxes.gather(1, order[:, :, None].expand(-1, -1, 4))
    return Ranked(ranked.rows.gather(1, order), scores, able), moved


def _lowered(scores: Tensor, boxes: Tensor, penalty: float) -> Tensor:
    """The scores (K, C) of one block of classes, in the order of the candidates."""
    count = scores.shape[1]
    boxes = boxes.masked_fill((scores == -torch.inf)[:, :, None], 0)  # else NaN could spread
    lower = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    upper = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    sides = (upper - lower).clamp(min=0)
    own = (boxes[:, :, 2:] - boxes[:, :, :2]).clamp(min=0)
    area = own[..., 0] * own[..., 1]
    held = ((area > 0) & (scores > SURE))[:, None]
    held = held & (sides[..., 0] * sides[..., 1] >= HELD * area[:, None])
    held &= area[:, None] < SMALLER * area[:, :, None]
    first = _first(held)
    apart = pairwise_iou(boxes) <= APART
    index = first.clamp(max=count - 1)[:, :, None].expand(-1, -1, count)
    second = _first(held & apart.gather(1, index))
    score = scores.gather(1, second.clamp(max=count - 1))
    above = (score - SURE).masked_fill(second == count, 0)
    return scores - penalty * above


def _first(chosen: Tensor) -> Tensor:
    """(K, C): the least place in each row of (K, C, C) that is chosen; C where there is none."""
    count = chosen.shape[2]
    places = torch.arange(count, device=chosen.device).expand(chosen.shape)
    return places.masked_fill(~chosen, count).amin(dim=2)
