"""The third pass of a training: detect on images that a scorer has not learned from."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sppdet.datasets import Annotations
from sppdet.detections import Detections
from sppdet.evaluation.voc import VocResult, evaluate_voc
from sppdet.heads.base import Judged, Scorer
from sppdet.heads.path import find_candidates
from sppdet.heads.regression import BoxRegression
from sppdet.heads.selection import Scored, select
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


@dataclass(frozen=True)
class Unseen:
    """What was found in one image.

    Attributes:
        candidates: before suppression.
        annotations: what is there.
    """

    candidates: Scored
    annotations: Annotations


def split(images: list[int], seed: int) -> list[NDArray[np.int64]]:
    """The images in ``FOLDS`` parts, at random."""
    order = np.random.default_rng([seed, 1]).permutation(images)
    return [order[start::FOLDS] for start in range(FOLDS)]


def look_at_unseen(
    images: TrainingImages, folds: list[Fold], settings: SelectionSettings, most: int
) -> list[Unseen]:
    """Look for objects in images with what was learned from others.

    Args:
        images: the training images.
        folds: at most ``most`` images of them, in equal shares, are looked at.
        settings: which boxes are candidates.
    """
    share = -(-most // len(folds))
    total = sum(min(len(fold.images), share) for fold in folds)
    seen: list[Unseen] = []
    done = 0
    for fold in folds:
        views = [View(index) for index in fold.images[:share].tolist()]
        work = partial(look, fold=fold, settings=settings)
        found = images.each("calibration", views, work, done, total)
        seen += [one for _, one in found if one is not None]
        done += len(views)
    return seen


def look(image: PreparedImage, fold: Fold, settings: SelectionSettings) -> Unseen:
    """The candidates among the proposals of an image."""
    candidates = find_candidates(
        image.regions,
        image.boxes,
        image.size,
        fold.scorer,
        fold.regression,
        settings,
        rows=np.arange(len(image.annotations), len(image.boxes)),
    )
    return Unseen(candidates, image.annotations)


def evaluate_unseen(
    seen: list[Unseen], scorer: Scorer, classes: tuple[str, ...], settings: SelectionSettings
) -> VocResult:
    """Select detections among the candidates and match them, as evaluation does.

    Args:
        scorer: gives the probabilities, where they decide (one class per object).

    Returns:
        The result, whose scores are the scorer's.
    """
    found = []
    for one in seen:
        chosen = select(one.candidates, scorer, settings)
        found.append(Detections(chosen.boxes, chosen.labels, chosen.scores, classes))
    return evaluate_voc(found, [one.annotations for one in seen], classes)


def judged(result: VocResult) -> list[Judged]:
    """The detections of each class that count, with their outcome."""
    return [Judged(one.scores.astype(np.float32), one.hits) for one in result.classes]
