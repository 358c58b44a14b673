"""Spatial pyramid pooling of whole maps: a vector of fixed length from a map of any size."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d


class SpatialPyramidPool(nn.Module):
    """Max-pool a batch of maps with every level of a pyramid (SPP-net paper, section 2.2).

    Bin i of n over h cells spans ``floor(i h / n) .. ceil((i + 1) h / n)``: no bin is empty,
    however small the map, and bins overlap where n does not divide h. Differentiable, without
    parameters.

    Args:
        levels: bins per side, for instance (1, 2, 3, 6) for 50 bins.

    Raises:
        ValueError: no level is given, or one is not a positive whole number.
    """

    def __init__(self, levels: Sequence[int] = (1, 2, 3, 6)) -> None:
        super().__init__()
        if not levels or any(not isinstance(level, int) or level < 1 for level in levels):
            raise ValueError(f"levels are positive whole numbers, at least one; not {levels!r}")
        self.levels = tuple(levels)

    @property
    def bins(self) -> int:
        """How many bins the pyramid has: the sum of the squared levels."""
        return sum(level * level for level in self.levels)

    def forward(self, maps: Tensor) -> Tensor:
        """Pool ``maps``, (B, C, H, W) of any float type, H and W at least 1.

        Returns:
            (B, bins * C): level by level in the order given, within a level bin by bin, row by row,
            each bin with its C channels side by side, as window pooling orders them.

        Raises:
            ValueError: the input has not four axes, or a map has no cell.
        """
        if maps.ndim != 4 or 0 in maps.shape[2:]:
            raise ValueError(
                f"maps are (B, C, H, W) with at least one cell, not {tuple(maps.shape)}"
            )
        pooled = [
            adaptive_max_pool2d(maps, level).flatten(2).transpose(1, 2).flatten(1)
            for level in self.levels
        ]
        return torch.cat(pooled, dim=1)

    def extra_repr(self) -> str:
        return f"levels={self.levels}"
