"""From SVM scores to probabilities that a detection is right (Platt, 1999)."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

FEWEST = 5
"""Right (and wrong) detections that a class needs to be calibrated on its own."""


def fit_logistic(
    scores: list[NDArray[np.float32]], right: list[NDArray[np.bool_]]
) -> NDArray[np.float32]:
    """Slope and offset per class, (K, 2), so that 1 / (1 + exp(-(slope * score + offset))) is the
    probability of being right.

    A class with too few examples takes the fit over all classes together; where even these are too
    few, slope 2 and offset 0. Slopes are positive, so that calibration never changes a ranking
    within a class.

    Args:
        scores: per class, the SVM scores of detections on images that the SVM did not see.
        right: per class, whether each detection is right.
    """
    together = _fit(np.concatenate(scores), np.concatenate(right)) if scores else None
    fallback = together if together is not None else (2.0, 0.0)
    fits = [_fit(s, r) for s, r in zip(scores, right, strict=True)]
    return np.array([fit if fit is not None else fallback for fit in fits], np.float32).reshape(
        -1, 2
    )


def probabilities(
    scores: NDArray[np.float32], labels: NDArray[np.int64], fits: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Probabilities (N,) of detections with SVM scores (N,) of classes ``labels`` (N,)."""
    slope, offset = fits[labels].astype(np.float64).T
    return (1 / (1 + np.exp(-np.clip(slope * scores + offset, -60, 60)))).astype(np.float32)


def _fit(scores: NDArray[np.float32], right: NDArray[np.bool_]) -> tuple[float, float] | None:
    if min(right.sum(), (~right).sum()) < FEWEST:
        return None
    model = LogisticRegression(C=1.0).fit(scores[:, None].astype(np.float64), right)
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    return (slope, offset) if slope > 1e-3 else None
