"""Very long images, seen in parts: as a whole they are searched, and convolved, at a few rows only.

The search scales an image by its longer side, so that of one of 25:1 a strip of 20 pixels is left,
in which no object has the least size of a proposal.
"""

from collections.abc import Callable, Sequence

import numpy as np

from sppdet.boxes import nms
from sppdet.detections import Detections
from sppdet.images import Rgb
from sppdet.images import is_panorama as is_panorama

PART = 4
"""Length of a part in short sides; parts overlap by one short side, so that an object which is not
longer than that lies whole in one of them."""

MOST_PARTS = 100
"""Of an image; the parts of a line of pixels are longer."""


def parts_of(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """The parts of an image, as xyxy in pixels: equal lengths along the longer side."""
    length, short = max(width, height), min(width, height)
    step = max((PART - 1) * short, -(-length // MOST_PARTS))
    count = max(-(-(length - short) // step), 1)
    size = min(step + short, length)
    starts = np.linspace(0, length - size, count).round().astype(int).tolist()
    if width >= height:
        return [(start, 0, start + size, height) for start in starts]
    return [(0, start, width, start + size) for start in starts]


def detect_in_parts(
    image: Rgb, detect: Callable[[Rgb], Detections], classes: Sequence[str], iou: float
) -> Detections:
    """The detections of all parts in pixels of the image; of those of a class that overlap by more
    than ``iou`` the best one."""
    none = Detections.none(tuple(classes))
    boxes, labels, scores = [none.boxes], [none.labels], [none.scores]
    seconds: dict[str, float] = {}
    for x1, y1, x2, y2 in parts_of(image.shape[1], image.shape[0]):
        found = detect(np.ascontiguousarray(image[y1:y2, x1:x2]))
        boxes.append(found.boxes + np.array([x1, y1, x1, y1], np.float32))
        labels.append(found.labels)
        scores.append(found.scores)
        for name, value in found.seconds.items():
            seconds[name] = seconds.get(name, 0.0) + value
    every = Detections(
        np.concatenate(boxes),
        np.concatenate(labels),
        np.concatenate(scores),
        tuple(classes),
        seconds,
    )
    kept = [
        rows[nms(every.boxes[rows], every.scores[rows], iou)]
        for label in range(len(classes))
        for rows in [np.flatnonzero(every.labels == label)]
    ]
    return every.select(np.sort(np.concatenate(kept)) if kept else np.zeros(0, np.int64))
