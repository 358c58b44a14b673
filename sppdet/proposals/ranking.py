"""The order of the candidates: which boxes come first when not all can be kept.

The score of a box, of which the lowest is the best, is

    score = level / sqrt(votes) * u ** CHANCE

with the best level of the box in any hierarchy (1 is the root), the number of regions with this
box, and u, a number in [0, 1) that depends on the box alone. The factor u mixes the levels, so that
small objects come early enough. Then the order changes twice:

1. The first :data:`FIRST` boxes that no better box overlaps by an IoU above 0.7 come first.
2. In this new order the boxes that a better one overlaps by an IoU above 0.8 go to the end.

The constants are chosen on training photographs of two data sets (fruit, blood cells), by recall at
IoU 0.5 and 0.7 and mean best overlap with 100 to 2,000 boxes. The results on COCO128 were seen
before the choice.
"""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

# IoU above which a box is nearly the same as a better one, and goes to the end.
NEARLY_THE_SAME = 0.8
# The same among the first boxes, and how many these are.
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


def rank(hierarchies: list[Hierarchy], minimum_side: int) -> NDArray[np.float32]:
    """The distinct boxes of all hierarchies, best first.

    The level of the i-th of the 2 n - 1 regions of a hierarchy is 2 n - 1 - i: 1 for the root, the
    last one. The module's description has the score; u is a hash of the box.

    Args:
        hierarchies: of one image, at most 65,535 pixels wide and high.
        minimum_side: boxes with a shorter side are dropped.

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
    chosen = np.flatnonzero(~nearly_repeats(ordered, NEARLY_THE_SAME_AT_FIRST))[:FIRST]
    ordered = np.concatenate([ordered[chosen], np.delete(ordered, chosen, axis=0)])
    repeats = nearly_repeats(ordered, NEARLY_THE_SAME)
    return np.concatenate([ordered[~repeats], ordered[repeats]])


def _chance(key: NDArray[np.int64]) -> NDArray[np.float64]:
    """Numbers from 0 to 1 that look random and depend on ``key`` alone (mixing of SplitMix64)."""
    mixed = key.astype(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2**53


@numba.njit(nogil=True, cache=True)
def nearly_repeats(boxes, threshold):  # type: ignore[no-untyped-def]
    """Which boxes greedy non-maximum suppression would remove.

    repeats[i] = (max over j < i with not repeats[j] of IoU(i, j)) > t

    IoU(i, j) <= min(A_i, A_j) / max(A_i, A_j) for boxes of areas A. So IoU(i, j) > t implies
    |log A_i - log A_j| < -log t, and each box is compared only with boxes whose
    floor(log A / -log t) differs by at most one.

    Args:
        boxes: (N, 4) float32 with areas of at least one pixel, best first.
        threshold: IoU, above 0 and below 1.

    Returns:
        (N,) bool.
    """
    count = len(boxes)
    repeats = np.zeros(count, np.bool_)
    step = -1 / np.log(threshold)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    buckets = int(np.log(max(area.max(), np.float32(1))) * step) + 3 if count else 3
    latest = np.full(buckets, -1, np.int32)
    before = np.empty(count, np.int32)
    for i in range(count):
        bucket = int(np.log(area[i]) * step) + 1
        for near in range(bucket - 1, bucket + 2):
            j = latest[near]
            while j >= 0 and not repeats[i]:
                wide = min(boxes[i, 2], boxes[j, 2]) - max(boxes[i, 0], boxes[j, 0])
                high = min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1])
                if wide > 0 and high > 0:
                    shared = wide * high
                    repeats[i] = shared > threshold * (area[i] + area[j] - shared)
                j = before[j]
        if not repeats[i]:
            before[i] = latest[bucket]
            latest[bucket] = i
    return repeats
