"""Products of long feature vectors kept in half precision, block by block and on all cores.

Only blocks are widened to float32, so that memory stays near that of the vectors themselves. The
functions with ``device`` in their names do the same with vectors that lie on a GPU, and leave the
result there.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.heads.rows import Rows
from sppdet.runtime.arrays import memory_of_its_own

_BLOCK = 192
_DEVICE_BLOCK = 2048


def products(a: Tensor | Rows, b: Tensor | Rows, workers: int = 1) -> NDArray[np.float32]:
    """``a @ b.T`` of (N, D) and (M, D) half-precision vectors, (N, M) float32."""
    result = memory_of_its_own((len(a), len(b)), np.float32)
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


def combine(
    weights: NDArray[np.float32], rows: Tensor | Rows, index: NDArray[np.int64] | None = None
) -> NDArray[np.float32]:
    """``weights @ rows``: (K, N) float32 and (N, D) half-precision rows to (K, D) float32.

    With ``index`` (N,) the rows are ``rows[index]``, which are not copied as a whole.
    """
    count = weights.shape[1]
    index = np.arange(count) if index is None else index
    total: NDArray[np.float32] | None = None
    for start in range(0, max(count, 1), _BLOCK):
        chosen = index[start : start + _BLOCK]
        taken = rows[chosen] if isinstance(rows, Rows) else rows[torch.from_numpy(chosen)]
        part = torch.from_numpy(np.ascontiguousarray(weights[:, start : start + _BLOCK]))
        product = (part @ taken.float()).numpy()
        total = product if total is None else total + product
    assert total is not None
    return total


def device_products(a: Rows, b: Rows) -> Tensor:
    """``a @ b.T`` of vectors on a device: (N, M) float32 there.

    A half is exact in float32, and in TF32 too, so that only the sums are rounded.
    """
    result = torch.empty(len(a), len(b), device=a.device)
    for first in range(0, len(a), _DEVICE_BLOCK):
        left = a[first : first + _DEVICE_BLOCK].float()
        for second in range(first if a is b else 0, len(b), _DEVICE_BLOCK):
            same = a is b and first == second
            right = left if same else b[second : second + _DEVICE_BLOCK].float()
            part = left @ right.T
            result[first : first + _DEVICE_BLOCK, second : second + _DEVICE_BLOCK] = part
            if a is b and not same:
                result[second : second + _DEVICE_BLOCK, first : first + _DEVICE_BLOCK] = part.T
    return result


def device_combine(weights: Tensor, rows: Rows, index: NDArray[np.int64]) -> Tensor:
    """``weights @ rows[index]`` on the device of the rows: (K, N) float32 to (K, D) float32."""
    total = torch.zeros(len(weights), rows.dimension, device=rows.device)
    for start in range(0, len(index), _DEVICE_BLOCK):
        taken = rows[index[start : start + _DEVICE_BLOCK]].float()
        total += weights[:, start : start + _DEVICE_BLOCK] @ taken
    return total
