"""Dual coordinate descent in blocks, against the SVM on the Gram matrix."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sppdet.heads.examples import Chosen, ClassExamples
from sppdet.heads.streaming import best_bias, fit_in_blocks
from sppdet.heads.svm import fit_svm

WEIGHT = 2.0


def filled(count: int, dimension: int, shift: float, most: int | None, relu: bool) -> ClassExamples:
    random = np.random.default_rng(0)
    signs = np.where(np.arange(count) % 4 == 0, 1, -1)
    features = random.standard_normal((count, dimension)) + shift * signs[:, None]
    features = np.maximum(features, 0) if relu else features
    features *= 20 / np.linalg.norm(features, axis=1).mean()
    store = ClassExamples(dimension, 1, most_products=most)
    for sign in (1, -1):
        rows = np.flatnonzero(signs == sign)
        roles = np.full((len(rows), 1), sign, np.int8)
        store.collect(sign, Chosen(torch.from_numpy(features[rows]).half(), roles, rows, 0))
    store.finish(1.0)
    return store


def objective(weight, bias, store: ClassExamples, cost) -> float:
    rows = store.take(np.arange(len(store))).double().numpy()
    losses = np.maximum(0, 1 - store.signs * (rows @ weight + bias))
    return float(0.5 * weight @ weight + (cost * losses).sum())


@pytest.mark.parametrize(
    ("count", "dimension", "shift", "cost", "relu"),
    [
        (8, 30, 0.5, 0.01, False),  # fewer than a block
        (120, 300, 0.3, 0.01, False),
        (600, 300, 0.1, 0.001, False),  # more examples than dimensions
        (600, 1500, 0.05, 0.001, True),  # as features are; the bias is far from 0
        (300, 1500, 0.05, 0.1, True),
    ],
)
def test_it_agrees_with_the_gram_matrix(
    count: int, dimension: int, shift: float, cost: float, relu: bool
) -> None:
    gram = filled(count, dimension, shift, None, relu)
    blocks = filled(count, dimension, shift, count // 2, relu)
    assert not gram.in_blocks
    assert blocks.in_blocks
    costs = np.where(gram.signs > 0, WEIGHT * cost, cost)
    wanted, found = fit_svm(gram, cost, WEIGHT), fit_svm(blocks, cost, WEIGHT)
    assert wanted is not None
    assert found is not None
    least = objective(wanted.weight.astype(float), wanted.bias, gram, costs)
    ours = objective(found.weight.astype(float), found.bias, gram, costs)
    assert ours <= 1.001 * least
    both = np.linalg.norm(found.weight) * np.linalg.norm(wanted.weight)
    assert found.weight @ wanted.weight > 0.9999 * both


def test_equal_examples_give_equal_svms() -> None:
    store = filled(300, 50, 0.3, 10, False)
    costs = np.full(300, 0.01)
    (first, one), (second, other) = (fit_in_blocks(store, costs) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert one == other


@pytest.mark.parametrize("seed", range(5))
def test_the_bias_is_the_best(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.standard_normal(30)
    signs = np.where(random.random(30) < 0.4, 1.0, -1.0)
    cost = np.where(signs > 0, 2.0, 1.0)

    def loss(bias: float) -> float:
        return float((cost * np.maximum(0, 1 - signs * (scores + bias))).sum())

    found = loss(best_bias(scores, signs, cost))
    assert found <= min(loss(bias) for bias in np.linspace(-5, 5, 2001)) + 1e-9


def test_separable_examples_have_the_bias_in_the_middle() -> None:
    signs = np.array([1.0, -1.0])
    assert best_bias(np.array([4.0, 0.0]), signs, np.ones(2)) == pytest.approx(-2)


def test_examples_come_and_go_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are those in memory after each step, and no file has a name."""
    monkeypatch.setenv("SPPDET_CACHE", str(tmp_path))
    plain, moved = filled(60, 40, 0.3, None, False), filled(60, 40, 0.3, 50, False)
    assert moved.in_blocks
    random = np.random.default_rng(1)
    for _ in range(2):
        features = torch.from_numpy(random.standard_normal((30, 40))).half()
        new = Chosen(features, np.full((30, 1), -1, np.int8), np.arange(30), 1)
        keep = random.random(len(plain) + 30) < 0.4
        for store in (plain, moved):
            store.add([(-1, new)], 1.5)
            store.keep(keep)
        everything = np.arange(len(plain))
        assert torch.equal(plain.take(everything), moved.take(everything))
    assert moved.in_blocks  # it does not come back
    part = moved.without(np.array([1]))
    assert part.in_blocks
    assert len(part) == (plain.images == 0).sum()
    assert list((tmp_path / "examples").iterdir()) == []


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sppdet.errors import SppdetError

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPPDET_CACHE", str(tmp_path / "file"))
    with pytest.raises(SppdetError, match=r"no room for .* set SPPDET_CACHE"):
        filled(60, 40, 0.3, 50, False)
