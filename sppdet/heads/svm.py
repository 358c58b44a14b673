"""Linear SVMs with hinge loss, trained on the Gram matrix of their examples.

A pyramid's features are far longer (12,800 and more) than a class has examples (hundreds to
thousands), so the dual problem needs little more than the products of the examples. These are
computed once per pair by matrix multiplication and kept while mining adds and evicts examples;
scikit-learn's SVC (libsvm, hinge loss) solves on them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.svm import SVC
from torch import Tensor

from sppdet.heads.gram import combine, products


@dataclass(frozen=True)
class LinearSvm:
    """One class: score = features . weight + bias."""

    weight: NDArray[np.float32]
    bias: float


class ExampleStore:
    """Positive and negative examples of one class in half precision, with their Gram matrix.

    Attributes:
        signs: (n,) int8, +1 for a positive, -1 for a negative.
        images: (n,) int64, the image from which each example comes.
    """

    def __init__(self, dimension: int, workers: int = 1) -> None:
        self._workers = workers
        self.signs = np.zeros(0, np.int8)
        self.images = np.zeros(0, np.int64)
        self._rows = torch.empty(0, dimension, dtype=torch.float16)
        self._gram = np.zeros((0, 0), np.float32)

    def __len__(self) -> int:
        return len(self.signs)

    def add(self, features: Tensor, signs: NDArray[np.int8], images: NDArray[np.int64]) -> None:
        """Add examples: (M, dimension) features of any floating type, (M,) signs and images."""
        if len(features) == 0:
            return
        new = features.detach().cpu().half()
        old = len(self)
        gram = np.empty((old + len(new), old + len(new)), np.float32)
        gram[:old, :old] = self._gram
        gram[old:, old:] = products(new, new, self._workers)
        if old:
            gram[:old, old:] = products(self._rows, new, self._workers)
            gram[old:, :old] = gram[:old, old:].T
        self._rows = torch.cat([self._rows, new])
        self._gram = gram
        self.signs = np.concatenate([self.signs, signs.astype(np.int8)])
        self.images = np.concatenate([self.images, images])

    def keep(self, mask: NDArray[np.bool_]) -> None:
        """Drop the examples outside ``mask``."""
        if mask.all():
            return
        index = np.flatnonzero(mask)
        self._rows = self._rows[torch.from_numpy(index)]
        self._gram = self._gram[np.ix_(index, index)]
        self.signs, self.images = self.signs[index], self.images[index]

    def fit(
        self, cost: float, positive_weight: float, subset: NDArray[np.bool_] | None = None
    ) -> tuple[LinearSvm, NDArray[np.float32]] | None:
        """Train on the examples (of ``subset``, a mask).

        Minimises |w|^2 / 2 + cost * sum of weighted hinge losses, the intercept unpenalised; losses
        of positives weigh ``positive_weight``.

        Returns:
            The SVM and the scores (n,) of all examples; None without both kinds of examples.
        """
        index = np.arange(len(self)) if subset is None else np.flatnonzero(subset)
        signs = self.signs[index]
        if not (signs > 0).any() or not (signs < 0).any():
            return None
        machine = SVC(
            C=cost, kernel="precomputed", class_weight={1: positive_weight, -1: 1.0}, tol=1e-4
        )
        whole = len(index) == len(self)
        gram = self._gram if whole else self._gram[np.ix_(index, index)]
        machine.fit(gram, signs)
        support = index[machine.support_]
        duals = machine.dual_coef_[0].astype(np.float32)
        bias = float(machine.intercept_[0])
        weight = combine(duals[None], self._rows[torch.from_numpy(support)])[0]
        scores = self._gram[:, support] @ duals + np.float32(bias)
        return LinearSvm(weight, bias), scores
