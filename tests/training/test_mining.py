import numpy as np
import pytest
import torch

from sppdet.settings import MiningSettings
from sppdet.training.mining import ClassMiner, stack_svms

DIMENSION = 60


def cloud(seed: int, count: int, shift: float) -> torch.Tensor:
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.standard_normal((count, DIMENSION)) + shift).float()


def started(**changes: float) -> ClassMiner:
    settings = MiningSettings(cost=0.01, **changes)  # type: ignore[arg-type]
    miner = ClassMiner(DIMENSION, 1, 2.0, settings)
    miner.add(cloud(0, 40, 0.6), +1, np.arange(40))
    miner.add(cloud(1, 200, -0.6), -1, np.arange(200))
    miner.train()
    return miner


def test_easy_negatives_are_evicted_and_positives_stay() -> None:
    miner = started(evict_score=-1.0)
    store = miner._store
    assert (store.signs > 0).sum() == 40
    assert 0 < (store.signs < 0).sum() < 200


def test_hard_negatives_change_the_svm_when_there_are_enough() -> None:
    miner = started(retrain_after=30)
    hard = cloud(2, 20, 0.3)
    before = miner.svm
    miner.offer(hard, 0)
    assert miner.svm is before
    miner.offer(cloud(3, 10, 0.3), 1)
    assert miner.svm is not before
    old = (hard.numpy() * 2) @ before.weight + before.bias  # type: ignore[union-attr]
    new = (hard.numpy() * 2) @ miner.svm.weight + miner.svm.bias  # type: ignore[union-attr]
    assert new.mean() < old.mean()


def test_the_hardest_negatives_stay_when_there_are_too_many() -> None:
    miner = started(max_negatives=60, evict_score=-100.0)
    assert (miner._store.signs < 0).sum() == 60
    svm = miner.svm
    scores = (cloud(1, 200, -0.6).half().float().numpy() * 2) @ svm.weight + svm.bias  # type: ignore
    kept = miner._store.images[miner._store.signs < 0]
    assert set(kept) == set(np.argsort(scores, kind="stable")[-60:])


def test_memory_bounds_the_negatives() -> None:
    miner = started(memory=2 * DIMENSION * 80, evict_score=-100.0)
    assert (miner._store.signs < 0).sum() == 80


def test_without_some_images() -> None:
    miner = started()
    assert miner.without(np.arange(100)) is None  # no positive is left
    some = miner.without(np.arange(20))
    assert some is not None
    assert not np.array_equal(some.weight, miner.svm.weight)  # type: ignore[union-attr]


def test_a_class_without_examples_has_no_svm() -> None:
    miner = ClassMiner(DIMENSION, 1, 1.0, MiningSettings())
    miner.train()
    assert miner.svm is None
    weight, bias = stack_svms([None, started().svm], DIMENSION, 2.0)
    assert torch.isnan(bias).tolist() == [True, False]
    assert weight.shape == (2, DIMENSION)


def test_stacked_svms_score_unscaled_features() -> None:
    svm = started().svm
    assert svm is not None
    weight, bias = stack_svms([svm], DIMENSION, 2.0)
    raw = cloud(9, 5, 0.0)
    expected = (raw.numpy() * 2.0) @ svm.weight + svm.bias
    assert (raw @ weight[0] + bias[0]).numpy() == pytest.approx(expected, rel=1e-4, abs=1e-4)
