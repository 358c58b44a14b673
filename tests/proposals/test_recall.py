import numpy as np
import pytest

from sppdet.proposals.recall import Recall, measure_recall

TRUTHS = np.float32([[0, 0, 10, 10], [20, 20, 40, 40]])
LABELS = np.array([0, 3])


def test_by_hand():
    proposals = np.float32([[0, 0, 10, 5], [50, 50, 60, 60], [0, 0, 10, 8], [20, 20, 40, 40]])
    found = measure_recall([(proposals, TRUTHS, LABELS)], numbers=(1, 3, 4))
    np.testing.assert_allclose(found.overlaps, [[0.5, 0], [0.8, 0], [0.8, 1]], rtol=1e-6)
    np.testing.assert_allclose(found.recall(0.5), [0.5, 0.5, 1])
    np.testing.assert_allclose(found.recall(0.7), [0, 0.5, 1])
    np.testing.assert_allclose(found.mean_best_overlap(), [0.25, 0.4, 0.9], rtol=1e-6)
    np.testing.assert_allclose(found.average_best_overlap()[3], [0, 0, 1])


def test_average_recall_is_the_area_under_the_recall():
    rng = np.random.default_rng(0)
    overlaps = rng.random((2, 40)).astype("f4")
    measured = Recall((10, 100), overlaps, np.zeros(40, np.int64))
    middles = np.linspace(0.5, 1, 4001)[:-1] + 0.5 / 8000
    area = 0.5 * np.mean([measured.recall(t) for t in middles], axis=0)
    np.testing.assert_allclose(measured.average_recall(), 2 * area, atol=1e-3)
    np.testing.assert_array_equal(measured.at([100]).overlaps, overlaps[1:])


def test_classes_count_equally_in_the_mean_of_classes():
    truths = np.float32([[0, 0, 10, 10]] * 3 + [[20, 20, 40, 40]])
    proposals = np.float32([[0, 0, 10, 10]])
    found = measure_recall([(proposals, truths, np.array([0, 0, 0, 1]))], numbers=(10,))
    assert found.mean_best_overlap()[0] == pytest.approx(0.75)
    assert found.mean_average_best_overlap()[0] == pytest.approx(0.5)


def test_without_proposals_and_without_objects():
    none = np.zeros((0, 4), np.float32)
    found = measure_recall([(none, TRUTHS, LABELS), (TRUTHS, none, LABELS[:0])], numbers=(5,))
    assert found.recall() == [0]
    empty = measure_recall([(TRUTHS, none, LABELS[:0])])
    assert np.isnan(empty.recall()).all()
    assert np.isnan(empty.mean_average_best_overlap()).all()
