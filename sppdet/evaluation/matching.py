"""Which detection found which object, for all images and classes at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sppdet.datasets.base import Annotations
from sppdet.detections import Detections
from sppdet.runtime.words import counted

HIT, MISTAKE, IGNORED = 1, 0, -1
_PAIRS = 2_000_000
"""Pairs of a detection and an object that are compared at a time: this limits the memory."""


@dataclass(frozen=True)
class Flat:
    """Detections or objects of many images in one table of N rows.

    Attributes:
        boxes: (N, 4) float64.
        labels: (N,) int64, index into the classes of the evaluation.
        images: (N,) int64, the image of each row.
        rows: (N,) int64, the place of each row in its image.
        scores: (N,) float64; 0 for ground truth.
        crowd, difficult: (N,) bool; False for detections.
    """

    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    images: NDArray[np.int64]
    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    difficult: NDArray[np.bool_]

    @property
    def counted(self) -> NDArray[np.bool_]:
        """The objects that a detector must find: neither difficult nor crowd."""
        return ~(self.crowd | self.difficult)


@dataclass(frozen=True)
class Matching:
    """The outcome of every detection, best score first.

    Detections with equal scores keep the order of the images, and within an image that of its
    detections: the same input gives the same figures.

    Attributes:
        found: the detections, D rows in the order of falling scores.
        truths: the annotated objects, T rows in the order of the images.
        outcome: (D,) int8: HIT (true positive), MISTAKE (false positive) or IGNORED.
        truth: (D,) int64, the object of its class that a detection overlaps most (the first, if
            several), -1 where there is none in the image.
        overlap: (D,) float64, the IoU with that object.
        hit_by: (T,) int64, the detection that found an object, or -1.
    """

    found: Flat
    truths: Flat
    outcome: NDArray[np.int8]
    truth: NDArray[np.int64]
    overlap: NDArray[np.float64]
    hit_by: NDArray[np.int64]


def match(
    detections: Sequence[Detections],
    annotations: Sequence[Annotations],
    classes: Sequence[str],
    iou: float = 0.5,
) -> Matching:
    """Match as VOCevaldet does (VOC devkit, section 6.4).

    Let o be the greatest IoU of a detection with an object of its class. With o >= ``iou`` the
    detection is ignored if that object is difficult, a true positive if it has the highest score
    of the detections of that object, and otherwise a false positive (a duplicate). With o < ``iou``
    it is a false positive. As in COCO, a false positive is ignored if the part of its area that
    lies in a crowd of its class is at least ``iou``.

    Args:
        detections: one per image; its class names are matched with ``classes``, the detections of
            other classes are left out.
        annotations: one per image, labels index into ``classes``.
        classes: names.
        iou: least overlap of a true positive, in (0, 1].

    Raises:
        ValueError: there are more or fewer detections than annotations.
    """
    if len(detections) != len(annotations):
        given = counted(len(detections), "image")
        raise ValueError(f"{given} with detections, {len(annotations)} annotated")
    found, truths = flatten_detections(detections, classes), flatten_truths(annotations)
    keys = found.images * len(classes) + found.labels
    true_keys = truths.images * len(classes) + truths.labels
    objects, crowds = np.flatnonzero(~truths.crowd), np.flatnonzero(truths.crowd)
    best, overlap = best_overlap(found.boxes, keys, truths.boxes[objects], true_keys[objects])
    truth = np.where(best >= 0, objects[best] if len(objects) else -1, -1)
    near = (truth >= 0) & (overlap >= iou)
    outcome = np.full(len(keys), MISTAKE, np.int8)
    hit_by = np.full(len(true_keys), -1, np.int64)
    candidates = np.flatnonzero(near)
    hard = truths.difficult[truth[candidates]]
    outcome[candidates[hard]] = IGNORED
    candidates = candidates[~hard]
    hit, first = np.unique(truth[candidates], return_index=True)
    outcome[candidates[first]] = HIT
    hit_by[hit] = candidates[first]
    if len(crowds):
        _, inside = best_overlap(
            found.boxes, keys, truths.boxes[crowds], true_keys[crowds], of_detection=True
        )
        outcome[(outcome == MISTAKE) & (inside >= iou)] = IGNORED
    return Matching(found, truths, outcome, truth, overlap, hit_by)


def flatten_detections(detections: Sequence[Detections], classes: Sequence[str]) -> Flat:
    """All detections of ``classes`` in one table, best score first (see :class:`Matching`)."""
    index = {name: label for label, name in enumerate(classes)}
    tables: dict[tuple[str, ...], NDArray[np.int64]] = {}
    labels = []
    for entry in detections:
        if entry.classes not in tables:
            tables[entry.classes] = np.array([index.get(n, -1) for n in entry.classes], np.int64)
        labels.append(tables[entry.classes][entry.labels])
    counts = [len(entry) for entry in detections]
    label = np.concatenate([np.zeros(0, np.int64), *labels])
    boxes = np.concatenate([np.zeros((0, 4)), *(entry.boxes for entry in detections)])
    scores = np.concatenate([np.zeros(0), *(entry.scores for entry in detections)])
    order = np.argsort(-scores, kind="stable")
    order = order[label[order] >= 0]
    no = np.zeros(len(order), bool)
    images, rows = _places(counts)
    return Flat(boxes[order], label[order], images[order], rows[order], scores[order], no, no)


def flatten_truths(annotations: Sequence[Annotations]) -> Flat:
    """All objects in one table, in the order of the images."""
    images, rows = _places([len(entry) for entry in annotations])
    return Flat(
        np.concatenate([np.zeros((0, 4)), *(entry.boxes for entry in annotations)]),
        np.concatenate([np.zeros(0, np.int64), *(entry.labels for entry in annotations)]),
        images,
        rows,
        np.zeros(len(images)),
        np.concatenate([np.zeros(0, bool), *(entry.crowd for entry in annotations)]),
        np.concatenate([np.zeros(0, bool), *(entry.difficult for entry in annotations)]),
    )


def best_overlap(
    boxes: NDArray[np.float64],
    keys: NDArray[np.int64],
    truths: NDArray[np.float64],
    true_keys: NDArray[np.int64],
    of_detection: bool = False,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For every box the object with the same key that it overlaps most.

    Args:
        boxes, keys: (N, 4) and (N,).
        truths, true_keys: (M, 4) and (M,).
        of_detection: divide the intersection by the area of the box, not by the union.

    Returns:
        (N,) int64 index of the object, the first of equal ones, -1 without one of the same key; and
        (N,) float64 overlap, 0 without.
    """
    best, overlap = np.full(len(boxes), -1, np.int64), np.zeros(len(boxes))
    order = np.argsort(true_keys, kind="stable")
    ordered = true_keys[order]
    start = np.searchsorted(ordered, keys, "left")
    count = np.searchsorted(ordered, keys, "right") - start
    total = np.concatenate([[0], np.cumsum(count)])
    begin = 0
    while begin < len(boxes):
        end = max(int(np.searchsorted(total, total[begin] + _PAIRS, "right")) - 1, begin + 1)
        rows = begin + np.flatnonzero(count[begin:end])
        begin = end
        if len(rows) == 0:
            continue
        sizes = count[rows]
        heads = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        within = np.arange(sizes.sum()) - np.repeat(heads, sizes)
        partner = order[np.repeat(start[rows], sizes) + within]
        value = _overlap(boxes[np.repeat(rows, sizes)], truths[partner], of_detection)
        most = np.maximum.reduceat(value, heads)
        equal = np.flatnonzero(value == np.repeat(most, sizes))
        first = equal[np.searchsorted(equal, heads)]
        best[rows], overlap[rows] = partner[first], most
    return best, overlap


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64], of_first: bool) -> NDArray[np.float64]:
    """IoU of (N, 4) and (N, 4) row by row, or the part of the first that lies in the second."""
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = np.prod(np.maximum(sides, 0), axis=1)
    area = np.prod(np.maximum(a[:, 2:] - a[:, :2], 0), axis=1)
    whole = (
        area if of_first else area + np.prod(np.maximum(b[:, 2:] - b[:, :2], 0), axis=1) - shared
    )
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)


def _places(counts: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Image and place in the image of every row, for images with these numbers of rows."""
    sizes = np.asarray(counts, np.int64)
    images = np.repeat(np.arange(len(sizes)), sizes)
    heads = np.repeat(np.cumsum(sizes) - sizes, sizes)
    return images, np.arange(len(images)) - heads
