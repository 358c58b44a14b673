"""The fast grouping against the definition of the similarities, in float64."""

import numpy as np
import pytest

from sppdet.proposals.grouping import group
from sppdet.proposals.regions import COLOUR_LENGTH, DIRECTIONS, describe, neighbours, texture_table
from sppdet.proposals.segmentation import segment


def regions_of(seed: int, height: int = 60, width: int = 80):
    rng = np.random.default_rng(seed)
    tiles = rng.integers(0, 256, (height // 10, width // 10, 3))
    image = np.clip(
        tiles.repeat(10, 0).repeat(10, 1) + rng.integers(-20, 21, (height, width, 3)), 0, 255
    )
    image = image.astype(np.uint8)
    labels, edge_a, edge_b, _, internal = segment(image, 100.0, 15)
    count = len(internal)
    described = describe(image, labels, count, texture_table())
    pairs = neighbours(edge_a, edge_b, np.arange(count, dtype=np.int32), count)
    return described, pairs, height * width


def slow_similarity(a, b, area, weights):
    """Of regions given as (size, box, counts of colours and textures)."""
    share_a, share_b = a[2] / a[0], b[2] / b[0]
    smaller = np.minimum(share_a, share_b)
    box = np.concatenate([np.minimum(a[1][:2], b[1][:2]), np.maximum(a[1][2:], b[1][2:])])
    hole = (box[2] - box[0]) * (box[3] - box[1]) - a[0] - b[0]
    return np.dot(
        weights,
        [
            smaller[:COLOUR_LENGTH].sum() / 3,
            smaller[COLOUR_LENGTH:].sum() / (3 * DIRECTIONS),
            1 - (a[0] + b[0]) / area,
            1 - hole / area,
        ],
    )


@pytest.mark.parametrize(
    "weights", [(1, 1, 1, 1), (0, 1, 1, 1), (0, 0, 0, 1), (0, 0, 1, 0), (1, 0, 0, 0)]
)
@pytest.mark.parametrize("seed", range(2))
def test_always_joins_the_most_similar_neighbours(weights, seed):
    (sizes, boxes, histograms), pairs, area = regions_of(seed)
    count = len(sizes)
    assert count > 15
    all_sizes, all_boxes, parts, joined_at = group(
        sizes, boxes, histograms, pairs, area, np.array(weights, np.float32)
    )
    alive = {
        i: (int(sizes[i]), boxes[i].astype(int), histograms[i].astype(np.float64))
        for i in range(count)
    }
    touching = {frozenset(pair) for pair in pairs.tolist()}
    values = {pair: slow_similarity(*(alive[i] for i in pair), area, weights) for pair in touching}
    for step, (a, b) in enumerate(parts.tolist()):
        pair = frozenset((a, b))
        assert values[pair] >= max(values.values()) - 1e-5
        assert joined_at[step] == pytest.approx(values[pair], abs=1e-5)
        new = count + step
        left, right = alive.pop(a), alive.pop(b)
        box = np.concatenate(
            [np.minimum(left[1][:2], right[1][:2]), np.maximum(left[1][2:], right[1][2:])]
        )
        alive[new] = (left[0] + right[0], box, left[2] + right[2])
        assert all_sizes[new] == alive[new][0]
        np.testing.assert_array_equal(all_boxes[new], box)
        others = {other for old in values if old & pair for other in old - pair}
        values = {old: value for old, value in values.items() if not old & pair}
        for other in others:
            values[frozenset((other, new))] = slow_similarity(
                alive[other], alive[new], area, weights
            )
    assert len(alive) == 1
    assert all_sizes[-1] == area


def test_a_single_region_is_its_own_hierarchy():
    sizes, boxes = np.array([12], np.int32), np.array([[0, 0, 4, 3]], np.int32)
    histograms = np.ones((1, 30), np.float32)
    found = group(sizes, boxes, histograms, np.zeros((0, 2), np.int32), 12, np.ones(4, np.float32))
    np.testing.assert_array_equal(found[1], boxes)
    assert found[2].shape == (0, 2)


def test_a_star_of_many_regions():
    """One region that touches 300 others: the queue outgrows its first size."""
    count = 301
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 50, count).astype(np.int32)
    low = rng.integers(0, 50, (count, 2))
    boxes = np.concatenate([low, low + rng.integers(1, 50, (count, 2))], axis=1).astype(np.int32)
    histograms = rng.random((count, 100)).astype(np.float32)
    pairs = np.column_stack([np.zeros(300), np.arange(1, count)]).astype(np.int32)
    found = group(sizes, boxes, histograms, pairs, 10000, np.ones(4, np.float32))
    assert found[0][-1] == sizes.sum()
    np.testing.assert_array_equal(found[1][-1], [*boxes[:, :2].min(0), *boxes[:, 2:].max(0)])
