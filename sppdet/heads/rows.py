"""Long feature vectors in half precision, whose number grows and shrinks without copies.

The vectors lie in blocks. On the CPU these are memory of their own (:mod:`sppdet.runtime.arrays`),
so that a block costs what is in it. On a GPU they are fewer and larger, so that a choice of vectors
is one or two operations.
"""

from pathlib import Path
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.features.streaming import to_device
from sppdet.runtime.arrays import memory_of_its_own, on_disk

BLOCK_BYTES = 4 << 20
"""Bytes of a block on the CPU; at least one vector."""

DEVICE_BLOCK_BYTES = 64 << 20
"""Bytes of a block on a device or on the disk; at least one vector."""


class Rows:
    """N vectors of D values, float16.

    Args:
        dimension: D.
        device: where they lie; None means the CPU, in memory of their own.
        folder: on the CPU, of files to which the memory is mapped; None means no files.
    """

    def __init__(
        self, dimension: int, device: torch.device | None = None, folder: Path | None = None
    ) -> None:
        self.dimension = dimension
        self.device = device
        self._folder = folder
        size = BLOCK_BYTES if device is None and folder is None else DEVICE_BLOCK_BYTES
        self._per_block = max(size // (2 * max(dimension, 1)), 1)
        self._blocks: list[Tensor] = []
        self._count = 0

    @staticmethod
    def of(vectors: Tensor, device: torch.device | None = None) -> "Rows":
        """These vectors (N, D)."""
        rows = Rows(vectors.shape[1], device)
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
                self._blocks.append(self._new_block())
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
        blocks, places = np.divmod(which, self._per_block)
        distinct = np.unique(blocks).tolist()
        if self.device is not None and len(distinct) == 1:
            only: Tensor = self._blocks[distinct[0]]
            return only[to_device(places, self.device)]
        taken = torch.empty(len(which), self.dimension, dtype=torch.float16, device=self.device)
        for block in distinct:
            mine = np.flatnonzero(blocks == block)
            own = to_device(places[mine], self.device)
            taken[to_device(mine, self.device)] = self._blocks[block][own]
        return taken

    def moved_to(self, folder: Path) -> "Rows":
        """The same vectors in files; these are left empty."""
        moved = Rows(self.dimension, folder=folder)
        for number, block in enumerate(self._blocks):
            moved.append(block[: self._count - number * self._per_block])
        self._blocks, self._count = [], 0
        return moved

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

    def _new_block(self) -> Tensor:
        shape = self._per_block, self.dimension
        if self._folder is not None:
            return torch.from_numpy(on_disk(shape, np.float16, self._folder))
        if self.device is None:
            return torch.from_numpy(memory_of_its_own(shape, np.float16))
        return torch.empty(shape, dtype=torch.float16, device=self.device)
