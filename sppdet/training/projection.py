"""Principal components of long window features, in which fully connected layers learn.

A pyramid's features have up to tens of thousands of values, and fc6 as many columns. A training has
hundreds of times fewer examples than fc6 has weights, so that fc6 learns in the space that the
windows' principal components span; the result is an ordinary matrix again.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from sppdet.heads.gram import combine, products

_SAMPLE = 3072
"""Windows from which the components are taken."""


@dataclass(frozen=True)
class Projection:
    """z = rows (x - middle), for features x of D values.

    Attributes:
        middle: (D,) float32, the mean of the sample.
        rows: (R, D) float32, orthonormal, the direction of the greatest variance first.
    """

    middle: Tensor
    rows: Tensor

    def __call__(self, features: Tensor, workers: int = 1) -> Tensor:
        """(N, D) float16 or float32 to (N, R) float32, on the CPU."""
        offset = self.rows @ self.middle
        return torch.from_numpy(products(features, self.rows, workers)) - offset


def principal_components(features: Tensor, count: int, workers: int = 1) -> Projection:
    """The directions of the greatest variance of features (N, D), float16.

    They are found from the products of at most 3,072 of them, evenly spread: with the centred
    sample X and X X^T = V L V^T, they are the rows of L^(-1/2) V^T X.

    Args:
        features: on the CPU.
        count: how many directions; there are fewer where the sample spans fewer.
        workers: threads.
    """
    sample = features[:: -(-len(features) // _SAMPLE)]
    gram = products(sample, sample, workers).astype(np.float64)
    average = gram.mean(axis=0)
    gram += gram.mean() - average - average[:, None]
    first = max(len(gram) - count, 0)
    values, vectors = scipy.linalg.eigh(gram, subset_by_index=(first, len(gram) - 1))
    # The products are of single precision: smaller values are rounding errors.
    sure = np.flatnonzero(values > 1e-6 * max(values[-1], average.mean()))[::-1]
    weights = (vectors[:, sure] / np.sqrt(values[sure])).T
    middle = combine(np.full((1, len(sample)), 1 / len(sample), np.float32), sample)[0]
    rows = combine(np.ascontiguousarray(weights, np.float32), sample)
    return Projection(torch.from_numpy(middle), torch.from_numpy(rows))
