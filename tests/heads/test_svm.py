import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC

from sppdet.heads.svm import ExampleStore

COST, WEIGHT = 0.01, 2.0


def examples(seed: int = 0, count: int = 120, dimension: int = 300):
    random = np.random.default_rng(seed)
    signs = np.where(np.arange(count) % 4 == 0, 1, -1).astype(np.int8)
    features = random.standard_normal((count, dimension)) + 0.3 * signs[:, None]
    features *= 20 / np.linalg.norm(features, axis=1).mean()
    return torch.from_numpy(features).half(), signs, np.arange(count)


def filled(features: torch.Tensor, signs: np.ndarray, images: np.ndarray) -> ExampleStore:
    store = ExampleStore(features.shape[1])
    for part in np.array_split(np.arange(len(signs)), 3):
        store.add(features[torch.from_numpy(part)], signs[part], images[part])
    return store


def hinge_objective(weight, bias, features, signs) -> float:
    losses = np.maximum(0, 1 - signs * (features @ weight + bias))
    return 0.5 * weight @ weight + COST * (losses * np.where(signs > 0, WEIGHT, 1)).sum()


def test_is_as_good_as_liblinear_on_the_features_themselves() -> None:
    features, signs, images = examples()
    fitted = filled(features, signs, images).fit(COST, WEIGHT)
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
    ours = hinge_objective(fitted[0].weight.astype(float), fitted[0].bias, wide, signs)
    reference = hinge_objective(theirs.coef_[0], theirs.intercept_[0], wide, signs)
    assert ours == pytest.approx(reference, rel=2e-3)


def test_scores_are_the_weights_times_the_features() -> None:
    features, signs, images = examples()
    svm, scores = filled(features, signs, images).fit(COST, WEIGHT)  # type: ignore[misc]
    np.testing.assert_allclose(features.float().numpy() @ svm.weight + svm.bias, scores, atol=1e-3)


def test_dropped_examples_leave_no_trace() -> None:
    features, signs, images = examples()
    keep = np.arange(len(signs)) % 3 != 1
    store = filled(features, signs, images)
    store.keep(keep)
    again = filled(features[torch.from_numpy(keep)], signs[keep], images[keep])
    a, b = store.fit(COST, WEIGHT), again.fit(COST, WEIGHT)
    np.testing.assert_allclose(a[0].weight, b[0].weight, atol=1e-5)  # type: ignore[index]


def test_a_subset_is_trained_on_alone() -> None:
    features, signs, images = examples()
    subset = images % 2 == 0
    part = filled(features, signs, images).fit(COST, WEIGHT, subset)
    alone = filled(features[torch.from_numpy(subset)], signs[subset], images[subset]).fit(
        COST, WEIGHT
    )
    np.testing.assert_allclose(part[0].weight, alone[0].weight, atol=1e-5)  # type: ignore[index]
    assert part[1].shape == (120,)  # type: ignore[index]


@pytest.mark.parametrize("sign", [1, -1])
def test_one_kind_of_example_gives_no_svm(sign: int) -> None:
    features, _, images = examples()
    assert filled(features, np.full(120, sign, np.int8), images).fit(COST, WEIGHT) is None


def test_equal_examples_give_equal_svms() -> None:
    a, b = (filled(*examples()).fit(COST, WEIGHT) for _ in range(2))
    np.testing.assert_array_equal(a[0].weight, b[0].weight)  # type: ignore[index]
    assert a[0].bias == b[0].bias  # type: ignore[index]
