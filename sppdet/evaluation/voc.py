"""Average precision by the rules of PASCAL VOC's development kit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import iou
from sppdet.datasets import Annotations
from sppdet.detections import Detections


@dataclass(frozen=True)
class ClassResult:
    """One class.

    Attributes:
        recall, precision: after each detection, best score first (both (D,) float64).
        truths: number of objects that count (not difficult, no crowd).
    """

    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    truths: int

    @property
    def ap_11(self) -> float | None:
        """VOC 2007: mean of the best precision at recall >= 0, 0.1, ... 1; None without objects."""
        if self.truths == 0:
            return None
        best = [self.precision[self.recall >= level].max(initial=0) for level in _ELEVEN]
        return float(np.mean(best))

    @property
    def ap_area(self) -> float | None:
        """VOC 2010 on: area under the precision made monotone; None without objects."""
        if self.truths == 0:
            return None
        recall = np.concatenate([[0.0], self.recall, [1.0]])
        precision = np.concatenate([[0.0], self.precision, [0.0]])
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        return float((np.diff(recall) * envelope[1:]).sum())


_ELEVEN = np.arange(11) / 10


@dataclass(frozen=True)
class VocResult:
    """All classes, by name."""

    classes: dict[str, ClassResult]

    @property
    def map_11(self) -> float | None:
        """Mean of ``ap_11`` over the classes that have objects."""
        return _mean([result.ap_11 for result in self.classes.values()])

    @property
    def map_area(self) -> float | None:
        """Mean of ``ap_area`` over the classes that have objects."""
        return _mean([result.ap_area for result in self.classes.values()])

    def to_json(self) -> dict[str, Any]:
        """``{"map_11", "map_area", "classes": {NAME: {"ap_11", "ap_area", "truths", "recall"}}}``."""
        return {
            "map_11": self.map_11,
            "map_area": self.map_area,
            "classes": {
                name: {
                    "ap_11": result.ap_11,
                    "ap_area": result.ap_area,
                    "truths": result.truths,
                    "recall": float(result.recall[-1]) if len(result.recall) else 0.0,
                }
                for name, result in self.classes.items()
            },
        }


def evaluate_voc(
    detections: Sequence[Detections],
    annotations: Sequence[Annotations],
    classes: Sequence[str],
    minimum_iou: float = 0.5,
) -> VocResult:
    """Evaluate one :class:`Detections` per image against the image's annotations.

    A detection is matched to the object of its class that it overlaps most. It is right when that
    overlap reaches ``minimum_iou`` and no better detection was matched to the object; it is ignored
    when the object is difficult or a crowd; otherwise it is wrong. Ties in the score keep the order
    of the images and, within one, of the detections. Overlaps are of half-open boxes.
    """
    return VocResult(
        {
            name: _evaluate_class(detections, annotations, label, minimum_iou)
            for label, name in enumerate(classes)
        }
    )


def _evaluate_class(
    detections: Sequence[Detections],
    annotations: Sequence[Annotations],
    label: int,
    minimum_iou: float,
) -> ClassResult:
    scores, kinds, objects = [], [], []
    offset = truths = 0
    for found, truth in zip(detections, annotations, strict=True):
        mine, own = found.labels == label, truth.labels == label
        counts = ~(truth.difficult | truth.crowd)[own]
        boxes = found.boxes[mine]
        scores.append(found.scores[mine])
        best = np.full(len(boxes), -1)
        kind = np.full(len(boxes), _WRONG)
        if own.any() and len(boxes):
            overlap = iou(boxes.astype(np.float64), truth.boxes[own].astype(np.float64))  # type: ignore[arg-type]
            best = overlap.argmax(axis=1)
            reached = overlap[np.arange(len(boxes)), best] >= minimum_iou
            kind = np.where(reached, np.where(counts[best], _RIGHT, _IGNORED), _WRONG)
        kinds.append(kind)
        objects.append(best + offset)
        offset += int(own.sum())
        truths += int(counts.sum())
    empty = np.zeros(0, np.int64)
    order = np.argsort(-np.concatenate([np.zeros(0, np.float32), *scores]), kind="stable")
    kind = np.concatenate([empty, *kinds])[order]
    target = np.concatenate([empty, *objects])[order]
    right = np.flatnonzero(kind == _RIGHT)
    _, first = np.unique(target[right], return_index=True)
    hit = np.zeros(len(kind), bool)
    hit[right[first]] = True
    hit = hit[kind != _IGNORED]
    hits, seen = np.cumsum(hit), np.arange(1, len(hit) + 1)
    return ClassResult(hits / max(truths, 1), hits / seen, truths)


_RIGHT, _WRONG, _IGNORED = 0, 1, 2


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
