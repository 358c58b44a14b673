"""The third pass of a training: detect on images that a scorer has not learned from."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sppdet.detections import Detections
from sppdet.evaluation.matching import HIT, IGNORED, match
from sppdet.heads.base import Judged, Scorer
from sppdet.heads.path import find
from sppdet.heads.regression import BoxRegression
from sppdet.settings import SelectionSettings
from sppdet.training.images import PreparedImage, TrainingImages, View

FOLDS = 3
"""Parts of the images; what is learned from the others is tried on each."""


@dataclass(frozen=True)
class Fold:
    """Some images, and what was learned from the others.

    Attributes:
        images: (M,) their numbers.
        scorer: on the features' device.
        regression: likewise; None without box regression.
    """

    images: NDArray[np.int64]
    scorer: Scorer
    regression: BoxRegression | None


def split(images: list[int], seed: int) -> list[NDArray[np.int64]]:
    """The images in ``FOLDS`` parts, at random."""
    order = np.random.default_rng([seed, 1]).permutation(images)
    return [order[start::FOLDS] for start in range(FOLDS)]


def judge_unseen(
    images: TrainingImages, folds: list[Fold], settings: SelectionSettings, most: int
) -> list[Judged]:
    """Detect on images with what was learned from others, and match with the ground truth.

    Args:
        images: the training images.
        folds: at most ``most`` images of them, in equal shares, are looked at.

    Returns:
        One entry per class.
    """
    share = -(-most // len(folds))
    total = sum(min(len(fold.images), share) for fold in folds)
    found: list[list[Judged]] = []
    done = 0
    for fold in folds:
        views = [View(index) for index in fold.images[:share].tolist()]
        work = partial(judge, fold=fold, settings=settings)
        found += [
            judged
            for _, judged in images.each("calibration", views, work, done, total)
            if judged is not None
        ]
        done += len(views)
    empty = Judged(np.zeros(0, np.float32), np.zeros(0, bool))
    return [
        Judged(
            np.concatenate([empty.scores, *(one[label].scores for one in found)]),
            np.concatenate([empty.right, *(one[label].right for one in found)]),
        )
        for label in range(folds[0].scorer.classes)
    ]


def judge(image: PreparedImage, fold: Fold, settings: SelectionSettings) -> list[Judged]:
    """Detect among the proposals of an image and match with its annotations, as evaluation does.

    What evaluation ignores (detections of difficult objects and in crowds) is left out.

    Returns:
        One entry per class.
    """
    proposals = np.arange(len(image.annotations), len(image.boxes))
    scored = find(
        image.regions,
        image.boxes,
        image.size,
        fold.scorer,
        fold.regression,
        settings,
        rows=proposals,
    )
    names = tuple(map(str, range(fold.scorer.classes)))
    found = Detections(scored.boxes, scored.labels, scored.scores, names)
    matching = match([found], [image.annotations], names)
    counts = matching.outcome != IGNORED
    judged = []
    for label in range(len(names)):
        mine = counts & (matching.found.labels == label)
        scores = matching.found.scores[mine].astype(np.float32)
        judged.append(Judged(scores, matching.outcome[mine] == HIT))
    return judged
