"""Hard negative mining (R-CNN paper, appendix B; the released code's one pass with eviction)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.heads.svm import ExampleStore, LinearSvm
from sppdet.settings import MiningSettings


class ClassMiner:
    """The SVM of one class and the examples that it is trained on.

    Attributes:
        svm: the SVM for features of the scaled norm; None while one kind of example is missing.
    """

    def __init__(
        self,
        dimension: int,
        num_classes: int,
        scale: float,
        settings: MiningSettings,
        workers: int = 1,
    ) -> None:
        self.svm: LinearSvm | None = None
        self._store = ExampleStore(dimension, workers)
        self._scale = scale
        self._settings = settings
        self._max_negatives = min(settings.max_negatives, settings.room(dimension, num_classes))
        self._scores = np.zeros(0, np.float32)
        self._waiting: list[tuple[Tensor, NDArray[np.int8], NDArray[np.int64]]] = []
        self._hard = 0

    def add(self, features: Tensor, sign: int, images: NDArray[np.int64]) -> None:
        """Add unscaled half-precision features (M, dimension), positives (1) or negatives (-1)."""
        if len(features):
            signs = np.full(len(features), sign, np.int8)
            self._waiting.append((features * self._scale, signs, images))

    def offer(self, features: Tensor, image: int) -> None:
        """Add hard negatives (M, dimension) of one image; trains again when there are enough."""
        self.add(features, -1, np.full(len(features), image))
        self._hard += len(features)
        if self._hard >= min(self._settings.retrain_after, self._max_negatives):
            self.train()

    def train(self) -> None:
        """Train on all examples, then evict the easy negatives."""
        if self._waiting:
            self._store.add(
                torch.cat([features for features, _, _ in self._waiting]),
                np.concatenate([signs for _, signs, _ in self._waiting]),
                np.concatenate([images for _, _, images in self._waiting]),
            )
            self._waiting = []
        self._hard = 0
        fitted = self._store.fit(self._settings.cost, self._settings.positive_weight)
        if fitted is None:
            return
        self.svm, scores = fitted
        keep = (self._store.signs > 0) | (scores >= self._settings.evict_score)
        negatives = np.flatnonzero(keep & (self._store.signs < 0))
        surplus = len(negatives) - self._max_negatives
        if surplus > 0:  # the hardest stay
            keep[negatives[np.argsort(scores[negatives], kind="stable")[:surplus]]] = False
        self._store.keep(keep)

    def without(self, images: NDArray[np.int64]) -> LinearSvm | None:
        """An SVM trained on the same examples but those of ``images``."""
        subset = ~np.isin(self._store.images, images)
        fitted = self._store.fit(self._settings.cost, self._settings.positive_weight, subset)
        return fitted[0] if fitted else None

    def __len__(self) -> int:
        return len(self._store)


def stack_svms(svms: list[LinearSvm | None], dimension: int, scale: float) -> tuple[Tensor, Tensor]:
    """Weights (K, dimension) and biases (K,) for unscaled features; the bias of None is NaN."""
    weight = np.zeros((len(svms), dimension), np.float32)
    bias = np.full(len(svms), np.nan, np.float32)
    for index, svm in enumerate(svms):
        if svm is not None:
            weight[index], bias[index] = svm.weight * scale, svm.bias
    return torch.from_numpy(weight), torch.from_numpy(bias)
