import numpy as np
import pytest

from sppdet.heads.base import Judged
from sppdet.heads.calibration import fit_logistic, logistic


def sample(slope: float, offset: float, count: int, seed: int):
    random = np.random.default_rng(seed)
    scores = random.uniform(-3, 3, count).astype("f4")
    right = random.random(count) < 1 / (1 + np.exp(-(slope * scores + offset)))
    return scores, right


def test_recovers_the_probabilities_that_made_the_data() -> None:
    made = [sample(2.0, -1.0, 5000, 0), sample(0.8, 0.5, 5000, 1)]
    fits = fit_logistic([Judged(*one) for one in made])
    np.testing.assert_allclose(fits, [[2.0, -1.0], [0.8, 0.5]], atol=0.15)


def test_a_poor_class_takes_the_common_fit() -> None:
    scores, right = sample(2.0, -1.0, 3000, 2)
    fits = fit_logistic([Judged(scores, right), Judged(scores[:3], right[:3])])
    np.testing.assert_allclose(fits[1], fits[0], atol=0.05)


@pytest.mark.parametrize("count", [0, 3])
def test_without_data_the_ranking_remains(count: int) -> None:
    fits = fit_logistic([Judged(np.zeros(count, "f4"), np.zeros(count, bool))])
    assert fits.shape == (1, 2)
    assert fits[0, 0] > 0


def test_calibration_keeps_the_order_within_a_class() -> None:
    fits = np.array([[2.0, -1.0], [0.5, 3.0]], "f4")
    scores = np.linspace(-5, 5, 50).astype("f4")
    for label in (0, 1):
        values = logistic(scores, np.full(50, label), fits)
        assert (np.diff(values) > 0).all()
        assert ((values > 0) & (values < 1)).all()


def test_scores_against_the_truth_never_turn_the_ranking() -> None:
    scores, right = sample(-2.0, 0.0, 500, 3)
    assert fit_logistic([Judged(scores, right)])[0, 0] > 0
