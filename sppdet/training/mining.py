"""Hard negative mining (R-CNN paper, appendix B; one pass with eviction, as in the released code).

It goes in rounds: the views of a round are scored with the same scorer, side by side, by threads or
by workers. Negatives that score too high become examples of their class. When a class has collected
enough of them the heads are fitted again and easy negatives are dropped.
"""

from collections.abc import Collection
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.heads.base import Heads, Scorer
from sppdet.heads.examples import NEGATIVE, Chosen, ClassExamples, Examples
from sppdet.heads.path import score_regions
from sppdet.runtime.memory import give_back_freed_memory
from sppdet.settings import MiningSettings
from sppdet.training.first_examples import take_each
from sppdet.training.images import PreparedImage, TrainingImages, View
from sppdet.training.roles import region_roles


def mine(
    images: TrainingImages,
    views: list[View],
    heads: Heads,
    examples: Examples,
    settings: MiningSettings,
    seed: int,
) -> Scorer:
    """Fit the heads, and fit them again on the hard negatives of the views, in random order.

    ``examples`` grow by the hard negatives and shrink by the easy ones.
    """
    scorer = fit_and_evict(heads, examples, range(len(examples)), None, settings)
    give_back_freed_memory()
    order = [views[index] for index in np.random.default_rng(seed).permutation(len(views))]
    # Those that wait are held beside the examples: where there is little room, half as many.
    limit = min(settings.retrain_after, max(most_negatives(settings, examples) // 2, 1))
    waiting: list[list[Chosen]] = [[] for _ in range(len(examples))]

    def learn(labels: Collection[int], scorer: Scorer) -> Scorer:
        for label in labels:
            examples[label].add([(-1, one) for one in waiting[label]], examples.scale)
            waiting[label] = []
        return fit_and_evict(heads, examples, labels, scorer, settings)

    for start in range(0, len(order), settings.round_views):
        group = order[start : start + settings.round_views]
        search = partial(
            hard_negatives,
            scorer=scorer.to(images.device),
            hard_score=heads.hard_score,
            settings=settings,
        )
        for _, found in images.each("mining", group, search, start, len(order)):
            for label, negatives in enumerate(found or ()):
                waiting[label].append(negatives)
            due = [label for label, ones in enumerate(waiting) if sum(map(len, ones)) >= limit]
            if due:
                if images.home is None:  # the matrices that grow lie in main memory
                    give_back_freed_memory()
                scorer = learn(due, scorer)
    return learn(range(len(examples)), scorer)


def hard_negatives(
    prepared: PreparedImage, scorer: Scorer, hard_score: float, settings: MiningSettings
) -> list[Chosen]:
    """For each class the negatives of an image that score above ``hard_score``, the hardest."""
    regions = prepared.regions
    scores = score_regions(regions, scorer)
    roles = region_roles(prepared.roles, regions.keys, regions.count, settings.positive_iou)
    choices = []
    for label in range(scores.shape[1]):
        hard = np.flatnonzero((roles[:, label] == NEGATIVE) & (scores[:, label] > hard_score))
        if len(hard) > settings.hard_per_image:
            best = np.argsort(-scores[hard, label], kind="stable")[: settings.hard_per_image]
            hard = np.sort(hard[best])
        choices.append(hard)
    return take_each(prepared, choices, roles)


def fit_and_evict(
    heads: Heads,
    examples: Examples,
    labels: Collection[int],
    previous: Scorer | None,
    settings: MiningSettings,
) -> Scorer:
    """Fit the classes ``labels``, then drop their easy negatives and what exceeds the limit."""
    scorer = heads.fit(examples, labels, previous)
    limit = most_negatives(settings, examples)
    for label in labels:
        if examples[label].learnable:
            scores = example_scores(examples[label], examples.scale, scorer, label)
            evict(examples[label], scores, heads.easy_score, limit)
    return scorer


def evict(
    examples: ClassExamples, scores: NDArray[np.float32], easy_score: float, limit: int
) -> None:
    """Keep the positives, and of the negatives that score at least ``easy_score`` the hardest.

    Args:
        scores: (n,), of the examples.
        limit: most negatives that stay.
    """
    keep = (examples.signs > 0) | (scores >= easy_score)
    negatives = np.flatnonzero(keep & (examples.signs < 0))
    surplus = len(negatives) - limit
    if surplus > 0:
        keep[negatives[np.argsort(scores[negatives], kind="stable")[:surplus]]] = False
    examples.keep(keep)


def most_negatives(settings: MiningSettings, examples: Examples) -> int:
    """Negatives that a class may hold."""
    return min(settings.max_negatives, settings.room(examples.dimension, len(examples)))


def example_scores(
    examples: ClassExamples, scale: float, scorer: Scorer, label: int
) -> NDArray[np.float32]:
    """Scores (n,) of a class's own examples, computed where they are."""
    block = 256
    if examples.device is not None:
        scorer, block = scorer.to(examples.device), 4096
    index = np.arange(len(examples))
    rows: list[Tensor] = [
        scorer.score(examples.take(index[start : start + block]).float() / scale)[:, label]
        for start in range(0, len(examples), block)
    ]
    return torch.cat(rows).cpu().numpy()
