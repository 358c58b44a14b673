"""The order of the candidates: which boxes come first when not all can be kept.

The score of a box, of which the lowest is the best, is

    score = level / sqrt(votes) * u ** CHANCE

with the best level of the box in any hierarchy (1 is the root), the number of regions with this
box, and u, a number in [0, 1) that depends on the box alone. The factor u mixes the levels, so that
small objects come early enough. Then the order changes twice:

1. The first :data:`FIRST` boxes that no better box overlaps by an IoU above 0.7 come first.
2. In this new order the boxes that a better one overlaps by an IoU above ``nearly_the_same`` go to
   the end.

The constants are chosen on training photographs of two data sets (fruit, blood cells), by recall at
IoU 0.5 and 0.7 and mean best overlap with 100 to 2,000 boxes. The results on COCO128 were seen
before the choice.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sppdet.runtime.compiled import compiled

# IoU above which a box is nearly the same as a better one among the first boxes, and how many these
# are.
NEARLY_THE_SAME_AT_FIRST = 0.7
FIRST = 500
# Power of the random factor u; 1 in the paper (section 3.3). With 0 there is no random factor.
CHANCE = 0.5


class Hierarchy(NamedTuple):
    """What :func:`sppdet.proposals.grouping.group` returns."""

    sizes: NDArray[np.int32]
    boxes: NDArray[np.int32]
    parts: NDArray[np.int32]
    joined_at: NDArray[np.float32]


def rank(
    hierarchies: list[Hierarchy], minimum_side: int, nearly_the_same: float = 0.8
) -> NDArray[np.float32]:
    """The distinct boxes of all hierarchies, best first.

    The level of the i-th of the 2 n - 1 regions of a hierarchy is 2 n - 1 - i: 1 for the root, the
    last one. The module's description has the score; u is a hash of the box.

    Args:
        hierarchies: of one image, at most 65,535 pixels wide and high.
        minimum_side: boxes with a shorter side are dropped.
        nearly_the_same: IoU above which a box goes behind all others.

    Returns:
        (N, 4) float32.
    """
    boxes = np.concatenate([hierarchy.boxes for hierarchy in hierarchies])
    level = np.concatenate(
        [np.arange(len(hierarchy.boxes), 0, -1, dtype=np.int64) for hierarchy in hierarchies]
    )
    large = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) >= minimum_side
    boxes, level = boxes[large].astype(np.int64), level[large]
    key = (boxes[:, 0] << 48) + (boxes[:, 1] << 32) + (boxes[:, 2] << 16) + boxes[:, 3]
    by_key = np.argsort(key, kind="stable")
    boxes, level, key = boxes[by_key], level[by_key], key[by_key]
    start = np.flatnonzero(np.diff(key, prepend=-1))
    if len(start) == 0:
        return np.zeros((0, 4), np.float32)
    votes = np.diff(start, append=len(key))
    score = np.minimum.reduceat(level, start) / np.sqrt(votes) * _chance(key[start]) ** CHANCE
    ordered = boxes[start[np.argsort(score, kind="stable")]].astype(np.float32)
    chosen = np.flatnonzero(~nearly_repeats(ordered, NEARLY_THE_SAME_AT_FIRST, FIRST))
    ordered = np.concatenate([ordered[chosen], np.delete(ordered, chosen, axis=0)])
    repeats = nearly_repeats(ordered, nearly_the_same, len(ordered))
    return np.concatenate([ordered[~repeats], ordered[repeats]])


def _chance(key: NDArray[np.int64]) -> NDArray[np.float64]:
    """Numbers from 0 to 1 that look random and depend on ``key`` alone (mixing of SplitMix64)."""
    mixed = key.astype(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2**53


@compiled()
def nearly_repeats(boxes, threshold, most):  # type: ignore[no-untyped-def]
    """Which boxes greedy non-maximum suppression would remove.

    repeats[i] = (max over j < i with not repeats[j] of IoU(i, j)) > t

    IoU(i, j) <= min(A_i, A_j) / max(A_i, A_j) for boxes of areas A. So IoU(i, j) > t implies
    |log A_i - log A_j| < -log t, and each box is compared only with boxes whose
    floor(log A / -log t) differs by at most one.

    Args:
        boxes: (N, 4) float32 with areas of at least one pixel, best first.
        threshold: IoU, above 0 and below 1.
        most: number of boxes that may stay; all behind them count as repetitions.

    Returns:
        (N,) bool.
    """
    count = len(boxes)
    repeats = np.zeros(count, np.bool_)
    step = -1 / np.log(threshold)
    t = np.float32(threshold)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    bucket = np.empty(count, np.int32)
    for i in range(count):
        bucket[i] = int(np.log(area[i]) * step) + 1
    # The boxes that stay lie bucket by bucket, column by column, so that many are compared at once.
    first = np.zeros((bucket.max() if count else 0) + 3, np.int32)
    for i in range(count):
        first[bucket[i] + 1] += 1
    for b in range(1, len(first)):
        first[b] += first[b - 1]
    end = first.copy()
    x1, y1 = np.empty(count, np.float32), np.empty(count, np.float32)
    x2, y2 = np.empty(count, np.float32), np.empty(count, np.float32)
    areas = np.empty(count, np.float32)
    kept = 0
    for i in range(count):
        for near in range(bucket[i] - 1, bucket[i] + 2):
            s, e = first[near], end[near]
            if not repeats[i] and e > s:
                repeats[i] = _any_above(
                    boxes[i], area[i], x1[s:e], y1[s:e], x2[s:e], y2[s:e], areas[s:e], t
                )
        if not repeats[i]:
            place = end[bucket[i]]
            x1[place], y1[place], x2[place], y2[place] = boxes[i]
            areas[place] = area[i]
            end[bucket[i]] += 1
            kept += 1
            if kept == most:
                repeats[i + 1 :] = True
                break
    return repeats


@compiled()
def _any_above(box, area, x1, y1, x2, y2, areas, threshold):  # type: ignore[no-untyped-def]
    """Whether the IoU of a box with any of some others exceeds the threshold."""
    left, top, right, bottom = box
    found = 0
    for j in range(len(x1)):
        wide = max(min(right, x2[j]) - max(left, x1[j]), np.float32(0))
        high = max(min(bottom, y2[j]) - max(top, y1[j]), np.float32(0))
        shared = wide * high
        found += shared > threshold * (area + areas[j] - shared)
    return found > 0
