"""Spatial pyramid pooling of whole maps: a vector of fixed length from a map of any size."""

from collections.abc import Iterable
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, adaptive_max_pool2d, max_pool2d


def check_levels(levels: Iterable[int]) -> tuple[int, ...]:
    """The levels of a pyramid, bins per side, as a tuple of Python integers.

    Args:
        levels: any iterable of positive whole numbers, NumPy's integers included, at least one.

    Raises:
        TypeError: ``levels`` is not iterable, or one of them is not a whole number.
        ValueError: the levels are empty, or a level is below 1.

    Examples:
        >>> check_levels(np.array([1, 2, 3, 6]))
        (1, 2, 3, 6)
    """
    remedy = "give positive whole numbers, such as (1, 2, 3, 6)"
    if isinstance(levels, str | bytes) or not isinstance(levels, Iterable):
        raise TypeError(f"levels is {levels!r}: {remedy}")
    given = tuple(levels)
    for level in given:
        if not isinstance(level, int | np.integer) or isinstance(level, bool):
            raise TypeError(f"levels has {level!r}: {remedy}")
        if level < 1:
            raise ValueError(f"levels has {level}: {remedy}")
    if not given:
        raise ValueError(f"levels is empty: {remedy}")
    return tuple(int(level) for level in given)


def bin_count(levels: tuple[int, ...]) -> int:
    """Number of bins of a pyramid: the sum of the squared levels.

    Examples:
        >>> bin_count((1, 2, 3, 6))
        50
    """
    return sum(level * level for level in levels)


class SpatialPyramidPool(nn.Module):
    """Pool a batch of maps with every level of a pyramid (SPP-net paper, section 2.2).

    Bin i of n over h cells spans ``floor(i h / n) .. ceil((i + 1) h / n)``: no bin is empty,
    however small the map, and bins overlap where n does not divide h. Differentiable, without
    parameters. Works under ``torch.jit.script``, ``torch.export`` and ``torch.onnx.export``, where
    the size of the batch and of the maps may be dynamic.

    Args:
        levels: bins per side, for instance (1, 2, 3, 6) for 50 bins.
        mode: "max", as the paper does, or "average".

    Attributes:
        levels: as a tuple.
        mode: as given.
        bins: how many bins the pyramid has.

    Raises:
        TypeError: a level is not a whole number.
        ValueError: no level is given, one is below 1, or ``mode`` is unknown.

    Examples:
        >>> pool = SpatialPyramidPool((1, 2))
        >>> pool(torch.arange(12.0).reshape(1, 1, 3, 4))
        tensor([[11.,  5.,  7.,  9., 11.]])
    """

    def __init__(
        self,
        levels: Iterable[int] = (1, 2, 3, 6),
        mode: Literal["max", "average"] = "max",
    ) -> None:
        super().__init__()
        if mode not in ("max", "average"):
            raise ValueError(f"mode is {mode!r}: give 'max' or 'average'")
        self.levels = check_levels(levels)
        self.mode = str(mode)
        self.bins = bin_count(self.levels)

    def forward(self, maps: Tensor) -> Tensor:
        """Pool ``maps``, (B, C, H, W) of any float type, H and W at least 1.

        Returns:
            (B, bins * C): level by level in the order given, within a level bin by bin, row by row,
            each bin with its C channels side by side, as window pooling orders them.

        Raises:
            ValueError: the input has not four axes, or a map has no cell.
        """
        if torch.jit.is_scripting():  # type: ignore[attr-defined]
            return self._pool(maps)
        if torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export():
            return _pool_in_basic_operations(maps, self.levels, self.mode)
        return self._pool(maps)

    def _pool(self, maps: Tensor) -> Tensor:
        if maps.dim() != 4 or maps.size(2) == 0 or maps.size(3) == 0:
            raise ValueError(f"maps is {list(maps.shape)}: give (B, C, H, W) with H, W >= 1")
        height, width = maps.size(2), maps.size(3)
        parts: list[Tensor] = []
        for level in self.levels:
            if self.mode == "max" and maps.is_cuda and height % level == width % level == 0:
                # Equal bins without overlap: CUDA has a faster kernel with the same result.
                pooled = max_pool2d(maps, [height // level, width // level])
            elif self.mode == "max":
                pooled = adaptive_max_pool2d(maps, level)
            else:
                pooled = adaptive_avg_pool2d(maps, level)
            parts.append(pooled.flatten(2).transpose(1, 2).flatten(1))
        return torch.cat(parts, dim=1)

    def extra_repr(self) -> str:
        return f"levels={self.levels}, mode={self.mode!r}"


def _pool_in_basic_operations(maps: Tensor, levels: tuple[int, ...], mode: str) -> Tensor:
    """What ``SpatialPyramidPool`` computes, for exporters, which cannot take adaptive pooling.

    A rectangle's maximum is that of its rows' maxima, its mean that of its rows' means.
    """
    height, width = maps.shape[2], maps.shape[3]
    parts = []
    for level in levels:
        rows = _pool_axis(maps, 2, height, level, mode)
        bins = _pool_axis(rows, 3, width, level, mode)
        parts.append(bins.flatten(2).transpose(1, 2).flatten(1))
    return torch.cat(parts, dim=1)


def _pool_axis(maps: Tensor, axis: int, size: int, level: int, mode: str) -> Tensor:
    """Pool one axis of ``size`` cells to ``level`` bins.

    Every bin reads size // level + 2 cells, beginning with its first. That is at least the number
    of cells that it has. A cell past the end of the bin is replaced by the bin's last cell, and a
    mean leaves it out.
    """
    index = torch.arange(level, device=maps.device)
    first = index * size // level
    last = ((index + 1) * size + level - 1) // level - 1
    cells = first[:, None] + torch.arange(size // level + 2, device=maps.device)
    taken: Tensor = maps.index_select(axis, cells.minimum(last[:, None]).flatten())
    taken = taken.unflatten(axis, (level, size // level + 2))  # type: ignore[no-untyped-call]
    if mode == "max":
        return taken.amax(dim=axis + 1)
    outside, count = cells > last[:, None], last - first + 1
    if axis == 2:
        outside, count = outside[:, :, None], count[:, None]
    total: Tensor = taken.masked_fill(outside, 0.0).sum(dim=axis + 1)
    return total / count
