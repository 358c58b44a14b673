"""Class-specific linear box regression (R-CNN paper, appendix C)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.kernel_ridge import KernelRidge
from torch import Tensor

from sppdet.boxes import Boxes, encode
from sppdet.gram import combine, products


@dataclass(frozen=True)
class RegressionSettings:
    """Attributes:
    minimum_iou: a proposal is an example of the class whose truth it overlaps by more than this.
    ridge: the penalty; 4000 in SPP-net's code, 1000 in R-CNN's, for features of norm 20.
    max_examples: examples per class, spread evenly over its images.
    """

    minimum_iou: float = 0.5
    ridge: float = 4000.0
    max_examples: int = 2500


@dataclass(frozen=True)
class BoxRegressor:
    """Deltas of one class: features @ weight.T + bias, for :func:`sppdet.boxes.decode`."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


class RegressionExamples:
    """Features of proposals and the deltas to their truths, for one class, in half precision."""

    def __init__(self) -> None:
        self._features: list[Tensor] = []
        self._targets: list[NDArray[np.float32]] = []

    def add(self, features: Tensor, proposals: Boxes, truths: Boxes) -> None:
        """Add (M, dimension) features, (M, 4) proposals and the (M, 4) truths that they overlap."""
        self._features.append(features.detach().cpu().half())
        self._targets.append(encode(proposals, truths))

    def fit(self, ridge: float, scale: float = 1.0, workers: int = 1) -> BoxRegressor | None:
        """Ridge regression with an unpenalised intercept; None with fewer than two examples.

        The penalty is meant for features multiplied by ``scale``; the regressor is for features as
        they were added.

        The released code whitens the four targets first. Ridge regression with one penalty commutes
        with any linear map of the targets, so that this changes nothing and is left out.
        """
        if sum(map(len, self._targets)) < 2:
            return None
        rows, targets = torch.cat(self._features), np.concatenate(self._targets)
        gram = products(rows, rows, workers).astype(np.float64) * scale**2
        middle = gram.mean(axis=0)
        centred = gram - middle - middle[:, None] + middle.mean()
        model = KernelRidge(alpha=ridge, kernel="precomputed")
        model.fit(centred, targets - targets.mean(axis=0))
        # The prediction is the duals times the centred products; the centring goes into the duals.
        duals = (model.dual_coef_ - model.dual_coef_.mean(axis=0)).T * scale**2
        weight = combine(duals.astype(np.float32), rows)
        average = combine(np.full((1, len(rows)), 1 / len(rows), np.float32), rows)
        bias = targets.mean(axis=0) - (weight @ average.T)[:, 0]
        return BoxRegressor(weight, bias.astype(np.float32))
