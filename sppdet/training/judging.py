"""The third pass of a training: which detections are right where the SVMs have not learned."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sppdet.detections import Detections
from sppdet.evaluation.matching import HIT, IGNORED, match
from sppdet.features.scoring import linear_scores
from sppdet.heads.calibration import fit_logistic
from sppdet.heads.regression import move_boxes
from sppdet.heads.selection import Scored, candidates, select
from sppdet.settings import SelectionSettings
from sppdet.training.images import PreparedImage, TrainingImages

FOLDS = 3
"""Parts of the images for calibration."""

Judged = list[tuple[NDArray[np.float32], NDArray[np.bool_]]]
"""Per class, the SVM scores of the detections and whether each is right."""


@dataclass(frozen=True)
class Unseen:
    """Some images, and what was learned from the others, for D features and K classes.

    Attributes:
        images: (M,) their numbers.
        svms: weights (K, D) and biases (K,), on the device.
        regression: weights (4 K, D) and biases (4 K,); None without box regression.
    """

    images: NDArray[np.int64]
    svms: tuple[Tensor, Tensor]
    regression: tuple[Tensor, Tensor] | None


def split(images: list[int], seed: int) -> list[NDArray[np.int64]]:
    """The images in ``FOLDS`` parts, at random."""
    order = np.random.default_rng([seed, 1]).permutation(images)
    return [order[start::FOLDS] for start in range(FOLDS)]


def calibrate(
    images: TrainingImages, unseen: list[Unseen], settings: SelectionSettings, most: int
) -> NDArray[np.float32]:
    """Detect on images with what was learned from others, and fit probabilities to the outcome.

    Args:
        images: the training images.
        unseen: the parts, at most ``most`` images of which, in equal shares, are looked at.

    Returns:
        (K, 2), see :func:`sppdet.heads.calibration.fit_logistic`.
    """
    share = -(-most // len(unseen))
    total = sum(min(len(part.images), share) for part in unseen)
    classes = len(unseen[0].svms[1])
    scores: list[list[NDArray[np.float32]]] = [[] for _ in range(classes)]
    right: list[list[NDArray[np.bool_]]] = [[] for _ in range(classes)]
    done = 0
    for part in unseen:

        def judged_by(image: PreparedImage, part: Unseen = part) -> Judged:
            return judge(image, part, settings)

        chosen = part.images[:share].tolist()
        for _, judged in images.each("calibration", chosen, judged_by, done, total):
            done += 1
            for label, (values, hits) in enumerate(judged or ()):
                scores[label].append(values)
                right[label].append(hits)
    empty = (np.zeros(0, np.float32), np.zeros(0, bool))
    return fit_logistic(
        [np.concatenate([empty[0], *values]) for values in scores],
        [np.concatenate([empty[1], *hits]) for hits in right],
    )


def judge(image: PreparedImage, learned: Unseen, settings: SelectionSettings) -> Judged:
    """Detect among the proposals of an image and match with its annotations, as in evaluation.

    What evaluation ignores (detections of difficult objects and in crowds) is left out.
    """
    regions = image.regions
    every = np.arange(regions.count)
    scores = linear_scores(regions, every, *learned.svms)[regions.keys]
    proposals = np.arange(len(image.annotations), len(image.boxes))
    raw = np.tile(np.array([1, 0], np.float32), (scores.shape[1], 1))
    rows, labels = candidates(scores[proposals], raw, settings)
    rows = proposals[rows]
    boxes = image.boxes[rows]
    if learned.regression is not None:
        boxes = move_boxes(regions, image.boxes, labels, rows, learned.regression, image.size)
    scored = Scored(boxes, labels, scores[rows, labels])
    kept, boxes = select(scored, raw, settings)
    names = tuple(map(str, range(scores.shape[1])))
    found = Detections(boxes, labels[kept], scored.scores[kept], names)
    matching = match([found], [image.annotations], names)
    counts = matching.outcome != IGNORED
    judged = []
    for label in range(scores.shape[1]):
        mine = counts & (matching.found.labels == label)
        values = matching.found.scores[mine].astype(np.float32)
        judged.append((values, matching.outcome[mine] == HIT))
    return judged
