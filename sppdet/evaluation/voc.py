"""PASCAL VOC average precision at any IoU: 11 points (VOC 2007) and area (VOC 2010 and later)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sppdet.datasets.base import Annotations
from sppdet.detections import Detections
from sppdet.evaluation.matching import HIT, IGNORED, Matching, match


@dataclass(frozen=True)
class ClassResult:
    """The figures of one class.

    Attributes:
        name: the class.
        truths: number of objects to find, without difficult ones and crowds.
        scores: (D,) float64, the detections that count, best first.
        hits: (D,) bool, which of them are true positives.
        images: (D,) int64, the image of each.
        precision, recall_curve: (D,) float64, after each detection; recall is 0 without objects.
        ap_11, ap_area: average precision in [0, 1]; None for a class without objects.
    """

    name: str
    truths: int
    scores: NDArray[np.float64]
    hits: NDArray[np.bool_]
    images: NDArray[np.int64]
    precision: NDArray[np.float64]
    recall_curve: NDArray[np.float64]
    ap_11: float | None
    ap_area: float | None

    @property
    def recall(self) -> float | None:
        """The part of the objects that was found at any score; None without objects."""
        return float(self.hits.sum() / self.truths) if self.truths else None


@dataclass(frozen=True)
class VocResult:
    """Figures per class, and the matching that they come from.

    Attributes:
        iou: the least IoU of a true positive.
        classes: in the order of the argument.
        matching: every detection's outcome.
    """

    iou: float
    classes: tuple[ClassResult, ...]
    matching: Matching

    @property
    def map_11(self) -> float | None:
        """Mean of the 11-point APs of the classes with objects; None without any."""
        return _mean([entry.ap_11 for entry in self.classes])

    @property
    def map_area(self) -> float | None:
        """Mean of the area APs of the classes with objects; None without any."""
        return _mean([entry.ap_area for entry in self.classes])

    def to_json(self) -> dict[str, Any]:
        """``{"map_11", "map_area", "iou", "classes": {NAME: {"ap_11", "ap_area", "truths",
        "recall"}}}``; figures of classes without objects are None."""
        return {
            "map_11": self.map_11,
            "map_area": self.map_area,
            "iou": self.iou,
            "classes": {
                entry.name: {
                    "ap_11": entry.ap_11,
                    "ap_area": entry.ap_area,
                    "truths": entry.truths,
                    "recall": entry.recall,
                }
                for entry in self.classes
            },
        }


def evaluate_voc(
    detections: Sequence[Detections],
    annotations: Sequence[Annotations],
    classes: Sequence[str],
    iou: float = 0.5,
) -> VocResult:
    """VOC average precision per class; arguments and matching as in :func:`.matching.match`."""
    matching = match(detections, annotations, classes, iou)
    counted = matching.truths.labels[matching.truths.counted]
    truths = np.bincount(counted, minlength=len(classes))
    by_class = np.argsort(matching.found.labels, kind="stable")
    ends = np.cumsum(np.bincount(matching.found.labels, minlength=len(classes)))
    results = []
    for label, name in enumerate(classes):
        rows = by_class[ends[label - 1] if label else 0 : ends[label]]
        rows = rows[matching.outcome[rows] != IGNORED]
        hits = matching.outcome[rows] == HIT
        found = np.cumsum(hits)
        total = int(truths[label])
        precision = found / np.arange(1, len(rows) + 1)
        results.append(
            ClassResult(
                name,
                total,
                matching.found.scores[rows],
                hits,
                matching.found.images[rows],
                precision,
                found / total if total else np.zeros(len(rows)),
                ap_11(found, precision, total) if total else None,
                ap_area(found, precision, total) if total else None,
            )
        )
    return VocResult(iou, tuple(results), matching)


def ap_11(found: NDArray[np.number], precision: NDArray[np.float64], truths: float) -> float:
    """Mean of the highest precisions at recall of at least 0, 0.1, ..., 1 (VOC 2007 devkit).

    AP = 1/11 * sum over k = 0 ... 10 of max {precision : 10 * found >= k * truths}. This comparison
    is exact; with recall >= k / 10 rounding can exclude a recall of exactly 0.3.

    Args:
        found: (D,) objects found after each detection, not falling.
        precision: (D,) after each detection.
        truths: number of objects to find, positive.
    """
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best[np.searchsorted(10 * found, np.arange(11) * truths, "left")].mean())


def ap_area(found: NDArray[np.number], precision: NDArray[np.float64], truths: float) -> float:
    """Area under the precision-recall curve with precisions that do not rise (VOC 2010 devkit,
    section 3.4.1): the precision at a recall becomes the greatest precision at any higher recall.

    Arguments as in :func:`ap_11`.
    """
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(found, prepend=0) * best).sum() / truths)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
