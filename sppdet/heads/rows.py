"""Long feature vectors in half precision, whose number grows and shrinks without copies.

The vectors lie in blocks of memory of their own (:mod:`sppdet.runtime.arrays`), so that a block
costs what is in it.
"""

from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.runtime.arrays import memory_of_its_own

BLOCK_BYTES = 4 << 20
"""Bytes of a block; at least one vector."""


class Rows:
    """N vectors of D values, float16 on the CPU.

    Args:
        dimension: D.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._per_block = max(BLOCK_BYTES // (2 * max(dimension, 1)), 1)
        self._blocks: list[Tensor] = []
        self._count = 0

    @staticmethod
    def of(vectors: Tensor) -> "Rows":
        """These vectors (N, D)."""
        rows = Rows(vectors.shape[1])
        rows.append(vectors)
        return rows

    def __len__(self) -> int:
        return self._count

    def append(self, vectors: Tensor) -> None:
        """Add (M, D) vectors of any floating type behind the others."""
        done = 0
        while done < len(vectors):
            block, place = divmod(self._count, self._per_block)
            if block == len(self._blocks):
                shape = self._per_block, self.dimension
                self._blocks.append(torch.from_numpy(memory_of_its_own(shape, np.float16)))
            taken = min(self._per_block - place, len(vectors) - done)
            self._blocks[block][place : place + taken] = vectors[done : done + taken]
            self._count += taken
            done += taken

    @overload
    def __getitem__(self, which: slice) -> Tensor: ...
    @overload
    def __getitem__(self, which: NDArray[np.int64]) -> Tensor: ...

    def __getitem__(self, which: slice | NDArray[np.int64]) -> Tensor:
        """The vectors of a slice of step 1 or of an index (M,): a copy (M, D)."""
        if isinstance(which, slice):
            start, stop, _ = which.indices(self._count)
            which = np.arange(start, max(start, stop))
        taken = torch.empty(len(which), self.dimension, dtype=torch.float16)
        blocks, places = np.divmod(which, self._per_block)
        for block in np.unique(blocks).tolist():
            mine = np.flatnonzero(blocks == block)
            taken[torch.from_numpy(mine)] = self._blocks[block][torch.from_numpy(places[mine])]
        return taken

    def scale(self, factor: float) -> None:
        """Multiply all vectors, in place."""
        for block in self._blocks:
            block *= factor

    def keep(self, index: NDArray[np.int64]) -> None:
        """Keep the vectors ``index`` (M,), ascending and distinct, and free the blocks behind."""
        for start in range(0, len(index), self._per_block):
            moved = self[index[start : start + self._per_block]]
            self._blocks[start // self._per_block][: len(moved)] = moved
        self._count = len(index)
        del self._blocks[-(-self._count // self._per_block) :]
