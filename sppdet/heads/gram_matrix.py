"""The products of a class's examples with each other, which grow and shrink with them.

On the CPU the matrix lies in memory of its own. On a GPU it stays there while mining adds and
evicts examples, and comes to the CPU when a support vector machine is fitted.
"""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.features.streaming import to_device
from sppdet.heads.gram import device_products, products
from sppdet.heads.rows import Rows
from sppdet.runtime.arrays import memory_of_its_own


class GramMatrix(Protocol):
    """The products (n, n) of n vectors in half precision."""

    @property
    def array(self) -> NDArray[np.float32]:
        """(n, n) float32 on the CPU."""
        ...

    def doubles(self) -> NDArray[np.float64]:
        """(n, n) float64 on the CPU, a copy that may be changed."""
        ...

    def of(self, rows: Rows) -> "GramMatrix":
        """The products of these vectors."""
        ...

    def extended(self, rows: Rows, new: Tensor) -> "GramMatrix":
        """The products of ``rows`` (n, D), whose products these are, followed by ``new`` (m, D)."""
        ...

    def part(self, index: NDArray[np.int64]) -> "GramMatrix":
        """The products of the vectors ``index`` (m,)."""
        ...


class CpuGram:
    """A :class:`GramMatrix` on the CPU, computed on ``workers`` threads."""

    def __init__(self, array: NDArray[np.float32], workers: int) -> None:
        self.array = array
        self._workers = workers

    def doubles(self) -> NDArray[np.float64]:
        """See :class:`GramMatrix`."""
        result = memory_of_its_own(self.array.shape, np.float64)
        result[:] = self.array
        return result

    def of(self, rows: Rows) -> "CpuGram":
        """See :class:`GramMatrix`."""
        return CpuGram(products(rows, rows, self._workers), self._workers)

    def extended(self, rows: Rows, new: Tensor) -> "CpuGram":
        """See :class:`GramMatrix`."""
        old = len(self.array)
        gram = memory_of_its_own((old + len(new), old + len(new)), np.float32)
        gram[:old, :old] = self.array
        gram[old:, old:] = products(new, new, self._workers)
        if old:
            gram[:old, old:] = products(rows, new, self._workers)
            gram[old:, :old] = gram[:old, old:].T
        return CpuGram(gram, self._workers)

    def part(self, index: NDArray[np.int64]) -> "CpuGram":
        """See :class:`GramMatrix`."""
        gram = memory_of_its_own((len(index), len(index)), np.float32)
        for row, old in enumerate(index):
            np.take(self.array[old], index, out=gram[row], mode="clip")  # lets other threads run
        return CpuGram(gram, self._workers)


class DeviceGram:
    """A :class:`GramMatrix` (n, n) float32 on a device."""

    def __init__(self, matrix: Tensor) -> None:
        self._matrix = matrix

    @property
    def array(self) -> NDArray[np.float32]:
        """See :class:`GramMatrix`."""
        values: NDArray[np.float32] = self._matrix.cpu().numpy()
        return values

    def doubles(self) -> NDArray[np.float64]:
        """See :class:`GramMatrix`."""
        result = memory_of_its_own(tuple(self._matrix.shape), np.float64)
        torch.from_numpy(result).copy_(self._matrix.double())
        return result

    def of(self, rows: Rows) -> "DeviceGram":
        """See :class:`GramMatrix`."""
        return DeviceGram(device_products(rows, rows))

    def extended(self, rows: Rows, new: Tensor) -> "DeviceGram":
        """See :class:`GramMatrix`."""
        added = Rows.of(new, rows.device)
        across = device_products(rows, added)
        upper = torch.cat([self._matrix, across], dim=1)
        lower = torch.cat([across.T, device_products(added, added)], dim=1)
        return DeviceGram(torch.cat([upper, lower]))

    def part(self, index: NDArray[np.int64]) -> "DeviceGram":
        """See :class:`GramMatrix`."""
        chosen = to_device(index, self._matrix.device)
        return DeviceGram(self._matrix[chosen][:, chosen])


def no_products(device: torch.device | None, workers: int) -> GramMatrix:
    """The (0, 0) matrix to start from; ``device`` as in :class:`sppdet.heads.rows.Rows`."""
    if device is None:
        return CpuGram(np.zeros((0, 0), np.float32), workers)
    return DeviceGram(torch.zeros(0, 0, device=device))
