"""The kinds of a detector's errors, and the AP that each kind costs (Hoiem et al., 2012)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sppdet.evaluation.matching import HIT, IGNORED, MISTAKE, best_overlap
from sppdet.evaluation.voc import ClassResult, VocResult, ap_area

KINDS = ("localisation", "duplicate", "similar class", "other class", "background")
LEAST_OVERLAP = 0.1
"""IoU from which a mistake has to do with an object (Hoiem et al., 2012, section 2.2)."""

VOC_GROUPS = (
    ("aeroplane", "bicycle", "boat", "bus", "car", "motorbike", "train"),
    ("chair", "diningtable", "sofa"),
    ("bird", "cat", "cow", "dog", "horse", "sheep"),
)
"""Classes that are similar to each other, from the same paper. No other classes are similar."""


@dataclass(frozen=True)
class Errors:
    """The false positives and missed objects of an evaluation.

    Attributes:
        kind: (D,) int64, index into KINDS for every false positive, -1 for all other
            detections; the rows are those of ``VocResult.matching``.
        top: per class, the number of each kind among its best N detections, where N is the number
            of its objects.
        gains: mean area AP gained if a kind did not occur: localisation errors become true
            positives (the best one of each missed object; the others are removed); errors of the
            other kinds are removed; "missed": objects that no detection found are removed.
    """

    kind: NDArray[np.int64]
    top: dict[str, dict[str, int]]
    gains: dict[str, float]


def analyse(result: VocResult, groups: Sequence[Sequence[str]] = VOC_GROUPS) -> Errors:
    """Sort the false positives of a result into kinds.

    With o the greatest IoU with an object of its class and t the threshold, a false positive is a
    duplicate if o >= t (a better detection has found the object) and a localisation error if
    0.1 <= o < t. Otherwise it is a confusion if its IoU with an object of a similar or another
    class is at least 0.1, and background if it is not.

    Args:
        result: the evaluation.
        groups: names of classes that are similar to each other.
    """
    kind = _kinds(result, groups)
    top = {}
    for label, entry in enumerate(result.classes):
        rows = np.flatnonzero(result.matching.found.labels == label)
        rows = rows[result.matching.outcome[rows] != IGNORED][: entry.truths]
        counts = np.bincount(kind[rows][kind[rows] >= 0], minlength=len(KINDS))
        top[entry.name] = dict(zip(KINDS, map(int, counts), strict=True))
    return Errors(kind, top, _gains(result, kind))


def _kinds(result: VocResult, groups: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    found, truths = result.matching.found, result.matching.truths
    names = [entry.name for entry in result.classes]
    group = {name: k for k, members in enumerate(groups) for name in members}
    of_class = np.array([group.get(n, len(groups) + k) for k, n in enumerate(names)], np.int64)
    _, anywhere = best_overlap(found.boxes, found.images, truths.boxes, truths.images)
    span = len(groups) + len(names)
    _, alike = best_overlap(
        found.boxes,
        found.images * span + of_class[found.labels],
        truths.boxes,
        truths.images * span + of_class[truths.labels],
    )
    kind = np.select(
        [
            result.matching.overlap >= result.iou,
            result.matching.overlap >= LEAST_OVERLAP,
            alike >= LEAST_OVERLAP,
            anywhere >= LEAST_OVERLAP,
        ],
        [KINDS.index(k) for k in ("duplicate", "localisation", "similar class", "other class")],
        KINDS.index("background"),
    )
    return np.where(result.matching.outcome == MISTAKE, kind, -1).astype(np.int64)


def _gains(result: VocResult, kind: NDArray[np.int64]) -> dict[str, float]:
    if result.map_area is None:
        return {}
    match = result.matching
    outcomes = {}
    for index, name in enumerate(KINDS):
        changed = np.where(kind == index, IGNORED, match.outcome)
        if name == "localisation":
            rows = np.flatnonzero(kind == index)
            rows = rows[
                (match.hit_by[match.truth[rows]] < 0) & match.truths.counted[match.truth[rows]]
            ]
            _, first = np.unique(match.truth[rows], return_index=True)
            changed[rows[first]] = HIT
        outcomes[name] = changed
    gains = {
        name: _mean_ap(result, changed, [entry.truths for entry in result.classes])
        - result.map_area
        for name, changed in outcomes.items()
    }
    reached = [int(entry.hits.sum()) for entry in result.classes]
    gains["missed"] = _mean_ap(result, match.outcome, reached) - result.map_area
    return gains


def _mean_ap(result: VocResult, outcome: NDArray[np.integer[Any]], truths: list[int]) -> float:
    """Mean area AP with other outcomes, over the classes that have objects in ``result``."""
    values = []
    for label, entry in enumerate(result.classes):
        if entry.truths == 0:
            continue
        rows = outcome[(result.matching.found.labels == label) & (outcome != IGNORED)]
        found = np.cumsum(rows == HIT)
        precision = found / np.arange(1, len(rows) + 1)
        values.append(ap_area(found, precision, truths[label]) if truths[label] else 0.0)
    return float(np.mean(values))


def operating_point(entry: ClassResult) -> dict[str, float] | None:
    """The threshold with the best F1 of a class: {"score", "precision", "recall", "f1"}.

    None for a class without objects or without a true positive. Detections with equal scores are
    always on the same side of the threshold.
    """
    if entry.truths == 0 or not entry.hits.any():
        return None
    last = np.append(entry.scores[1:] != entry.scores[:-1], True)
    precision, recall = entry.precision, entry.recall_curve
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    best = int(np.argmax(np.where(last, f1, -1)))
    return {
        "score": float(entry.scores[best]),
        "precision": float(precision[best]),
        "recall": float(recall[best]),
        "f1": float(f1[best]),
    }


def groups_of(categories: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Groups of similar classes from the supercategories of COCO categories."""
    groups: dict[str, list[str]] = {}
    for entry in categories:
        if entry.get("supercategory"):
            groups.setdefault(str(entry["supercategory"]), []).append(str(entry["name"]))
    return list(groups.values())
