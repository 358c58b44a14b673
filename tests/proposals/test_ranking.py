import numpy as np
import pytest

from sppdet.boxes import iou
from sppdet.proposals import ranking
from sppdet.proposals.ranking import Hierarchy, _chance, nearly_repeats, rank


@pytest.fixture
def no_chance(monkeypatch):
    monkeypatch.setattr(ranking, "CHANCE", 0.0)


def hierarchy(*boxes):
    """The last box is the root."""
    return Hierarchy(None, np.array(boxes, np.int32), None, None)


def test_high_in_the_hierarchy_first_and_votes_count(no_chance):
    small, other, large = [0, 0, 30, 30], [60, 60, 95, 95], [0, 0, 100, 100]
    once = rank([hierarchy(small, other, large)], 20)
    np.testing.assert_array_equal(once, np.float32([large, other, small]))
    # 3 / sqrt(4) is less than 2 / sqrt(1).
    voted = rank(
        [hierarchy(small, other, large), *[hierarchy(small, [1, 1, 9, 9], [2, 2, 9, 9])] * 3], 20
    )
    np.testing.assert_array_equal(voted, np.float32([large, small, other]))


def test_near_repetitions_wait(no_chance):
    boxes = [[50, 50, 90, 90], [0, 0, 99, 100], [0, 0, 100, 100]]
    np.testing.assert_array_equal(
        rank([hierarchy(*boxes)], 20), np.float32([boxes[2], boxes[0], boxes[1]])
    )


def test_the_first_are_further_apart_than_the_later(no_chance, monkeypatch):
    # IoU with the root, and with one another: 0.75 and less than 0.7.
    root, left, below = [0, 0, 100, 100], [0, 0, 75, 100], [0, 25, 100, 100]
    boxes = [[70, 70, 99, 99], below, left, root]
    expected = {1: [root, left, below, boxes[0]], 2: [root, boxes[0], left, below]}
    for first, order in expected.items():
        monkeypatch.setattr(ranking, "FIRST", first)
        np.testing.assert_array_equal(rank([hierarchy(*boxes)], 20), np.float32(order))


def test_nothing_large_enough():
    assert rank([hierarchy([0, 0, 5, 50], [0, 0, 19, 60])], 20).shape == (0, 4)


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("count", [0, 1, 400])
def test_nearly_repeats_equals_comparing_all(threshold, count):
    rng = np.random.default_rng(4)
    low = rng.integers(0, 12, (count, 2))
    boxes = np.concatenate([low, low + rng.integers(1, 40, (count, 2))], axis=1).astype(np.float32)
    overlaps = iou(boxes, boxes).astype(np.float64)
    expected = np.zeros(count, bool)
    for i in range(count):
        expected[i] = any(overlaps[i, j] > threshold + 1e-7 and not expected[j] for j in range(i))
    np.testing.assert_array_equal(nearly_repeats(boxes, threshold, count + 1), expected)
    few = nearly_repeats(boxes, threshold, 7)
    np.testing.assert_array_equal(np.flatnonzero(~few), np.flatnonzero(~expected)[:7])
    assert count < 2 or 0 < expected.sum() < count


def test_chance_is_even_and_depends_on_the_key_alone():
    keys = np.arange(20000, dtype=np.int64) << 16
    numbers = _chance(keys)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    np.testing.assert_allclose(np.histogram(numbers, 10, (0, 1))[0], 2000, rtol=0.1)
    np.testing.assert_array_equal(_chance(keys[::-1])[::-1], numbers)
