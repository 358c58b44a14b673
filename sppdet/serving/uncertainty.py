"""How much the labels of a photograph teach: uncertain scores, and folds that disagree.

The training fits the SVMs three times more, each time without a third of the photographs
(:mod:`sppdet.serving.learning.folding`). In a photograph that nobody has labelled yet these three
are a committee: where they disagree, the labels so far do not settle what is there (query by
committee, Seung, Opper and Sompolinsky 1992).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sppdet.features.regions import Regions
from sppdet.heads.base import Scorer
from sppdet.heads.linear import LinearScorer

COUNTED = 10
"""Detections of a photograph that count, the likeliest."""


def uncertainty(likely: NDArray[np.float32], of_folds: NDArray[np.float32] | None = None) -> float:
    """How much a photograph teaches, from its detections.

    The sum over its detections of ``p (1 - p) + v``. p is the probability of a detection, and v is
    the mean over the folds of ``(q - m)^2``, where q is the probability that the SVM of a fold
    gives it and m is the mean of these. The first term is the variance of an outcome of
    probability p; the second one is how much of it further labels can settle. The first one is at
    most 1/4, the second one at most 2/9 with three folds.

    Args:
        likely: (N,), the probabilities.
        of_folds: (F, N), those of the folds; NaN where a fold knows no such class. None without
            folds.
    """
    own = likely[:COUNTED].astype(np.float64)
    total = float((own * (1 - own)).sum())
    if of_folds is not None and of_folds.size:
        given = of_folds[:, :COUNTED].astype(np.float64)
        known = np.isfinite(given)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, given, 0).sum(axis=0) / count
        total += float((np.where(known, given - mean, 0) ** 2).sum(axis=0) @ (1 / count))
    return total


def fold_probabilities(
    regions: Regions,
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    scorer: Scorer,
    folds: Sequence[LinearScorer],
) -> NDArray[np.float32] | None:
    """What the SVMs of the folds say about detections, by the calibration of the detector.

    Args:
        regions: of the photograph.
        rows: (N,), the proposals of the detections.
        labels: (N,), their classes.
        scorer: of the detector.
        folds: the SVMs of the folds.

    Returns:
        (F, N); None without folds.
    """
    if not folds or not len(rows):
        return None
    features = regions.features(regions.keys[rows])
    places = np.arange(len(rows))
    scores = [fold.score(features).cpu().numpy()[places, labels] for fold in folds]
    return np.stack([scorer.probabilities(one, labels) for one in scores])
