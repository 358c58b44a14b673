"""Settings that follow the labels: proposals and image sizes that suit the annotated objects.

Small objects need a finer search and a larger image, which cost time that large objects do not
repay. Both are therefore chosen from the training data: the search by the recall of the annotated
objects in a sample of the images, the image sizes by the sizes of the objects.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import Boxes, iou
from sppdet.datasets import Dataset
from sppdet.errors import SppdetError
from sppdet.images import Rgb, read_image
from sppdet.proposals.cache import ProposalCache
from sppdet.runtime.threads import ordered_map
from sppdet.runtime.words import counted

LADDER = (("fast", 2000), ("tiny", 4000), ("finest", 4000))
"""Methods of the search and numbers of boxes, the quickest first."""

SAMPLE = 30
"""Images with objects that are searched for the choice."""

OVERLAPS = (0.5, 0.7)
"""IoU at which the recall is measured; its mean counts, so that a search is also judged by the fit
of its boxes."""

GAIN = 0.02
"""The recall by which a finer search must be better. Where one is not, no finer one is tried."""

SMALL_SIDE = 80.0
"""Side in pixels of the resized image, five cells of a map of stride 16, that small objects should
have."""

LARGEST_FACTOR = 2.0
"""The greatest enlargement for small objects."""

FEWEST = 5
"""Objects of a class in the sample whose median counts."""


@dataclass(frozen=True)
class Fitted:
    """Attributes:
    proposals, max_boxes: of :class:`sppdet.settings.DetectorSettings`.
    scales: of :class:`sppdet.settings.SppSettings`.
    reason: one line for the user.
    """

    proposals: str
    max_boxes: int
    scales: tuple[int, ...]
    reason: str


def fit_to_labels(
    dataset: Dataset,
    scales: tuple[int, ...],
    seed: int = 0,
    cache: ProposalCache | None = None,
    workers: int = 1,
) -> Fitted:
    """Choose the search and the image sizes for the objects of a data set.

    The search is the first of :data:`LADDER` whose recall (mean over classes and
    :data:`OVERLAPS`) the next one does not exceed by :data:`GAIN`. A larger image is added to
    ``scales`` when the small objects, the smaller of the 20th percentile and the least class median
    of the square root of the area, have less than :data:`SMALL_SIDE` pixels at the largest of them.

    Args:
        scales: the trunk's, short sides in pixels.
        seed: of the sample.
        cache: of the proposals, shared with training.
        workers: images that are searched side by side; the choice does not depend on it.

    Raises:
        SppdetError: no image of the sample that can be read has an object.
    """
    sample = _sample(dataset, seed)
    labels = np.concatenate([one.labels for one in sample])
    recalls: list[float] = []
    for method, most in LADDER:
        search = partial(_Sampled.covered, cache=cache or ProposalCache(), method=method, most=most)
        found = list(ordered_map(search, sample, workers))
        recalls.append(_class_mean(np.concatenate(found), labels))
        if len(recalls) > 1 and recalls[-1] < recalls[-2] + GAIN:
            break
    chosen = max(
        (i for i in range(1, len(recalls)) if recalls[i] >= recalls[i - 1] + GAIN), default=0
    )
    sides = np.concatenate([one.sides for one in sample]) * max(scales)
    small = _small(sides, labels)
    method, most = LADDER[chosen]
    fitted = _scales(scales, small)
    tried = ", ".join(f"{m} {r:.2f}" for (m, _), r in zip(LADDER, recalls, strict=False))
    reason = (
        f"proposals {method}, at most {most} (recall of {counted(len(labels), 'object')} in "
        f"{counted(len(sample), 'image')}: {tried}); scales {','.join(map(str, fitted))} px "
        f"(small objects have {small:.0f} "
        f"px at {max(scales)})"
    )
    return Fitted(method, most, fitted, reason)


@dataclass(frozen=True)
class _Sampled:
    """An image with its objects to learn: boxes (M, 4), labels (M,), and sides (M,), the square
    roots of their areas in units of the image's short side."""

    image: Rgb
    boxes: Boxes
    labels: NDArray[np.int64]
    sides: NDArray[np.float64]

    def covered(self, cache: ProposalCache, method: str, most: int) -> NDArray[np.float64]:
        """Of each object (M,), the part of :data:`OVERLAPS` at which a proposal covers it."""
        proposals = cache.get(self.image, method, most)
        overlap = iou(self.boxes, proposals).max(axis=1, initial=0)
        part: NDArray[np.float64] = np.mean([overlap >= least for least in OVERLAPS], axis=0)
        return part


def _sample(dataset: Dataset, seed: int) -> list[_Sampled]:
    sample: list[_Sampled] = []
    for index in np.random.default_rng([seed, 2]).permutation(len(dataset.images)).tolist():
        annotations = dataset.annotations(index)
        usable = ~(annotations.difficult | annotations.crowd)
        if not usable.any():
            continue
        try:
            image = read_image(dataset.images[index])
        except SppdetError:  # training says so
            continue
        boxes = annotations.boxes[usable]
        areas = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64).prod(axis=1)
        sides = np.sqrt(np.maximum(areas, 0)) / min(image.shape[:2])
        sample.append(_Sampled(image, boxes, annotations.labels[usable], sides))
        if len(sample) == SAMPLE:
            break
    if not sample:
        raise SppdetError(
            f"{dataset.path}: no image has an annotated object to learn from"
            + (", or none of them can be read" if dataset.images else "")
        )
    return sample


def _class_mean(covered: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    return float(np.mean([covered[labels == label].mean() for label in np.unique(labels)]))


def _small(sides: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The size of the small objects; see :func:`fit_to_labels`."""
    medians = [
        float(np.median(sides[labels == label]))
        for label in np.unique(labels)
        if (labels == label).sum() >= FEWEST
    ]
    return min([float(np.percentile(sides, 20)), *medians])


def _scales(scales: tuple[int, ...], small: float) -> tuple[int, ...]:
    """The trunk's scales, and a larger one that brings ``small`` near :data:`SMALL_SIDE`."""
    factor = min(SMALL_SIDE / max(small, 1e-6), LARGEST_FACTOR)
    if factor < 1.2:
        return scales
    return (*scales, round(max(scales) * factor / 80) * 80)
