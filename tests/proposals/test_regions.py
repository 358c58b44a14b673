import numpy as np
import pytest

from sppdet.proposals.regions import (
    COLOUR_BINS,
    COLOUR_LENGTH,
    DIRECTIONS,
    TEXTURE_BINS,
    TEXTURE_LENGTH,
    aggregate,
    describe,
    neighbours,
    texture_table,
)


@pytest.fixture(params=[(9, 13), (1, 8), (7, 1), (1, 1)])
def case(request):
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (*request.param, 3), np.uint8)
    labels = (np.arange(image[..., 0].size) * 4 // image[..., 0].size).astype(np.int32)
    labels = np.unique(labels, return_inverse=True)[1].astype(np.int32)
    return image, labels.reshape(request.param)


def slow_description(image, labels, region):
    """Histograms of one region, by numpy, channel by channel."""
    inside = labels == region
    padded = np.pad(image.astype(int), ((1, 1), (1, 1), (0, 0)), mode="edge")
    height, width = labels.shape

    def moved(dy, dx):
        return padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]

    derivatives = [
        moved(0, 1) - moved(0, -1),
        moved(1, 0) - moved(-1, 0),
        moved(1, 1) - moved(-1, -1),
        moved(1, -1) - moved(-1, 1),
    ]
    rows = [
        np.bincount(image[inside][:, c].astype(int) * COLOUR_BINS // 256, minlength=COLOUR_BINS)
        for c in range(3)
    ]
    table = texture_table()
    rows += [
        np.bincount(table[derivative[inside][:, c] + 255], minlength=TEXTURE_BINS)
        for c in range(3)
        for derivative in derivatives
    ]
    ys, xs = np.nonzero(inside)
    return inside.sum(), [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], np.concatenate(rows)


def test_describe_equals_the_slow_twin(case):
    image, labels = case
    count = labels.max() + 1
    sizes, boxes, histograms = describe(image, labels, count, texture_table())
    for region in range(count):
        size, box, histogram = slow_description(image, labels, region)
        assert sizes[region] == size
        np.testing.assert_array_equal(boxes[region], box)
        np.testing.assert_array_equal(histograms[region], histogram)
        assert histograms[region, :COLOUR_LENGTH].sum() == 3 * size
        assert histograms[region, COLOUR_LENGTH:].sum() == 3 * DIRECTIONS * size


def test_aggregate_equals_describing_the_unions(case):
    image, labels = case
    count = labels.max() + 1
    coarse = (np.arange(count) // 2).astype(np.int32)
    fine = describe(image, labels, count, texture_table())
    whole = describe(image, coarse[labels], coarse.max() + 1, texture_table())
    for found, expected in zip(aggregate(coarse, *fine), whole, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_texture_bins_are_ordered_and_all_used():
    table = texture_table()
    assert (np.diff(table) >= 0).all()
    assert set(table) == set(range(TEXTURE_BINS))
    assert TEXTURE_LENGTH == 3 * DIRECTIONS * TEXTURE_BINS


def test_neighbours_are_the_distinct_pairs():
    rng = np.random.default_rng(1)
    edge_a, edge_b = rng.integers(0, 12, (2, 60)).astype(np.int32)
    coarse = (np.arange(12) // 2).astype(np.int32)
    pairs = neighbours(edge_a, edge_b, coarse, 6)
    expected = {
        (int(min(a, b)), int(max(a, b)))
        for a, b in zip(coarse[edge_a], coarse[edge_b], strict=True)
        if a != b
    }
    assert len(pairs) == len(expected)
    assert set(map(tuple, pairs.tolist())) == expected
