"""Sides of images on canvases of rounded sides, and the cells of the layers on them.

:mod:`sppdet.device.rounding` says what that is for.
"""

from dataclasses import dataclass, field
from math import lcm

import numpy as np
from numpy.typing import NDArray

STEP = 32
"""Sides are rounded up to multiples of this, in pixels. At a shorter side of 688 px there are 22
sizes from the square to twice as long, and 2 % of the pixels are added on average."""

Strips = tuple[tuple[int, ...], tuple[int, ...]]
"""The widths of the strips at the end of the rows and of the columns, see :class:`Side`."""


@dataclass(frozen=True)
class Step:
    """How one layer changes the number of cells along a side.

    Attributes:
        kernel, stride, dilation: of the layer, in cells.
        near, far: cells of padding at each end.
        ceil: whether a last window that leaves the map counts.
        times: cells of the result for each window.
    """

    kernel: int = 1
    stride: int = 1
    near: int = 0
    far: int = 0
    dilation: int = 1
    ceil: bool = False
    times: int = 1

    def cells(self, before: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers of cells behind the layer, from those before it."""
        free = before + self.near + self.far - self.dilation * (self.kernel - 1) - 1
        if not self.ceil:
            return (free // self.stride + 1) * self.times
        count = -(-free // self.stride) + 1
        # PyTorch leaves out a window that would begin behind the map.
        return count - ((count - 1) * self.stride >= before + self.near)


Steps = tuple[Step, ...]
"""Layers, the first one first."""


def cells(steps: Steps, sides: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers of cells behind several layers, from the sides of the network's input."""
    for step in steps:
        sides = step.cells(sides)
    return sides


@dataclass(frozen=True)
class Side:
    """One side of an image on a canvas.

    Attributes:
        canvas: the canvas's side in pixels.
        strips: the widths of the strips that are cleared, the pixels' first; equal for all images
            that may share a graph.
        seen: the side that the network sees without a canvas, in pixels.
        mask: uint8, the strips one behind the other: 1 where a cell lies behind the image.
        cells, all_cells: of the map, those of the image and those of the canvas.
    """

    canvas: int
    seen: int
    strips: tuple[int, ...]
    mask: NDArray[np.uint8]
    cells: int
    all_cells: int


@dataclass(frozen=True)
class Rounding:
    """The canvases of a network.

    Attributes:
        sizes: the layers from the input to each of the sizes that are cleared.
        of_map: those to the map.
        smallest_side, multiple: of the trunk.
    """

    sizes: tuple[Steps, ...]
    of_map: Steps
    smallest_side: int
    multiple: int
    _sides: dict[tuple[int, bool], Side] = field(default_factory=dict, compare=False, repr=False)

    def side(self, pixels: int, steady: bool) -> Side:
        """A side of an image.

        Args:
            pixels: its length.
            steady: whether it is that of many images: it is then not rounded if the network takes
                it as it is, and costs no clearing.
        """
        key = pixels, steady
        if key not in self._sides:
            self._sides[key] = self._side(pixels, steady and self._seen(pixels) == pixels)
        return self._sides[key]

    def _seen(self, pixels: int) -> int:
        """The side that the network sees without a canvas."""
        return -(-max(pixels, self.smallest_side) // self.multiple) * self.multiple

    def _side(self, pixels: int, steady: bool) -> Side:
        if steady:
            canvas = least = pixels
        else:
            step = lcm(STEP, self.multiple)
            canvas = -(-max(pixels, self.smallest_side) // step) * step
            least = canvas - step + 1 if canvas - step >= self.smallest_side else 1
        seen = np.array([self._seen(least), self._seen(pixels), canvas])
        counts = [[least, pixels, canvas], *(cells(steps, seen).tolist() for steps in self.sizes)]
        strips = tuple(most - fewest for fewest, _, most in counts)
        mask = [
            np.arange(most - strip, most) >= own
            for strip, (_, own, most) in zip(strips, counts, strict=True)
        ]
        _, own, most = cells(self.of_map, seen).tolist()
        return Side(canvas, int(seen[1]), strips, np.concatenate(mask).astype(np.uint8), own, most)
