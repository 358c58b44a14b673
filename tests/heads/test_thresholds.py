"""The threshold with the best F1 against all thresholds tried one by one."""

import numpy as np
import pytest

from sppdet.heads.thresholds import UNKNOWN, BestF1, best_f1, mean_f1


def f1_at(threshold: float, probabilities: np.ndarray, right: np.ndarray, objects: int) -> float:
    shown = probabilities >= threshold
    return 2 * right[shown].sum() / (shown.sum() + objects)


@pytest.mark.parametrize("seed", range(8))
def test_no_threshold_is_better(seed: int) -> None:
    random = np.random.default_rng(seed)
    probabilities = random.integers(1, 20, 30).astype(np.float32) / 20  # with equal ones
    right = random.random(30) < probabilities
    objects = int(right.sum()) + 3
    best = best_f1(probabilities, right, objects)
    assert best.f1 == pytest.approx(f1_at(best.threshold, probabilities, right, objects))
    tried = [f1_at(one, probabilities, right, objects) for one in np.linspace(0.01, 1, 200)]
    assert best.f1 == pytest.approx(max(tried))


def test_a_known_case() -> None:
    probabilities = np.array([0.2, 0.9, 0.6, 0.8], np.float32)
    right = np.array([False, True, True, False])
    # One object of three is never found: F1 is 2/4, 2/5, 4/6, 4/7 after each detection.
    assert best_f1(probabilities, right, 3) == BestF1(pytest.approx(0.4), pytest.approx(4 / 6))


@pytest.mark.parametrize(
    ("probabilities", "right"), [([], []), ([0.9, 0.3], [False, False])], ids=["none", "all wrong"]
)
def test_where_nothing_is_found(probabilities: list[float], right: list[bool]) -> None:
    found = best_f1(np.array(probabilities, np.float32), np.array(right, bool), 4)
    assert found == BestF1(UNKNOWN, 0.0)
    assert mean_f1([found, BestF1(0.5, 1.0)]) == 0.5
    assert mean_f1([]) == 0.0
