"""Which detections in a training image are right: the data of calibration."""

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import iou
from sppdet.selection import Scored, SelectionSettings, candidates, select
from sppdet.training_images import PreparedImage

Judged = list[tuple[NDArray[np.float32], NDArray[np.bool_]]]
"""Per class, the SVM scores of the detections and whether each is right."""


def judge(image: PreparedImage, scores: NDArray[np.float32], settings: SelectionSettings) -> Judged:
    """Detect among the proposals of an image and compare with its annotations at IoU 0.5.

    Boxes are not regressed: the regression has seen the image.

    The best detection of each object is right; others on it are wrong, as in evaluation. Detections
    of difficult objects and crowds are left out.

    Args:
        scores: (N, K), SVM scores of the image's boxes.
    """
    annotations = image.annotations
    proposals = np.arange(len(annotations.boxes), len(image.boxes))
    raw = np.tile(np.array([1, 0], np.float32), (scores.shape[1], 1))
    rows, labels = candidates(scores[proposals], raw, settings)
    rows = proposals[rows]
    scored = Scored(image.boxes[rows], labels, scores[rows, labels])
    kept, boxes = select(scored, raw, settings)
    labels, values = labels[kept], scored.scores[kept]
    usable = ~(annotations.difficult | annotations.crowd)
    judged = []
    for label in range(scores.shape[1]):
        mine, own = labels == label, annotations.labels == label
        hit = iou(boxes[mine], annotations.boxes)[:, own] >= 0.5
        first = hit & (np.cumsum(hit, axis=0) == 1) & usable[own]
        ignored = (hit & ~usable[own]).any(axis=1)
        judged.append((values[mine][~ignored], first.any(axis=1)[~ignored]))
    return judged
