"""Two detectors as one (SPP-net paper, section 4.4, model combination)."""

from collections.abc import Sequence

import numpy as np

from sppdet.boxes import nms
from sppdet.detections import Detections


def combine(found: Sequence[Detections], iou: float = 0.3) -> Detections:
    """The detections of several detectors in one image, as those of one detector.

    The union of what they found is suppressed per class: a surer detection of one removes those of
    the others that overlap it. Scores are the calibrated probabilities of each detector, which is
    what makes them comparable.

    Args:
        found: one entry per detector, without a threshold; classes are matched by name.
        iou: of two detections of a class whose IoU is above this, the surer stays (0.3 in the
            paper). Among equal scores the earlier detector's stays.

    Returns:
        The detections, the surest first; the classes of the first detector, then further ones. The
        seconds are the sums.

    Raises:
        ValueError: ``found`` is empty, or the sizes of the image differ.
    """
    if not found:
        raise ValueError("found is empty: give the detections of at least one detector")
    sizes = {one.size for one in found if one.size is not None}
    if len(sizes) > 1:
        raise ValueError(f"the detections are of images of different sizes: {sorted(sizes)}")
    classes = tuple(dict.fromkeys(name for one in found for name in one.classes))
    numbers = [np.array([classes.index(name) for name in one.classes], np.int64) for one in found]
    boxes = np.concatenate([one.boxes for one in found])
    scores = np.concatenate([one.scores for one in found])
    labels = np.concatenate(
        [own[one.labels] for own, one in zip(numbers, found, strict=True)]
    ).astype(np.int64)
    kept = [np.zeros(0, np.int64)]
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        kept.append(rows[nms(boxes[rows], scores[rows], iou)])
    best = np.concatenate(kept)
    best = best[np.argsort(-scores[best], kind="stable")]
    seconds: dict[str, float] = {}
    for one in found:
        for name, value in one.seconds.items():
            seconds[name] = seconds.get(name, 0.0) + value
    size = next(iter(sizes), None)
    return Detections(boxes[best], labels[best], scores[best], classes, seconds, size=size)
