"""The first examples of a training: chosen at random in each image, within quotas."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.boxes import Boxes
from sppdet.datasets import Dataset
from sppdet.errors import SppdetError
from sppdet.features.streaming import features_together, half_features
from sppdet.heads.examples import Chosen
from sppdet.settings import TrainSettings
from sppdet.training.images import PreparedImage, views_of
from sppdet.training.roles import choose, region_roles

NORM_SAMPLE = 40
"""Proposals of an image whose features are measured, for the scaling of all."""


@dataclass(frozen=True)
class Quotas:
    """How many examples there may be over all images; each image gives its share of them.

    Attributes:
        positives, negatives: examples of one class for its SVM.
        regressed: examples of one class for its box regression.
        images: images in all, mirrored ones included.
        images_with: (K,) int64, images with an object of each class.
        positive_iou: proposals whose IoU with the ground truth exceeds this are positives.
        regression_iou: proposals whose IoU exceeds this are examples of box regression; None means
            no box regression.
        seed: of the random choice, together with the number of the view.
    """

    positives: int
    negatives: int
    regressed: int
    images: int
    images_with: NDArray[np.int64]
    positive_iou: float
    regression_iou: float | None
    seed: int


def quotas_of(dataset: Dataset, dimension: int, settings: TrainSettings) -> Quotas:
    """The quotas of a training.

    Raises:
        SppdetError: there is no object to learn from.
    """
    views = len(views_of([0], settings.mirror))
    images_with = np.zeros(len(dataset.classes), np.int64)
    for index in range(len(dataset.images)):
        annotations = dataset.annotations(index)
        usable = ~(annotations.difficult | annotations.crowd)
        images_with[np.unique(annotations.labels[usable])] += views
    if not images_with.any():
        raise SppdetError(f"{where(dataset)}: no image has an annotated object to learn from")
    mining, regression = settings.mining, settings.regression
    room = mining.room(dimension, len(dataset.classes))
    return Quotas(
        positives=min(mining.max_positives, room),
        negatives=min(mining.initial_negatives, room // 2),
        regressed=min(regression.max_examples, room),
        images=len(dataset.images) * views,
        images_with=images_with,
        positive_iou=mining.positive_iou,
        regression_iou=regression.minimum_iou if settings.box_regression else None,
        seed=settings.seed,
    )


def where(dataset: Dataset) -> Path:
    """A place to name in an error."""
    return dataset.images[0].parent if dataset.images else Path("the data set")


@dataclass(frozen=True)
class FirstExamples:
    """What one image gives.

    Attributes:
        norms: (S,) float32, L2 norms of the features of some proposals, on their device.
        positives, negatives: the examples of each class.
        regression: for each class the features (M, dimension) float16, proposals (M, 4) and the
            ground truth (M, 4) that they overlap.
    """

    norms: Tensor
    positives: list[Chosen]
    negatives: list[Chosen]
    regression: list[tuple[Tensor, Boxes, Boxes]]


def first_examples(prepared: PreparedImage, quotas: Quotas) -> FirstExamples:
    """Choose the examples of an image at random, within the quotas, and compute their features."""
    roles, regions, keys = prepared.roles, prepared.regions, prepared.regions.keys
    random = np.random.default_rng([quotas.seed, prepared.number])
    count = len(prepared.annotations.boxes)
    sample = choose(np.arange(count, len(prepared.boxes)), NORM_SAMPLE, random)
    choices: list[NDArray[np.int64]] = [np.unique(keys[sample])]
    regressed: list[NDArray[np.int64]] = []
    joint = region_roles(roles, keys, regions.count, quotas.positive_iou)
    for label in range(len(quotas.images_with)):
        images_with = max(int(quotas.images_with[label]), 1)
        share = quotas.positives / images_with
        own = roles.truths[roles.truth_labels == label]
        near = np.flatnonzero(roles.best_iou[:, label] > quotas.positive_iou)
        near = near[near >= count]
        own = choose(own, max(share, 1), random)
        near = choose(near, max(share - len(own), 0), random)
        rows = np.unique(keys[np.concatenate([own, near])])
        far = np.setdiff1d(np.unique(keys[roles.negative[:, label]]), rows)
        far = choose(far, quotas.negatives / quotas.images, random)
        regressed.append(_to_regress(prepared, label, quotas, images_with, random))
        choices += [rows, far, keys[regressed[-1]]]
    if prepared.home is None:
        norms = regions.features(choices[0]).norm(dim=1).cpu()
        features = [half_features(regions, chosen) for chosen in choices[1:]]
    else:
        sampled, *features = features_together(regions, choices)
        norms = sampled.float().norm(dim=1)
    regression = []
    for label, rows in enumerate(regressed):
        truths = prepared.boxes[roles.best_truth[rows, label]]
        regression.append((features[3 * label + 2], prepared.boxes[rows], truths))
    return FirstExamples(
        norms,
        [_chosen(prepared, *one, joint) for one in zip(features[0::3], choices[1::3], strict=True)],
        [_chosen(prepared, *one, joint) for one in zip(features[1::3], choices[2::3], strict=True)],
        regression,
    )


def take(prepared: PreparedImage, regions: NDArray[np.int64], roles: NDArray[np.int8]) -> Chosen:
    """Some regions (M,) of an image, of whose regions ``roles`` (count, K) are the roles."""
    return take_each(prepared, [regions], roles)[0]


def take_each(
    prepared: PreparedImage, choices: list[NDArray[np.int64]], roles: NDArray[np.int8]
) -> list[Chosen]:
    """:func:`take` for each class, whose features a GPU computes together."""
    regions = prepared.regions
    if prepared.home is None:
        features = [half_features(regions, chosen) for chosen in choices]
    elif any(map(len, choices)):
        features = features_together(regions, choices)
    else:
        features = [torch.zeros(0, 0)] * len(choices)
    return [_chosen(prepared, *one, roles) for one in zip(features, choices, strict=True)]


def _chosen(
    prepared: PreparedImage, features: Tensor, regions: NDArray[np.int64], roles: NDArray[np.int8]
) -> Chosen:
    numbers = (prepared.number << 32) + regions
    return Chosen(features, roles[regions], numbers, prepared.view.index)


def _to_regress(
    prepared: PreparedImage,
    label: int,
    quotas: Quotas,
    images_with: int,
    random: np.random.Generator,
) -> NDArray[np.int64]:
    """Rows of the boxes that are one class's regression examples."""
    if quotas.regression_iou is None:
        rows = np.zeros(0, np.int64)
    else:
        rows = np.flatnonzero(prepared.roles.best_iou[:, label] > quotas.regression_iou)
    return choose(rows, quotas.regressed / images_with, random)
