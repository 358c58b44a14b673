"""The score of a detection as a sum over the bins of the pyramid.

A linear SVM scores a region with b + w . x. The feature x is the pyramid of the region's window on
the feature map (SPP-net paper, section 4.1), bin after bin with C channels each, so that

    score = b + sum over bins i of p_i,   p_i = sum over channels c of w_ic x_ic

The score belongs to the proposal and its window. Box regression and box voting move the box of a
detection afterwards, the score of a box that holds two others of its class goes down, and the
logistic function turns the score into a probability.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from sppdet.boxes import Boxes, Corners, check_boxes, iou
from sppdet.detections import Detections
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.explaining.cells import box_of_window
from sppdet.explaining.record import Explanation, Neighbour
from sppdet.features.spp import SppRegionFeatures, SppRegions
from sppdet.features.windows import image_scales
from sppdet.heads.linear import LinearScorer
from sppdet.heads.path import find, score_regions
from sppdet.images import ImageLike, Rgb, as_image
from sppdet.panorama import is_panorama

NEIGHBOURS = 3
"""Positives, and negatives likewise, that an explanation names at most."""

FARTHEST, LEAST_IOU = 1e-3, 0.9
"""How near the same detection is when it is found again: another device, or another number of
threads, rounds in another way."""


@torch.inference_mode()
def explain(
    detector: Detector,
    image: ImageLike,
    detections: Detections,
    *,
    boxes: ArrayLike | None = None,
    neighbours: int = NEIGHBOURS,
) -> tuple[Explanation, ...]:
    """Explain what a detector has found in an image.

    Regions are turned into detections once more, with no threshold and with all classes side by
    side, so that each given detection is among them, with the proposal that it came from.

    Args:
        detector: of linear SVMs on SPP-net's pyramid.
        image: as for :meth:`sppdet.detector.Detector.detect`.
        detections: what the detector found in the image, or a part of it.
        boxes: the proposals, if ``detect`` was given some.
        neighbours: how many of the nearest positives and negatives are named.

    Returns:
        An explanation of each detection, in their order.

    Raises:
        SppdetError: the score of this detector is not a sum over bins, one side of the image is
            more than ten times as long as the other, or a detection is not of this detector and
            this image.
    """
    scorer, extractor = _explainable(detector)
    image = _seen_whole(image)
    if detections.classes != detector.classes:
        raise SppdetError("the detections have other classes than the detector")
    size = image.shape[1], image.shape[0]
    proposals = check_boxes(boxes, *size) if boxes is not None else detector.propose(image)
    if len(detections) == 0:
        return ()
    regions = extractor.prepare(image, proposals)
    side_by_side = replace(detector.settings.selection, one_class_iou=1.0)
    scored = find(regions, proposals, size, scorer, detector.regression, side_by_side)
    likely = scorer.probabilities(scored.scores, scored.labels)
    places = []
    for box, label, score in zip(
        detections.boxes, detections.labels, detections.scores, strict=True
    ):
        mine = np.flatnonzero(scored.labels == label)
        apart = np.abs(likely[mine] - score)
        overlap = iou(box[None], scored.boxes[mine])[0]
        best = np.lexsort((-overlap, np.round(apart, 6)))[:1]
        if len(best) == 0 or apart[best[0]] > FARTHEST or overlap[best[0]] < LEAST_IOU:
            raise SppdetError(
                f"{detector.classes[label]} {score:.4f} is not what this detector finds in this "
                "image; give what its detect() returns for the same image"
            )
        places.append(mine[best[0]])
    rows, scores = scored.rows[places], scored.scores[places]
    explained = _explanations(detector, regions, size, proposals, rows, detections, neighbours)
    return tuple(
        replace(one, lowered=_lowered(one.score, float(score)))
        for one, score in zip(explained, scores, strict=True)
    )


def _lowered(score: float, selected: float) -> float:
    """What a score has lost on the way to the detection; smaller differences are rounding."""
    return score - selected if score - selected > FARTHEST else 0.0


@torch.inference_mode()
def explain_box(
    detector: Detector,
    image: ImageLike,
    box: ArrayLike,
    label: str,
    *,
    neighbours: int = NEIGHBOURS,
) -> Explanation:
    """Explain the score of a box for a class, whether the detector finds it or not.

    Args:
        detector, image, neighbours: as for :func:`explain`.
        box: x1, y1, x2, y2 in pixels of the image; it is scored as if it was a proposal, and is not
            moved.
        label: name of the class.

    Raises:
        SppdetError: the score of this detector is not a sum over bins, the class is unknown or
            could not be trained, or one side of the image is more than ten times as long as the
            other.
        TypeError, ValueError: the box is not four numbers, or lies outside the image.
    """
    scorer, extractor = _explainable(detector)
    if label not in detector.classes:
        raise SppdetError(
            f"the detector has no class {label!r}; it knows {', '.join(detector.classes)}"
        )
    number = detector.classes.index(label)
    if not torch.isfinite(scorer.bias[number]):
        raise SppdetError(f"the class {label!r} had no examples, so that it has no score")
    image = _seen_whole(image)
    size = image.shape[1], image.shape[0]
    if np.shape(box) != (4,):
        raise ValueError(f"box is {box!r:.80}: give x1, y1, x2, y2 in pixels of the image")
    boxes = check_boxes(np.asarray(box)[None], *size)
    regions = extractor.prepare(image, boxes)
    labels = np.array([number])
    likely = scorer.probabilities(score_regions(regions, scorer)[:, number], labels)
    given = Detections(boxes, labels, likely, detector.classes)
    found = _explanations(detector, regions, size, boxes, np.zeros(1, np.int64), given, neighbours)
    return found[0]


def _seen_whole(image: ImageLike) -> Rgb:
    """The image; one that a detector sees in parts has no score as a whole.

    Raises:
        SppdetError: it is such an image.
    """
    pixels = as_image(image)
    if is_panorama(pixels):
        raise SppdetError(
            "an image of more than 10:1 is seen in parts; cut out a part and explain that"
        )
    return pixels


def check_explainable(detector: Detector) -> None:
    """Refuse a detector whose score is not a sum over the bins of a pyramid.

    Raises:
        SppdetError: it has other heads than linear SVMs, fully connected layers, or crops.
    """
    _explainable(detector)


def _explainable(detector: Detector) -> tuple[LinearScorer, SppRegionFeatures]:
    extractor, scorer = detector.extractor, detector.scorer
    remedy = "train with --method spp --layer pyramid --heads svm"
    if not isinstance(scorer, LinearScorer):
        raise SppdetError(
            f"its heads are {scorer.name!r}, whose score is not a sum over the bins; {remedy}"
        )
    if not isinstance(extractor, SppRegionFeatures):
        raise SppdetError(
            f"it sees crops of the image (R-CNN), not windows on one feature map; {remedy}"
        )
    if extractor.trunk.head is not None:
        raise SppdetError(
            f"its features are those of {extractor.trunk.layer}, so that its score is not a sum "
            f"over the bins; {remedy}"
        )
    return scorer, extractor


def _explanations(
    detector: Detector,
    regions: SppRegions,
    size: tuple[int, int],
    proposals: Boxes,
    rows: NDArray[np.int64],
    detections: Detections,
    neighbours: int,
) -> tuple[Explanation, ...]:
    """Explanations of detections that came from the proposals ``rows``."""
    scorer, extractor = _explainable(detector)
    settings = extractor.settings
    scales = image_scales(*size, settings.scales, settings.longest_side)
    features = regions.features(regions.keys[rows])
    weight = scorer.weight[torch.from_numpy(detections.labels.copy()).to(scorer.weight.device)]
    # Products of two float32 are exact in float64, and so is their sum to float32.
    terms = (features.double() * weight.double()).cpu().numpy()
    result = []
    for number, row in enumerate(rows):
        label = int(detections.labels[number])
        bins = sum(level * level for level in settings.levels)
        parts = terms[number].reshape(bins, -1).sum(axis=1)
        bias = float(scorer.bias[label])
        index, *window = regions.windows[regions.keys[row]].tolist()
        own = parts.astype(np.float32)
        own.setflags(write=False)
        result.append(
            Explanation(
                detector.classes[label],
                float(detections.scores[number]),
                float(np.float32(bias + parts.sum())),
                bias,
                tuple(settings.levels),
                own,
                _corners(detections.boxes[number]),
                _corners(proposals[row]),
                (window[0], window[1], window[2], window[3]),
                box_of_window(window, scales[index], extractor.trunk.geometry),
                (regions.maps[index].shape[0], regions.maps[index].shape[1]),
                (scales[index].width, scales[index].height),
                _nearest(detector, features[number], label, neighbours),
            )
        )
    return tuple(result)


def _nearest(detector: Detector, feature: Tensor, label: int, count: int) -> tuple[Neighbour, ...]:
    kept = detector.kept
    if kept is None:
        return ()
    found = []
    for positive in (True, False):
        for one, product in zip(*kept.nearest(feature, label, positive, count), strict=True):
            found.append(
                Neighbour(
                    positive,
                    float(product),
                    kept.images[one],
                    _corners(kept.boxes[one]),
                    kept.thumbnails[one],
                )
            )
    return tuple(found)


def _corners(box: Sequence[float] | Boxes) -> Corners:
    x1, y1, x2, y2 = (float(value) for value in box)
    return x1, y1, x2, y2
