"""The third pass of a training: detect on images that a scorer has not learned from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sppdet.datasets import Annotations
from sppdet.detections import Detections
from sppdet.evaluation.voc import VocResult, evaluate_voc
from sppdet.heads.base import Heads, Judged, Scorer
from sppdet.heads.examples import Examples
from sppdet.heads.linear import LinearSvms
from sppdet.heads.path import find_candidates
from sppdet.heads.regression import BoxRegression
from sppdet.heads.selection import Scored, select
from sppdet.runtime.threads import ordered_map
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


def fit_folds(heads: Heads, examples: Examples, folds: Sequence[NDArray[np.int64]]) -> list[Scorer]:
    """For each fold what the examples from other images teach.

    SVMs of several folds are fitted side by side where there are more than two cores.
    """
    several = isinstance(heads, LinearSvms) and examples.workers > 2

    def fit(fold: NDArray[np.int64]) -> Scorer:
        return heads.fit(examples.without(fold))

    return list(ordered_map(fit, folds, len(folds) if several else 1))


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


def select_unseen(
    seen: Sequence[Unseen], scorer: Scorer, settings: SelectionSettings
) -> list[Scored]:
    """The detections among the candidates of each image, as a detector selects them.

    Args:
        scorer: gives the probabilities, where they decide (one class per object).
    """
    return [select(one.candidates, scorer, settings) for one in seen]


def likely(found: Sequence[Scored], scorer: Scorer) -> list[Scored]:
    """The same detections with probabilities in place of the scores, as a detector gives them."""
    return [replace(one, scores=scorer.probabilities(one.scores, one.labels)) for one in found]


def evaluate_unseen(
    seen: Sequence[Unseen], found: Sequence[Scored], classes: tuple[str, ...]
) -> VocResult:
    """Match what was selected in each image, as evaluation does.

    Returns:
        The result, whose scores are those of what was selected.
    """
    detections = [Detections(one.boxes, one.labels, one.scores, classes) for one in found]
    return evaluate_voc(detections, [one.annotations for one in seen], classes)


def judged(result: VocResult) -> list[Judged]:
    """The detections of each class that count, with their outcome."""
    return [Judged(one.scores.astype(np.float32), one.hits) for one in result.classes]
