"""What a detector shows at its thresholds: recall, precision, the confusion matrix, every image."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import as_boxes
from sppdet.boxes import iou as iou_of
from sppdet.evaluation.errors import operating_point
from sppdet.evaluation.matching import HIT, IGNORED, Matching
from sppdet.evaluation.voc import VocResult


@dataclass(frozen=True)
class Thresholded:
    """The detections whose score is at least the threshold of their class.

    Attributes:
        thresholds: for each class the threshold; None where no detection is shown.
        given: whether the thresholds are those in use; otherwise they are those of the best F1 on
            these data.
        kept: (D,) bool, the rows of ``VocResult.matching`` that are shown and count.
        right, wrong, missed: (K,) int64, true positives, false positives and missed objects.
        by_image: (I, 4) int64, for each image its objects, true positives, false positives and
            missed objects.
        confusion: (K + 1, K + 1) int64; rows are annotated classes and columns detected ones. The
            last row is the background (detections of nothing), the last column the missed objects.
    """

    thresholds: tuple[float | None, ...]
    given: bool
    kept: NDArray[np.bool_]
    right: NDArray[np.int64]
    wrong: NDArray[np.int64]
    missed: NDArray[np.int64]
    by_image: NDArray[np.int64]
    confusion: NDArray[np.int64]

    def recall(self, label: int | None = None) -> float | None:
        """Part of the objects of a class, or of all, that is found; None without objects."""
        right, missed = self._sum(self.right, label), self._sum(self.missed, label)
        return right / (right + missed) if right + missed else None

    def precision(self, label: int | None = None) -> float | None:
        """Part of the detections of a class, or of all, that is right; None without detections."""
        right, wrong = self._sum(self.right, label), self._sum(self.wrong, label)
        return right / (right + wrong) if right + wrong else None

    @staticmethod
    def _sum(counts: NDArray[np.int64], label: int | None) -> int:
        return int(counts.sum() if label is None else counts[label])

    def to_json(self, names: list[str]) -> dict[str, Any]:
        """Thresholds, recall, precision and the confusion matrix, for classes of these names."""
        return {
            "thresholds": "given" if self.given else "best F1 on these data",
            "recall": self.recall(),
            "precision": self.precision(),
            "classes": {
                name: {
                    "threshold": self.thresholds[label],
                    "recall": self.recall(label),
                    "precision": self.precision(label),
                }
                for label, name in enumerate(names)
            },
            "confusion": {
                "rows_annotated": [*names, "background"],
                "columns_detected": [*names, "missed"],
                "counts": self.confusion.tolist(),
            },
        }


def at_thresholds(
    result: VocResult, images: int, thresholds: Mapping[str, float] | None = None
) -> Thresholded:
    """Look at an evaluation from a threshold per class on.

    A true positive is one of ``result``, so that the diagonal of the confusion matrix has the true
    positives. Of the detections that are left, in the order of falling scores, each takes the
    object of another class that no detection has, with the greatest IoU of at least
    ``result.iou``; a detection that finds none is one of the background. Difficult objects and
    crowds are neither missed nor confused.

    Args:
        result: the evaluation.
        images: number of images.
        thresholds: by class name; a class that is not in it shows nothing. None takes the threshold
            of the best F1 of each class.
    """
    match, names = result.matching, [entry.name for entry in result.classes]
    if thresholds is None:
        points = [operating_point(entry) for entry in result.classes]
        chosen = tuple(None if point is None else point["score"] for point in points)
    else:
        chosen = tuple(thresholds.get(name) for name in names)
    least = np.array([np.inf if value is None else value for value in chosen], np.float64)
    # Scores are float32: a threshold of 0.3 keeps a score that was written as 0.3.
    high = match.found.scores.astype(np.float32) >= least.astype(np.float32)[match.found.labels]
    kept = high & (match.outcome != IGNORED)
    hits = kept & (match.outcome == HIT)
    reached = np.zeros(len(match.truths.labels), bool)
    reached[match.truth[hits]] = True
    lost = match.truths.counted & ~reached
    classes = len(names)

    def per_class(labels: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(labels, minlength=classes)

    def per_image(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(numbers, minlength=images)

    by_image = (
        per_image(match.truths.images[match.truths.counted]),
        per_image(match.found.images[hits]),
        per_image(match.found.images[kept & ~hits]),
        per_image(match.truths.images[lost]),
    )
    return Thresholded(
        chosen,
        thresholds is not None,
        kept,
        per_class(match.found.labels[hits]),
        per_class(match.found.labels[kept & ~hits]),
        per_class(match.truths.labels[lost]),
        np.stack(by_image, axis=1),
        _confusion(match, hits, np.flatnonzero(kept & ~hits), lost, classes, result.iou),
    )


def _confusion(
    match: Matching,
    hits: NDArray[np.bool_],
    wrong: NDArray[np.int64],
    lost: NDArray[np.bool_],
    classes: int,
    iou: float,
) -> NDArray[np.int64]:
    """See :func:`at_thresholds`; ``wrong`` are the rows of the false positives, best first."""
    truths, found = match.truths, match.found
    matrix = np.zeros((classes + 1, classes + 1), np.int64)
    np.add.at(matrix, (found.labels[hits], found.labels[hits]), 1)
    free = lost.copy()
    starts = np.searchsorted(truths.images, found.images[wrong], "left")
    ends = np.searchsorted(truths.images, found.images[wrong], "right")
    for row, start, end in zip(wrong, starts, ends, strict=True):
        label = found.labels[row]
        able = start + np.flatnonzero(free[start:end] & (truths.labels[start:end] != label))
        overlap = iou_of(as_boxes(found.boxes[row : row + 1]), as_boxes(truths.boxes[able]))[0]
        if len(able) == 0 or overlap.max() < iou:
            matrix[classes, label] += 1
        else:
            taken = able[np.argmax(overlap)]
            free[taken] = False
            matrix[truths.labels[taken], label] += 1
    matrix[:, classes] += np.bincount(truths.labels[free], minlength=classes + 1)
    return matrix
