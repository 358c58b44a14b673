import numpy as np
import pytest
import torch

from sppdet.heads.examples import Chosen, Examples
from sppdet.heads.linear import LinearSvms
from sppdet.settings import MiningSettings, SvmSettings
from sppdet.training.mining import fit_and_evict, most_negatives

DIMENSION, SCALE = 60, 2.0


def cloud(seed: int, count: int, shift: float) -> torch.Tensor:
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.standard_normal((count, DIMENSION)) + shift).half()


def one_each(features: torch.Tensor, sign: int, classes: int = 1) -> list[tuple[int, Chosen]]:
    """Each feature from an image of its own."""
    role = np.full((1, classes), sign, np.int8)
    return [
        (sign, Chosen(features[i : i + 1], role, np.array([i]), i)) for i in range(len(features))
    ]


def started(evict_score: float = -1.2, **changes: float):
    settings = MiningSettings(**changes)  # type: ignore[arg-type]
    heads = LinearSvms(SvmSettings(cost=0.01, evict_score=evict_score))
    examples = Examples(DIMENSION, 1, SCALE)
    examples[0].add(one_each(cloud(0, 40, 0.6), 1), SCALE)
    examples[0].add(one_each(cloud(1, 200, -0.6), -1), SCALE)
    before = heads.fit(examples)
    return heads, examples, fit_and_evict(heads, examples, [0], None, settings), before


def test_easy_negatives_are_evicted_and_positives_stay() -> None:
    _, examples, scorer, before = started(-1.0)
    assert torch.equal(scorer.weight, before.weight)
    signs = examples[0].signs
    assert (signs > 0).sum() == 40
    assert 0 < (signs < 0).sum() < 200
    scores = before.score(cloud(1, 200, -0.6).float())[:, 0].numpy()
    assert set(examples[0].images[signs < 0]) == set(np.flatnonzero(scores >= -1.0))


def test_the_hardest_negatives_stay_when_there_are_too_many() -> None:
    _, examples, scorer, _ = started(-100.0, max_negatives=60)
    kept = examples[0].images[examples[0].signs < 0]
    assert len(kept) == 60
    scores = scorer.score(cloud(1, 200, -0.6).float())[:, 0].numpy()
    assert set(kept) == set(np.argsort(scores, kind="stable")[-60:])


def test_memory_bounds_the_negatives() -> None:
    _, examples, _, _ = started(-100.0, memory=2 * DIMENSION * 80)
    assert (examples[0].signs < 0).sum() == 80
    assert most_negatives(MiningSettings(memory=2 * DIMENSION * 80), examples) == 80


def test_a_class_without_examples_keeps_its_place() -> None:
    settings, heads = MiningSettings(), LinearSvms()
    examples = Examples(DIMENSION, 2, SCALE)
    examples[1].add(one_each(cloud(0, 9, 1.0), 1, 2) + one_each(cloud(1, 9, -1.0), -1, 2), SCALE)
    scorer = fit_and_evict(heads, examples, range(2), None, settings)
    assert torch.isnan(scorer.bias).tolist() == [True, False]


@pytest.mark.parametrize("images", [20, 100])
def test_without_some_images(images: int) -> None:
    heads, examples, scorer, _ = started()
    part = heads.fit(examples.without(np.arange(images)))
    if images == 100:  # no positive is left
        assert torch.isnan(part.bias).all()
    else:
        assert not torch.equal(part.weight, scorer.weight)
