"""The training examples that a detector keeps, so that it can show what a region resembles."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from sppdet.datasets import Dataset
from sppdet.features.streaming import half_features
from sppdet.heads.base import Scorer
from sppdet.heads.examples import NEGATIVE, Examples
from sppdet.heads.kept import LONGEST_NAME, KeptExamples, most_kept, thumbnail
from sppdet.images import read_image
from sppdet.runtime.names import visible
from sppdet.settings import TrainSettings
from sppdet.training.images import PreparedImage, TrainingImages, View
from sppdet.training.mining import example_scores

Wanted = tuple[int, bool, bool, int]
"""Class, whether it is a positive, whether it is background, and the region of the image."""


def keep_examples(
    dataset: Dataset,
    images: TrainingImages,
    examples: Examples,
    scorer: Scorer,
    settings: TrainSettings,
) -> KeptExamples | None:
    """Some examples of each class: positives at random, and the negatives of the highest scores.

    The choice goes round the images: none gives a second example of a kind before all have given
    one. Mirrored images give none.

    Args:
        dataset, images: of the training.
        examples: at its end.
        scorer: what it has learned.
        settings: whether to keep any, and the seed of the random choice.

    Returns:
        The examples of all classes, at most :func:`sppdet.heads.kept.most_kept` of each kind, in
        the order of the images; None where none are wanted.
    """
    if not settings.keep_examples:
        return None
    most = most_kept(examples.dimension, len(examples))
    scorer = scorer.to(torch.device("cpu"))
    random = np.random.default_rng([settings.seed, 3])
    wanted: dict[int, list[Wanted]] = {}
    for label in range(len(examples)):
        own = examples[label]
        numbers, regions = own.regions >> 32, own.regions & 0xFFFFFFFF
        plain = numbers < len(dataset.images)
        background = (own.roles == NEGATIVE).all(axis=1)
        for positive in (True, False):
            order = np.flatnonzero(plain & ((own.signs > 0) == positive))
            if positive:
                order = random.permutation(order)
            elif own.learnable:
                scores = example_scores(own, examples.scale, scorer, label)
                order = order[np.argsort(-scores[order], kind="stable")]
            for row in spread(order, own.images)[:most].tolist():
                one = (label, positive, bool(background[row]), int(regions[row]))
                wanted.setdefault(int(own.images[row]), []).append(one)
    views = [View(index) for index in sorted(wanted)]
    work = partial(_take, dataset=dataset, wanted=wanted)
    parts = [one for _, one in images.each("kept examples", views, work) if one is not None]
    return KeptExamples.together([KeptExamples.none(examples.dimension), *parts])


def spread(order: NDArray[np.int64], images: NDArray[np.int64]) -> NDArray[np.int64]:
    """``order`` (M,), rows of ``images``, with the first of each image before the second of any.

    Examples:
        >>> spread(np.array([3, 2, 0, 1]), np.array([7, 7, 8, 8])).tolist()
        [3, 0, 2, 1]
    """
    seen: dict[int, int] = {}
    turns = np.zeros(len(order), np.int64)
    for place, image in enumerate(images[order].tolist()):
        turns[place] = seen[image] = seen.get(image, -1) + 1
    result: NDArray[np.int64] = order[np.argsort(turns, kind="stable")]
    return result


def _take(
    prepared: PreparedImage, dataset: Dataset, wanted: dict[int, list[Wanted]]
) -> KeptExamples:
    """The examples of one image."""
    path = dataset.images[prepared.view.index]
    image, mine = read_image(path), wanted[prepared.view.index]
    regions = np.array([one[3] for one in mine], np.int64)
    keys = prepared.regions.keys
    boxes = prepared.boxes[[int(np.flatnonzero(keys == region)[0]) for region in regions]]
    return KeptExamples(
        half_features(prepared.regions, regions),
        np.array([one[0] for one in mine], np.int64),
        np.array([one[1] for one in mine], bool),
        np.array([one[2] for one in mine], bool),
        np.stack([thumbnail(image, box) for box in boxes]),
        boxes,
        (visible(path.name)[:LONGEST_NAME],) * len(mine),
    )
