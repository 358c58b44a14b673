"""A linear SVM with hinge loss, trained on the Gram matrix of its examples.

A pyramid's features are far longer (12,800 and more) than a class has examples (hundreds to
thousands), so that the dual problem needs little more than the products of the examples. These are
computed once per pair by matrix multiplication and kept while mining adds and evicts examples;
scikit-learn's SVC (libsvm, hinge loss) solves the dual problem. Examples that are too many for it
are read from the disk block by block (:mod:`sppdet.heads.streaming`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sppdet.heads.examples import ClassExamples
from sppdet.heads.streaming import fit_in_blocks


@dataclass(frozen=True)
class LinearSvm:
    """One class: score = features . weight + bias, for features of the examples' scale."""

    weight: NDArray[np.float32]
    bias: float


def fit_svm(examples: ClassExamples, cost: float, positive_weight: float) -> LinearSvm | None:
    """Minimise |w|^2 / 2 + cost * sum_i c_i max(0, 1 - y_i (w . x_i + b)).

    c_i is ``positive_weight`` for a positive and 1 for a negative; b is not penalised.

    Returns:
        The SVM; None without both kinds of examples.
    """
    if not examples.learnable:
        return None
    if examples.in_blocks:
        costs = np.where(examples.signs > 0, cost * positive_weight, cost)
        return LinearSvm(*fit_in_blocks(examples, costs))
    from sklearn.svm import SVC  # a detection does not need it

    machine = SVC(
        C=cost,
        kernel="precomputed",
        class_weight={1: positive_weight, -1: 1.0},
        tol=1e-4,
        cache_size=50,  # megabytes; a product is looked up as quickly in the Gram matrix
    )
    machine.fit(examples.gram_doubles(), examples.signs)  # of float32 the SVC makes its own copy
    duals = machine.dual_coef_[0].astype(np.float32)
    weight = examples.combine(duals[None], machine.support_.astype(np.int64))[0]
    return LinearSvm(weight, float(machine.intercept_[0]))
