import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC

from sppdet.heads.svm import fit_svm

COST, WEIGHT = 0.01, 2.0


def examples(seed: int = 0, count: int = 120, dimension: int = 300):
    random = np.random.default_rng(seed)
    signs = np.where(np.arange(count) % 4 == 0, 1, -1).astype(np.int8)
    features = random.standard_normal((count, dimension)) + 0.3 * signs[:, None]
    features *= 20 / np.linalg.norm(features, axis=1).mean()
    return torch.from_numpy(features).half(), signs


def hinge_objective(weight, bias, features, signs) -> float:
    losses = np.maximum(0, 1 - signs * (features @ weight + bias))
    return 0.5 * weight @ weight + COST * (losses * np.where(signs > 0, WEIGHT, 1)).sum()


def test_is_as_good_as_liblinear_on_the_features_themselves(filled) -> None:
    features, signs = examples()
    fitted = fit_svm(filled(features, signs), COST, WEIGHT)
    assert fitted is not None
    wide = features.double().numpy()
    theirs = LinearSVC(
        C=COST,
        loss="hinge",
        class_weight={1: WEIGHT},
        intercept_scaling=100,
        max_iter=200000,
        tol=1e-6,
    ).fit(wide, signs)
    ours = hinge_objective(fitted.weight.astype(float), fitted.bias, wide, signs)
    reference = hinge_objective(theirs.coef_[0], theirs.intercept_[0], wide, signs)
    assert ours == pytest.approx(reference, rel=2e-3)


@pytest.mark.parametrize("sign", [1, -1])
def test_one_kind_of_example_gives_no_svm(filled, sign: int) -> None:
    features, _ = examples()
    assert fit_svm(filled(features, np.full(120, sign, np.int8)), COST, WEIGHT) is None


def test_equal_examples_give_equal_svms(filled) -> None:
    a, b = (fit_svm(filled(*examples()), COST, WEIGHT) for _ in range(2))
    assert a is not None
    assert b is not None
    np.testing.assert_array_equal(a.weight, b.weight)
    assert a.bias == b.bias
