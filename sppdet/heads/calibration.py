"""From scores to probabilities that a detection is right (Platt, 1999)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sppdet.heads.base import Judged

FEWEST = 5
"""Right (and wrong) detections that a class needs to be calibrated on its own."""


def uncalibrated(classes: int) -> NDArray[np.float32]:
    """(K, 2), slope 2 and offset 0 for each class: where nothing is known about its scores."""
    return np.tile(np.array([2, 0], np.float32), (classes, 1))


def fit_logistic(judged: Sequence[Judged]) -> NDArray[np.float32]:
    """Slope and offset per class, (K, 2), for :func:`logistic`.

    A class with too few detections takes the fit over all classes together; where even these are
    too few, see :func:`uncalibrated`. Slopes are positive, so that calibration never changes a
    ranking within a class.

    Args:
        judged: one entry per class, of detections on images that the scorer has not learned from.
    """
    fits = uncalibrated(len(judged))
    if judged:
        together = Judged(
            np.concatenate([one.scores for one in judged]),
            np.concatenate([one.right for one in judged]),
        )
        fits[:] = _fit(together) or fits[0]
    for label, one in enumerate(judged):
        fits[label] = _fit(one) or fits[label]
    return fits


def logistic(
    scores: NDArray[np.float32], labels: NDArray[np.int64], fits: NDArray[np.float32]
) -> NDArray[np.float32]:
    """1 / (1 + exp(-(slope * score + offset))) for scores (N,) of classes ``labels`` (N,)."""
    slope, offset = fits[labels].astype(np.float64).T
    result: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(slope * scores + offset, -60, 60)))
    return result.astype(np.float32)


def _fit(judged: Judged) -> tuple[float, float] | None:
    if min(judged.right.sum(), (~judged.right).sum()) < FEWEST:
        return None
    from sklearn.linear_model import LogisticRegression  # a detection does not need it

    model = LogisticRegression(C=1.0)
    model.fit(judged.scores[:, None].astype(np.float64), judged.right)
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    return (slope, offset) if slope > 1e-3 else None
