"""Class-specific linear box regression (R-CNN paper, appendix C)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from torch import Tensor

from sppdet.boxes import Boxes, encode


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

    def fit(self, ridge: float) -> BoxRegressor | None:
        """Ridge regression with an unpenalised intercept; None with fewer than two examples.

        The released code whitens the four targets first. Ridge regression with one penalty commutes
        with any linear map of the targets, so that this changes nothing and is left out.
        """
        if sum(map(len, self._targets)) < 2:
            return None
        model = Ridge(alpha=ridge, solver="cholesky", copy_X=False)
        model.fit(torch.cat(self._features).float().numpy(), np.concatenate(self._targets))
        return BoxRegressor(
            np.ascontiguousarray(model.coef_, np.float32),
            np.asarray(model.intercept_, np.float32),
        )
