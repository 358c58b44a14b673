"""Products of long feature vectors kept in half precision, block by block and on all cores.

Only blocks are widened to float32, so that memory stays near that of the vectors themselves.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_BLOCK = 384


def products(a: Tensor, b: Tensor, workers: int = 1) -> NDArray[np.float32]:
    """``a @ b.T`` of (N, D) and (M, D) half-precision vectors, (N, M) float32."""
    result = np.empty((len(a), len(b)), np.float32)
    symmetric = a is b

    def fill(first: int, second: int) -> None:
        left = a[first : first + _BLOCK].float()
        right = left if symmetric and first == second else b[second : second + _BLOCK].float()
        part = (left @ right.T).numpy()
        result[first : first + _BLOCK, second : second + _BLOCK] = part
        if symmetric:
            result[second : second + _BLOCK, first : first + _BLOCK] = part.T

    blocks = [
        (first, second)
        for first in range(0, len(a), _BLOCK)
        for second in range(first if symmetric else 0, len(b), _BLOCK)
    ]
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        list(pool.map(lambda block: fill(*block), blocks))
    return result


def combine(weights: NDArray[np.float32], rows: Tensor) -> NDArray[np.float32]:
    """``weights @ rows``: (K, N) float32 and (N, D) half-precision rows to (K, D) float32."""
    total = np.zeros((len(weights), rows.shape[1]), np.float32)
    for start in range(0, len(rows), _BLOCK):
        part = torch.from_numpy(np.ascontiguousarray(weights[:, start : start + _BLOCK]))
        total += (part @ rows[start : start + _BLOCK].float()).numpy()
    return total
