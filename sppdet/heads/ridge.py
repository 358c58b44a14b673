"""Ridge regression on the products of its examples, on the CPU and on a device.

Features are far longer than a class has examples, so that the dual problem is the small one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.features.streaming import to_device
from sppdet.heads.gram import combine, device_combine, device_products
from sppdet.heads.rows import Rows


@dataclass(frozen=True)
class BoxRegressor:
    """Deltas of one class: features @ weight.T + bias, for :func:`sppdet.boxes.decode`."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


def solve(
    gram: NDArray[np.float64],
    rows: Rows,
    index: NDArray[np.int64],
    targets: NDArray[np.float32],
    ridge: float,
    scale: float,
) -> BoxRegressor | None:
    """The regressor of the examples ``rows[index]`` (n, D) with the products ``gram`` (n, n).

    Args:
        targets: (n, 4).
        ridge, scale: see :meth:`sppdet.heads.regression.RegressionExamples.fit`.

    Returns:
        None for fewer than two examples.
    """
    if len(index) < 2:
        return None
    from sklearn.kernel_ridge import KernelRidge  # a detection does not need it

    middle = gram.mean(axis=0)
    centred = gram - middle - middle[:, None] + middle.mean()
    model = KernelRidge(alpha=ridge, kernel="precomputed")
    model.fit(centred, targets - targets.mean(axis=0))
    # The prediction is the duals times the centred products; the centring goes into the duals.
    duals = (model.dual_coef_ - model.dual_coef_.mean(axis=0)).T * scale**2
    weight = combine(duals.astype(np.float32), rows, index)
    average = combine(np.full((1, len(index)), 1 / len(index), np.float32), rows, index)
    bias = targets.mean(axis=0) - (weight @ average.T)[:, 0]
    return BoxRegressor(weight, bias.astype(np.float32))


def solve_on_device(
    rows: Rows,
    targets: NDArray[np.float32],
    images: NDArray[np.int64],
    ridge: float,
    scale: float,
    folds: Sequence[NDArray[np.int64]],
) -> list[BoxRegressor | None]:
    """The regressors of :meth:`sppdet.heads.regression.RegressionExamples.fit`, on a device.

    Args:
        rows: the examples (n, D), on the device.
        targets: (n, 4).
        images: (n,), the numbers of their images.
        ridge, scale, folds: as there.
    """
    gram = device_products(rows, rows).double() * scale**2
    chosen = [np.arange(len(rows)), *(np.flatnonzero(~np.isin(images, one)) for one in folds)]
    return [_solve_part(gram, rows, index, targets[index], ridge, scale) for index in chosen]


def _solve_part(
    gram: Tensor,
    rows: Rows,
    index: NDArray[np.int64],
    targets: NDArray[np.float32],
    ridge: float,
    scale: float,
) -> BoxRegressor | None:
    """:func:`solve` of the examples ``rows[index]`` with products of all rows, on a device."""
    if len(index) < 2:
        return None
    if len(index) < len(gram):
        own = to_device(index, gram.device)
        gram = gram[own][:, own]
    middle = gram.mean(dim=0)
    centred = gram - middle - middle[:, None] + middle.mean()
    centred.diagonal().add_(ridge)
    wanted = to_device(targets - targets.mean(axis=0), gram.device).double()
    # The ridge makes the matrix positive definite.
    duals = torch.cholesky_solve(wanted, torch.linalg.cholesky_ex(centred).L)
    duals = (duals - duals.mean(dim=0)).T * scale**2
    average = torch.full_like(duals[:1], 1 / len(index))
    sums = device_combine(torch.cat([duals, average]).float(), rows, index).cpu().numpy()
    weight = np.ascontiguousarray(sums[:4])
    bias = targets.mean(axis=0) - weight @ sums[4]
    return BoxRegressor(weight, bias.astype(np.float32))
