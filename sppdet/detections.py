"""The result of detection."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import Boxes, as_boxes

_SHOWN = 5
"""Detections that ``repr`` lists."""


@dataclass(frozen=True, repr=False)
class Detections:
    """The objects found in one image, best score first.

    Attributes:
        boxes: (N, 4) float32, xyxy in pixels of the image, half-open.
        labels: (N,) int64, index into ``classes``.
        scores: (N,) float32, higher is surer. A detector gives probabilities in (0, 1);
            results that were read from elsewhere may have any scale.
        classes: the names of all classes that the detector knows.
        seconds: the time that each stage took, in seconds, in the order of the stages.

    Examples:
        >>> boxes = [[0, 0, 5, 5], [2, 2, 8, 9]]
        >>> Detections(boxes, [1, 0], [0.41, 0.93], ("apple", "pear"))
        Detections(2: apple .93, pear .41)
    """

    boxes: Boxes
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    classes: tuple[str, ...]
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        boxes = as_boxes(self.boxes)
        labels = np.asarray(self.labels, np.int64).reshape(-1)
        scores = np.asarray(self.scores, np.float32).reshape(-1)
        if not len(boxes) == len(labels) == len(scores):
            raise ValueError(f"{len(boxes)} boxes, {len(labels)} labels, {len(scores)} scores")
        if len(labels) and not (labels.min() >= 0 and labels.max() < len(self.classes)):
            raise ValueError(f"labels must lie in 0 .. {len(self.classes) - 1}")
        order = np.argsort(-scores, kind="stable")
        object.__setattr__(self, "boxes", boxes[order])
        object.__setattr__(self, "labels", labels[order])
        object.__setattr__(self, "scores", scores[order])
        object.__setattr__(self, "classes", tuple(self.classes))

    @staticmethod
    def none(classes: tuple[str, ...]) -> "Detections":
        """No detections, of a detector that knows ``classes``."""
        empty = np.zeros(0, np.int64)
        return Detections(np.zeros((0, 4), np.float32), empty, np.zeros(0, np.float32), classes)

    def __repr__(self) -> str:
        """Number, classes and scores, in one line: ``Detections(2: apple .93, pear .41)``."""
        shown = [
            f"{self.classes[label]} {f'{score:.2f}'.removeprefix('0')}"
            for label, score in zip(self.labels[:_SHOWN], self.scores[:_SHOWN], strict=True)
        ]
        rest = [f"and {len(self) - _SHOWN} more"] if len(self) > _SHOWN else []
        listed = f": {', '.join(shown + rest)}" if shown else ""
        return f"Detections({len(self)}{listed})"

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, keep: NDArray[Any]) -> "Detections":
        """The detections that ``keep`` (a mask or indices) chooses."""
        return Detections(
            self.boxes[keep], self.labels[keep], self.scores[keep], self.classes, self.seconds
        )

    def to_json(self) -> list[dict[str, Any]]:
        """``[{"label", "score", "box": [x1, y1, x2, y2]}, ...]``, best first."""
        return [
            {
                "label": self.classes[label],
                "score": round(float(score), 4),
                "box": [round(float(value), 1) for value in box],
            }
            for box, label, score in zip(self.boxes, self.labels, self.scores, strict=True)
        ]
