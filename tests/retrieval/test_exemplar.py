import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC

from sppdet.retrieval.exemplar import ExemplarSettings, fit_exemplar, without_nearest


def test_the_example_scores_above_its_negatives() -> None:
    random = np.random.default_rng(0)
    negatives = torch.from_numpy(random.normal(size=(60, 30)).astype(np.float32))
    positive = torch.from_numpy(random.normal(size=30).astype(np.float32)) + 1
    scorer = fit_exemplar(positive, negatives)
    assert scorer.classes == 1
    assert scorer.score(positive[None]).item() > scorer.score(negatives).max().item()


def test_it_is_the_minimum_of_the_papers_objective() -> None:
    """Against a solver of the primal problem, and against steps away from the minimum."""
    random = np.random.default_rng(1)
    negatives = torch.from_numpy(random.normal(size=(40, 6)).astype(np.float16)).float()
    positive = torch.from_numpy(random.normal(size=6).astype(np.float16)).float()
    norm = float(negatives.norm(dim=1).mean())
    settings = ExemplarSettings(cost=0.01, positive_weight=50, target_norm=norm)
    scorer = fit_exemplar(positive, negatives, settings)

    def objective(weight: np.ndarray, bias: float) -> float:
        hinge = np.maximum(0, 1 + negatives.numpy() @ weight + bias).sum()
        own = max(0.0, 1 - float(positive.numpy() @ weight) - bias)
        return float(weight @ weight / 2 + 0.01 * hinge + 0.5 * own)

    weight, bias = scorer.weight[0].numpy().astype(np.float64), float(scorer.bias[0])
    best = objective(weight, bias)
    for _ in range(200):
        step = random.normal(size=7) * 0.02
        assert objective(weight + step[:6], bias + step[6]) > best - 1e-4
    other = LinearSVC(C=0.01, loss="hinge", class_weight={1: 50}, max_iter=100_000)
    other.intercept_scaling = 1e3
    other.fit(np.concatenate([positive[None], negatives]), [1] + [0] * 40)
    assert best <= objective(other.coef_[0], float(other.intercept_[0])) + 1e-3


@pytest.mark.parametrize(("share", "left"), [(0.0, 5), (0.2, 4), (0.5, 3), (1.0, 1)])
def test_the_nearest_negatives_are_left_out(share: float, left: int) -> None:
    angles = torch.tensor([0.1, 1.5, 0.2, 3.0, 1.0])
    features = torch.stack([angles.cos(), angles.sin()], dim=1) * torch.tensor(
        [[1], [9], [2], [1], [1]]
    )
    rest = without_nearest(features.half(), torch.tensor([1.0, 0.0]), share)
    order = [3, 1, 4, 2, 0]  # from the farthest
    assert torch.equal(rest, features.half()[sorted(order[:left])])
