import numpy as np
import pytest
import torch

from sppdet.boxes import decode, encode
from sppdet.heads.regression import RegressionExamples


def test_equals_ridge_regression_written_out() -> None:
    random = np.random.default_rng(0)
    features = random.standard_normal((50, 12))
    corner = random.random((50, 2)) * 50
    boxes = np.concatenate([corner, corner + 20 + random.random((50, 2)) * 20], 1).astype("f4")
    truths = boxes + random.uniform(-4, 4, (50, 4)).astype("f4")
    examples = RegressionExamples()
    for part in np.array_split(np.arange(50), 4):
        examples.add(torch.from_numpy(features[part]), boxes[part], truths[part])
    (fitted,) = examples.fit(ridge=3.0)
    assert fitted is not None
    x = features.astype(np.float16).astype(float)
    y = encode(boxes, truths).astype(float)
    centred = x - x.mean(0)
    weight = np.linalg.solve(centred.T @ centred + 3.0 * np.eye(12), centred.T @ (y - y.mean(0))).T
    np.testing.assert_allclose(fitted.weight, weight, atol=1e-4)
    np.testing.assert_allclose(fitted.bias, y.mean(0) - weight @ x.mean(0), atol=1e-4)


def test_a_scale_is_as_if_the_features_had_it() -> None:
    random = np.random.default_rng(3)
    features = torch.from_numpy(random.standard_normal((30, 8)).round(2))
    boxes = np.tile(np.array([[10, 10, 40, 50]], "f4"), (30, 1))
    truths = boxes + random.uniform(-4, 4, (30, 4)).astype("f4")
    raw, scaled = RegressionExamples(), RegressionExamples()
    raw.add(features, boxes, truths)
    scaled.add(features * 4, boxes, truths)
    (a,), (b,) = raw.fit(2.0, scale=4.0), scaled.fit(2.0)
    assert a is not None
    assert b is not None
    np.testing.assert_allclose(a.weight, b.weight * 4, rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(a.bias, b.bias, rtol=1e-3, atol=1e-6)


def test_whitening_the_targets_changes_nothing() -> None:
    """The released code whitens; the prediction is the same, which is why we do not."""
    random = np.random.default_rng(1)
    x, y = random.standard_normal((40, 6)), random.standard_normal((40, 4)) @ random.random((4, 4))
    solve = np.linalg.solve(x.T @ x + 5 * np.eye(6), x.T)
    values, vectors = np.linalg.eigh(y.T @ y / 40)
    whiten = vectors @ np.diag(values**-0.5) @ vectors.T
    np.testing.assert_allclose(solve @ (y @ whiten) @ np.linalg.inv(whiten), solve @ y, atol=1e-9)


def test_learns_to_move_boxes() -> None:
    random = np.random.default_rng(2)
    corner = random.random((400, 2)) * 50
    boxes = np.concatenate([corner, corner + 30], 1).astype("f4")
    shift = random.uniform(-8, 8, (400, 2))
    truths = (boxes + np.tile(shift, 2)).astype("f4")
    features = torch.from_numpy(np.concatenate([shift, random.standard_normal((400, 3))], 1))
    examples = RegressionExamples()
    examples.add(features, boxes, truths)
    (fitted,) = examples.fit(ridge=1e-3)
    assert fitted is not None
    moved = decode(boxes, features.numpy() @ fitted.weight.T + fitted.bias)
    assert np.abs(moved - truths).max() < 0.1


def test_too_few_examples_give_none() -> None:
    assert RegressionExamples().fit(1.0) == [None]
    folds = [np.array([0]), np.array([1])]
    examples = RegressionExamples()
    for image in (0, 1):
        boxes = np.array([[10, 10, 40, 50]], "f4")
        examples.add(torch.ones(1, 3), boxes, boxes + 1, image)
    whole, *parts = examples.fit(1.0, folds=folds)
    assert whole is not None
    assert parts == [None, None]


def test_a_fold_is_as_if_its_images_were_not_there() -> None:
    random = np.random.default_rng(4)
    few, all_of_them = RegressionExamples(), RegressionExamples()
    for image in range(6):
        features = torch.from_numpy(random.standard_normal((5, 8)))
        boxes = np.tile(np.array([[10, 10, 40, 50]], "f4"), (5, 1))
        truths = boxes + random.uniform(-4, 4, (5, 4)).astype("f4")
        all_of_them.add(features, boxes, truths, image)
        if image not in (1, 4):
            few.add(features, boxes, truths, image)
    whole, other, part = all_of_them.fit(2.0, 3.0, folds=[np.array([0]), np.array([1, 4])])
    (expected,) = few.fit(2.0, 3.0)
    assert whole is not None
    assert other is not None
    assert part is not None
    assert expected is not None
    np.testing.assert_allclose(part.weight, expected.weight, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(part.bias, expected.bias, rtol=1e-5, atol=1e-7)
    assert not np.allclose(whole.weight, part.weight, rtol=1e-2)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_the_regression_on_a_device_is_that_of_the_cpu(device: str) -> None:
    random = np.random.default_rng(0)
    plain, moved = RegressionExamples(), RegressionExamples(torch.device(device))
    for image in range(8):
        features = torch.from_numpy(random.standard_normal((5, 90))).half()
        corners = random.uniform(0, 50, (2, 5, 2))
        boxes = [np.concatenate([c, c + random.uniform(20, 40, (5, 2))], 1) for c in corners]
        for one in (plain, moved):
            one.add(features, boxes[0].astype("f4"), boxes[1].astype("f4"), image)
    folds = [np.array([0, 1, 2]), np.arange(8), np.arange(0)]
    wanted, found = (one.fit(3.0, 0.7, folds=folds) for one in (plain, moved))
    assert wanted[2] is None
    assert found[2] is None
    for one, other in zip(found[:2] + found[3:], wanted[:2] + wanted[3:], strict=True):
        np.testing.assert_allclose(one.weight, other.weight, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(one.bias, other.bias, rtol=1e-4, atol=1e-5)
