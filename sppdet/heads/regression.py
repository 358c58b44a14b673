"""Class-specific linear box regression (R-CNN paper, appendix C)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.kernel_ridge import KernelRidge
from torch import Tensor

from sppdet.boxes import Boxes, clip, decode, encode
from sppdet.features.regions import Regions
from sppdet.features.scoring import linear_scores
from sppdet.heads.gram import combine, products


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
        self._images: list[NDArray[np.int64]] = []

    def add(self, features: Tensor, proposals: Boxes, truths: Boxes, image: int = 0) -> None:
        """Add (M, dimension) features, (M, 4) proposals and the (M, 4) truths that they overlap.

        ``image`` is the number of the image from which they come.
        """
        self._features.append(features.detach().cpu().half())
        self._targets.append(encode(proposals, truths))
        self._images.append(np.full(len(features), image))

    def fit(
        self,
        ridge: float,
        scale: float = 1.0,
        workers: int = 1,
        folds: Sequence[NDArray[np.int64]] = (),
    ) -> list[BoxRegressor | None]:
        """Ridge regression with an unpenalised intercept; None with fewer than two examples.

        The penalty is meant for features multiplied by ``scale``; the regressor is for features as
        they were added.

        Returns:
            The regressor of all examples, then, for each of ``folds``, the one of the examples that
            come from other images.

        The released code whitens the four targets first. Ridge regression with one penalty commutes
        with any linear map of the targets, so that this changes nothing and is left out.
        """
        if sum(map(len, self._targets)) < 2:
            return [None] * (1 + len(folds))
        rows, targets = torch.cat(self._features), np.concatenate(self._targets)
        images = np.concatenate(self._images)
        gram = products(rows, rows, workers).astype(np.float64) * scale**2
        results = [_solve(gram, rows, targets, ridge, scale)]
        for fold in folds:
            chosen = np.flatnonzero(~np.isin(images, fold))
            part = gram[np.ix_(chosen, chosen)]
            index = torch.from_numpy(chosen)
            results.append(_solve(part, rows[index], targets[chosen], ridge, scale))
        return results


def _solve(
    gram: NDArray[np.float64],
    rows: Tensor,
    targets: NDArray[np.float32],
    ridge: float,
    scale: float,
) -> BoxRegressor | None:
    """The regressor of examples with the given products."""
    if len(rows) < 2:
        return None
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


def stack_regressors(
    regressors: Sequence[BoxRegressor | None], dimension: int
) -> tuple[Tensor, Tensor] | None:
    """Weights (K, 4, dimension) and biases (K, 4), zero for None; None when all are None."""
    if not any(regressors):
        return None
    weight = torch.zeros(len(regressors), 4, dimension)
    bias = torch.zeros(len(regressors), 4)
    for label, regressor in enumerate(regressors):
        if regressor is not None:
            weight[label] = torch.from_numpy(regressor.weight)
            bias[label] = torch.from_numpy(regressor.bias)
    return weight, bias


def move_boxes(
    regions: Regions,
    boxes: Boxes,
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
    regression: tuple[Tensor, Tensor],
    size: tuple[int, int],
) -> Boxes:
    """Move boxes by the regression of their class.

    Args:
        regions: of all boxes (N, 4) of the image.
        labels, rows: (M,), the class of each box to move, and which box it is.
        regression: weights (4 K, dimension) and biases (4 K,), class by class, on the device.
        size: width and height of the image, at which boxes are cut.

    Returns:
        (M, 4).
    """
    keys, back = np.unique(regions.keys[rows], return_inverse=True)
    deltas = linear_scores(regions, keys, *regression)
    deltas = deltas.reshape(len(keys), deltas.shape[1] // 4, 4)
    return clip(decode(boxes[rows], deltas[back.reshape(-1), labels]), *size)
