"""The probability from which a detection is shown: where F1 is best on images not learned from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import NDArray

UNKNOWN = 0.35
"""The threshold of a class of which nothing was found on the folds. With calibrated probabilities
F1 is best at a threshold of half its best value (Lipton et al., 2014); small detectors reach an F1
of about 0.7."""


@dataclass(frozen=True)
class BestF1:
    """Attributes:
    threshold: least probability of a detection, in (0, 1).
    f1: 2 TP / (detections + objects) at the threshold; 0 where nothing is found at any.
    """

    threshold: float
    f1: float


def best_f1(probabilities: NDArray[np.float32], right: NDArray[np.bool_], objects: int) -> BestF1:
    """The threshold of one class at which F1 is best; of several the highest.

    It lies in the middle between the last detection that is kept and the next.

    Args:
        probabilities: (N,), of the detections.
        right: (N,), which are true positives.
        objects: number of annotated objects.
    """
    order = np.argsort(-probabilities, kind="stable")
    values = probabilities[order].astype(np.float64)
    hits = np.cumsum(right[order])
    f1 = 2 * hits / np.maximum(np.arange(1, len(values) + 1) + objects, 1)
    ends = np.flatnonzero(np.append(np.diff(values) < 0, True))[: len(values)]  # equal ones as one
    if len(values) == 0 or hits[-1] == 0:
        return BestF1(UNKNOWN, 0.0)
    best = int(ends[np.argmax(f1[ends])])
    below = values[best + 1] if best + 1 < len(values) else 0.0
    return BestF1(float(np.clip((values[best] + below) / 2, 1e-4, 1 - 1e-4)), float(f1[best]))


def mean_f1(results: Sequence[BestF1]) -> float:
    """Mean over classes; 0 without any."""
    return float(np.mean([one.f1 for one in results])) if results else 0.0


def least_probabilities(
    threshold: float | Mapping[str, float] | None,
    classes: Sequence[str],
    own: Sequence[float],
) -> NDArray[np.float32] | None:
    """The thresholds of all classes (K,) that a caller asks for, or none.

    Args:
        threshold: for all classes, or a mapping from names of classes; None means none.
        classes: names of the K classes.
        own: the thresholds (K,) of classes that a mapping does not name.

    Raises:
        ValueError: it names another class, or is not a number from 0 to 1.
    """
    if threshold is None:
        return None
    if not isinstance(threshold, Mapping):
        threshold = dict.fromkeys(classes, threshold)
    for name, value in threshold.items():
        if name not in classes:
            raise ValueError(
                f"threshold names the class {name!r}: choose from {', '.join(classes)}"
            )
        if not _is_probability(value):
            raise ValueError(f"threshold is {value!r}: give a number from 0 to 1, or None")
    pairs = zip(classes, own, strict=True)
    return np.array([threshold.get(name, value) for name, value in pairs], np.float32)


def _is_probability(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) <= 1
