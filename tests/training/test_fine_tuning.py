import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from sppdet.boxes import as_boxes
from sppdet.settings import ConnectedSettings
from sppdet.training.fine_tuning import (
    Inputs,
    Tuned,
    _Network,
    fine_tune,
    mini_batches,
    multi_task_loss,
    prepare_inputs,
)
from sppdet.training.windows import Windows
from sppdet.trunks.fully_connected import FullyConnected
from sppdet.trunks.specs import FullyConnectedSpec

FEW = ConnectedSettings(units=64, epochs=60)


def slow_loss(logits, deltas, labels, targets) -> float:
    """Window by window, in plain numbers."""
    classes = logits.shape[1] - 1
    total = 0.0
    for row in range(len(labels)):
        label = int(labels[row])
        powers = [math.exp(float(one)) for one in logits[row]]
        total -= math.log(powers[label] / sum(powers))
        if label == classes:
            continue
        for axis in range(4):
            error = abs(float(deltas[row, 4 * label + axis]) - float(targets[row, axis]))
            total += 0.5 * error**2 if error < 1 else error - 0.5
    return total / len(labels)


@pytest.mark.parametrize("kind", ["mixed", "background only", "positives only"])
def test_the_loss_is_that_of_a_slow_twin(kind: str) -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(40, 4, generator=random, dtype=torch.float64) * 3
    deltas = torch.randn(40, 12, generator=random, dtype=torch.float64) * 2
    targets = torch.randn(40, 4, generator=random, dtype=torch.float64)
    low, high = {"mixed": (0, 4), "background only": (3, 4), "positives only": (0, 3)}[kind]
    labels = torch.randint(low, high, (40,), generator=random)
    expected = slow_loss(logits, deltas, labels, targets)
    assert float(multi_task_loss(logits, deltas, labels, targets)) == pytest.approx(expected)


def test_a_quarter_of_a_mini_batch_is_positive_and_none_comes_twice_before_all() -> None:
    labels = np.array([0, 1] * 20 + [2] * 200)
    settings = ConnectedSettings(batch=40)
    rows = list(mini_batches(labels, 2, 8, settings, np.random.default_rng(0)))
    for chosen in rows:
        assert ((labels[chosen] < 2).sum(), len(chosen)) == (10, 40)
    positives = np.concatenate([chosen[:10] for chosen in rows])
    background = np.concatenate([chosen[10:] for chosen in rows])
    assert (np.bincount(positives)[:40] == 2).all()
    assert (np.unique(background, return_counts=True)[1] <= 2).all()
    assert len(np.unique(background)) == 200


def test_a_batch_may_be_larger_than_all_windows() -> None:
    (chosen,) = mini_batches(np.array([0, 1, 1]), 1, 1, FEW, np.random.default_rng(0))
    assert np.bincount(chosen)[0] == 32
    assert len(chosen) == 128


def problem(seed: int = 0, count: int = 600, dimension: int = 40) -> Windows:
    """Two of three classes, each a direction; the first feature tells by how much a box is off."""
    random = np.random.default_rng(seed)
    labels = random.choice([0, 2, 3], count, p=[0.2, 0.2, 0.6])
    features = 20 + random.standard_normal((count, dimension))
    features[labels == 0, 1] += 5
    features[labels == 2, 2] += 5
    targets = np.zeros((count, 4), np.float32)
    positive = labels < 3
    features[:, 0] += 3 * random.standard_normal(count)
    targets[positive, 0] = 0.05 * (features[positive, 0] - 20)
    targets[positive, 3] = 0.3
    return Windows(features.astype(np.float16), labels, targets, np.arange(count) % 10)


def inputs(settings: ConnectedSettings = FEW, **changes: int) -> Inputs:
    return prepare_inputs(problem(**changes), settings)


@pytest.fixture(scope="module")
def tuned() -> Tuned:
    return fine_tune(inputs(), 3, FEW)


def accuracy(tuned: Tuned, windows: Windows) -> float:
    probability = tuned.scorer.score(torch.from_numpy(windows.features).float()).exp()
    every = torch.hstack([probability, 1 - probability.sum(dim=1, keepdim=True)])
    return float((every.argmax(dim=1).numpy() == windows.labels).mean())


def test_what_learns_on_components_is_one_matrix_of_raw_features() -> None:
    """Without rounding and dropout the network and the layers agree."""
    settings = replace(FEW, components=15, epochs=1)
    whole = inputs(settings)
    every = np.arange(600)
    network = _Network(whole, every, 3, settings, 0).eval()
    known, zero, one = np.arange(3), np.zeros(4, np.float32), np.ones(4, np.float32)
    tuned = network.tuned(whole, known, zero, one)
    features = torch.from_numpy(whole.windows.features).float()
    with torch.no_grad():
        logits, deltas = network(whole.values, None)
    expected = logits.log_softmax(dim=1)[:, :-1]
    assert torch.allclose(tuned.scorer.score(features), expected, atol=2e-3)
    found = tuned.regression.layers(features) @ tuned.regression.weight.T
    assert torch.allclose(found + tuned.regression.bias, deltas, atol=2e-3)


def test_unseen_windows_are_recognised_and_moved(tuned: Tuned) -> None:
    unseen = problem(seed=1)
    features = torch.from_numpy(unseen.features).float()
    scores = tuned.scorer.score(features)
    assert scores.shape == (600, 3)
    assert torch.isinf(scores[:, 1]).all()  # it has no example
    assert accuracy(tuned, unseen) > 0.93
    regression = tuned.regression
    deltas = (regression.layers(features) @ regression.weight.T + regression.bias).view(-1, 3, 4)
    of_class = np.flatnonzero(unseen.labels == 2)
    own = deltas[of_class, 2].numpy()
    assert np.corrcoef(own[:, 0], unseen.targets[of_class, 0])[0, 1] > 0.8
    assert np.abs(own[:, 3] - 0.3).max() < 0.1


def test_equal_seeds_give_equal_layers(tuned: Tuned) -> None:
    torch.manual_seed(99)
    state = torch.get_rng_state()
    with torch.inference_mode():  # as in a training
        again = fine_tune(inputs(), 3, FEW)
    assert torch.equal(torch.get_rng_state(), state)
    for name, tensor in tuned.scorer.tensors().items():
        assert torch.equal(again.scorer.tensors()[name], tensor), name
    other = fine_tune(inputs(), 3, FEW, seed=1)
    assert not torch.equal(other.scorer.layers.weights[0], tuned.scorer.layers.weights[0])


def test_images_can_be_left_out() -> None:
    whole = inputs()
    spoilt = replace(whole, values=whole.values.clone())
    spoilt.values[torch.from_numpy(whole.windows.images == 4)] = 1000
    without = np.array([4, 77])
    first, second = (fine_tune(one, 3, FEW, without=without) for one in (whole, spoilt))
    assert torch.equal(first.scorer.weight, second.scorer.weight)
    third = fine_tune(spoilt, 3, FEW)
    assert not torch.equal(first.scorer.weight, third.scorer.weight)


def test_the_progress_counts_mini_batches() -> None:
    told: list[tuple[int, int]] = []
    settings = ConnectedSettings(units=16, epochs=3)
    fine_tune(
        inputs(settings, count=200), 3, settings, progress=lambda *one: told.append(one)
    )  # fmt: skip
    assert told == [(step, 6) for step in range(1, 7)]


def test_layers_that_were_trained_before_are_the_start() -> None:
    """With no learning the layers stay, in the pyramid's order of the values."""
    spec = FullyConnectedSpec(level=2, channels=10, outputs=24, names=("0", "3"))
    torch.manual_seed(0)
    start = FullyConnected(spec, "fc7").eval().requires_grad_(False)
    fc6 = start.classifier["0"]
    fc6.bias -= 20 * fc6.weight.sum(dim=1)  # the mean of the features is 20
    still = ConnectedSettings(epochs=1, tuning_rate=1e-12, weight_decay=0.0)
    tuned = fine_tune(prepare_inputs(problem(), still, start), 3, still)
    pooled = torch.from_numpy(problem().features[:50]).float()
    expected = start(pooled.view(50, 4, 10))
    assert tuned.scorer.layers.length == 24
    assert torch.allclose(tuned.scorer.layers(pooled), expected, rtol=1e-2, atol=1e-2)
    fast = replace(FEW, tuning_rate=0.01)
    learned = fine_tune(prepare_inputs(problem(), fast, start), 3, fast)
    assert not torch.allclose(learned.scorer.layers(pooled), expected, rtol=1e-2, atol=1e-2)
    assert accuracy(learned, problem(seed=1)) > 0.7
    with pytest.raises(ValueError, match="end with fc6"):
        prepare_inputs(problem(), still, FullyConnected(spec, "fc6"))


def test_boxes_are_moved_by_the_layers(tuned: Tuned) -> None:
    class Two:
        keys = np.array([0, 1])
        count = 2

        def features(self, keys, clock=None):
            return torch.from_numpy(windows.features[rows[keys]]).float()

    windows = problem(seed=1)
    rows = np.flatnonzero(windows.labels == 2)[:2]
    boxes = as_boxes([[10, 10, 50, 50], [20, 20, 40, 40]])
    moved = tuned.regression.move(Two(), boxes, np.array([2, 2]), np.array([0, 1]), (200, 200))
    heights = moved[:, 3] - moved[:, 1]
    assert heights / [40, 20] == pytest.approx(np.exp(0.3), rel=0.1)
