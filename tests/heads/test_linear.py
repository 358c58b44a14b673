import numpy as np
import pytest
import torch

from sppdet.heads.base import Judged
from sppdet.heads.examples import Examples
from sppdet.heads.linear import LinearScorer, LinearSvms
from sppdet.settings import SvmSettings

DIMENSION, SCALE = 30, 2.0


def cloud(count: int, shift: float, seed: int) -> torch.Tensor:
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.standard_normal((count, DIMENSION)) + shift).half()


@pytest.fixture
def examples(chosen) -> Examples:
    """Of two classes, of which the second has no positive."""
    examples = Examples(DIMENSION, 2, SCALE)
    positives = chosen(cloud(40, 0.6, 0), 1, 0, np.tile([1, -1], (40, 1)))
    negatives = chosen(cloud(90, -0.6, 1), 2, 100, np.tile([-1, -1], (90, 1)))
    examples[0].add([(1, positives), (-1, negatives)], SCALE)
    examples[1].add([(-1, negatives)], SCALE)
    return examples


HEADS = LinearSvms(SvmSettings(cost=0.01))


def test_raw_features_are_scored_and_an_untrained_class_is_not_finite(examples: Examples) -> None:
    scorer = HEADS.fit(examples)
    scores = scorer.score(examples[0].take(np.arange(len(examples[0]))).float() / SCALE).numpy()
    right = (scores[:, 0] > 0) == (examples[0].signs > 0)
    assert right.mean() > 0.95
    assert np.isnan(scores[:, 1]).all()
    assert scorer.classes == 2


def test_only_changed_classes_are_trained_again(examples: Examples, chosen) -> None:
    before = HEADS.fit(examples)
    for label in (0, 1):
        examples[label].add(
            [(1, chosen(cloud(20, 0.0, 3), 4, 900, np.tile([1, 1], (20, 1))))], SCALE
        )
    after = HEADS.fit(examples, [1], before)
    assert torch.equal(after.weight[0], before.weight[0])
    assert torch.isfinite(after.bias).all()
    assert torch.isnan(before.bias[1])  # what was learned before stays as it was
    everything = HEADS.fit(examples)
    assert torch.equal(everything.weight[1], after.weight[1])
    assert not torch.equal(everything.weight[0], after.weight[0])


def test_calibration_changes_probabilities_and_not_scores(examples: Examples) -> None:
    scorer = HEADS.fit(examples)
    random = np.random.default_rng(0)
    scores = random.uniform(-3, 3, 400).astype("f4")
    judged = Judged(scores, random.random(400) < 1 / (1 + np.exp(3 - 2 * scores)))
    calibrated = HEADS.calibrate(scorer, [judged, judged])
    assert torch.equal(calibrated.weight, scorer.weight)
    labels = np.zeros(2, np.int64)
    half = calibrated.probabilities(np.float32([1.5, 9]), labels)
    assert half[0] == pytest.approx(0.5, abs=0.1)
    assert half[1] > 0.99
    assert scorer.probabilities(np.float32([0, 1]), labels)[0] == 0.5


def test_a_scorer_survives_its_tensors(examples: Examples) -> None:
    scorer = HEADS.fit(examples)
    again = HEADS.restore(scorer.tensors())
    features = cloud(5, 0, 7).float()
    assert torch.equal(
        torch.nan_to_num(again.score(features)), torch.nan_to_num(scorer.score(features))
    )
    np.testing.assert_array_equal(again.calibration, scorer.calibration)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("svm.weight", torch.zeros(3, DIMENSION)),
        ("svm.weight", torch.zeros(2)),
        ("svm.bias", torch.zeros(1)),
        ("calibration", torch.zeros(2, 3)),
    ],
)
def test_tensors_that_do_not_fit_are_refused(name: str, tensor: torch.Tensor) -> None:
    scorer = LinearScorer(torch.zeros(2, DIMENSION), torch.zeros(2), np.zeros((2, 2), "f4"))
    with pytest.raises(ValueError, match="shapes"):
        HEADS.restore({**scorer.tensors(), name: tensor})


@pytest.mark.parametrize("changed", [None, [1], {0, 1}])
def test_classes_fitted_side_by_side_are_the_same(examples: Examples, changed, chosen) -> None:
    examples[1].add([(1, chosen(cloud(20, 0.3, 3), 4, 900, np.tile([1, 1], (20, 1))))], SCALE)
    before = HEADS.fit(examples)
    one = HEADS.fit(examples, changed, before)
    examples.workers = 4
    several = HEADS.fit(examples, changed, before)
    assert torch.equal(one.weight, several.weight)
    assert torch.equal(one.bias, several.bias)
