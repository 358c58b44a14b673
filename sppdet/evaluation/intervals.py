"""How sure a mean AP is: bootstrap over images (Efron and Tibshirani, 1993, chapter 13)."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sppdet.evaluation.voc import ClassResult, VocResult

_CELLS = 4_000_000
"""Sample weights held at a time: bounds the memory."""

MEASURES = ("map_11", "map_area")


@dataclass(frozen=True)
class Interval:
    """Bounds of the middle 95 % of the bootstrap samples."""

    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Is B better than A?

    Attributes:
        difference: mean AP of B minus that of A, on the given images, each counted once.
        low, high: 95 % interval of the difference.
        better: the part of the samples in which B is better (ties count half).
    """

    difference: float
    low: float
    high: float
    better: float

    def verdict(self) -> str:
        """A sentence; it claims a difference only where the interval excludes 0."""
        if self.low > 0:
            return "B is better than A"
        if self.high < 0:
            return "A is better than B"
        return "these images do not show which is better"

    def to_json(self) -> dict[str, Any]:
        """The attributes and the verdict."""
        return {**asdict(self), "verdict": self.verdict()}


def bootstrap(
    result: VocResult, images: int, samples: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """95 % intervals of ``map_11``, ``map_area`` and, under its name, the area AP of every class.

    A sample draws N images of N with replacement. A class without objects in a sample is left out
    of the mean of this sample.

    Args:
        result: the evaluation.
        images: number of images of the data set.
        samples: bootstrap samples.
        seed: of the draws.
    """
    eleven, area = _sampled(result, images, samples, seed)
    tables = {"map_11": _row_means(eleven), "map_area": _row_means(area)}
    tables |= {entry.name: area[:, k] for k, entry in enumerate(result.classes) if entry.truths}
    return {name: _interval(values) for name, values in tables.items()}


def compare(
    a: VocResult, b: VocResult, images: int, samples: int = 1000, seed: int = 0
) -> dict[str, Comparison]:
    """``map_11`` and ``map_area`` of B against A, with the same images drawn for both.

    Raises:
        ValueError: the results have different classes.
    """
    return compare_classes(a, b, images, samples, seed)[0]


def compare_classes(
    a: VocResult, b: VocResult, images: int, samples: int = 1000, seed: int = 0
) -> tuple[dict[str, Comparison], dict[str, Comparison]]:
    """As :func:`compare`, and the area AP of every class that has objects, under its name.

    A sample in which a class has no object does not count for it.

    Raises:
        ValueError: the results have different classes.
    """
    if [entry.name for entry in a.classes] != [entry.name for entry in b.classes]:
        raise ValueError("the results have different classes")
    both = [_sampled(result, images, samples, seed) for result in (a, b)]
    comparisons = {}
    for k, measure in enumerate(MEASURES):
        change = _row_means(both[1][k]) - _row_means(both[0][k])
        actual = (getattr(b, measure) or 0.0) - (getattr(a, measure) or 0.0)
        comparisons[measure] = _comparison(actual, change)
    changes = both[1][1] - both[0][1]
    classes = {
        one.name: _comparison((other.ap_area or 0.0) - (one.ap_area or 0.0), changes[:, k])
        for k, (one, other) in enumerate(zip(a.classes, b.classes, strict=True))
        if one.truths
    }
    return comparisons, classes


def _comparison(actual: float, change: NDArray[np.float64]) -> Comparison:
    """Of the difference itself and the differences of the samples, NaN where there is none."""
    interval, known = _interval(change), change[~np.isnan(change)]
    better = float(np.mean((known > 0) + 0.5 * (known == 0))) if len(known) else 0.5
    return Comparison(actual, interval.low, interval.high, better)


def _sampled(
    result: VocResult, images: int, samples: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """11-point and area AP, (samples, classes) each; NaN for a class without ground truth."""
    random = np.random.default_rng(seed)
    truths = result.matching.truths
    per_image = np.zeros((images, len(result.classes)))
    np.add.at(per_image, (truths.images[truths.counted], truths.labels[truths.counted]), 1)
    widest = max([len(entry.scores) for entry in result.classes], default=0)
    step = max(1, min(samples, _CELLS // max(widest, images, 1)))
    parts = []
    for begin in range(0, samples, step):
        count = min(step, samples - begin)
        weights = random.multinomial(images, np.full(images, 1 / images), size=count)
        totals = weights @ per_image
        parts.append([_weighted(e, weights, totals[:, k]) for k, e in enumerate(result.classes)])
    table = np.concatenate([np.stack(part, axis=1) for part in parts])
    return table[:, :, 0], table[:, :, 1]


def _weighted(
    entry: ClassResult, weights: NDArray[np.int64], truths: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(S, 2): 11-point and area AP where image i counts weights[s, i] times.

    Copies of an image are neighbours in the ranking. Only the points after the last copy of a true
    positive matter, and the cumulative sums are taken there.
    """
    drawn = weights[:, entry.images]
    taken = np.cumsum(drawn, axis=1)[:, entry.hits]
    gained = drawn[:, entry.hits]
    found = np.cumsum(gained, axis=1)
    precision = found / np.maximum(taken, 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    safe = np.maximum(truths, 1)
    area = (gained * best).sum(axis=1) / safe
    best = np.concatenate([best, np.zeros((len(best), 1))], axis=1)
    eleven = np.zeros(len(best))
    for tenth in range(11):
        first = (10 * found < tenth * truths[:, None]).sum(axis=1)
        eleven += np.take_along_axis(best, first[:, None], axis=1)[:, 0] / 11
    return np.where(truths[:, None] > 0, np.stack([eleven, area], axis=1), np.nan)


def _row_means(table: NDArray[np.float64]) -> NDArray[np.float64]:
    known = ~np.isnan(table)
    count = known.sum(axis=1)
    return np.where(count > 0, np.where(known, table, 0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _interval(values: NDArray[np.float64]) -> Interval:
    """0 to 1, all that an AP can be, where no value is known."""
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return Interval(0.0, 1.0)
    low, high = np.percentile(known, [2.5, 97.5])
    return Interval(float(low), float(high))
