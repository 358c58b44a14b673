"""Where the cells of any network's map lie in the image, found by perturbing pixels.

The network runs on strips of noise. The gradient of a cell with respect to the pixels says how much
each pixel's perturbation changes the cell. The pixels that change a cell of a convolutional network
are its receptive field, and the first and the last of them give its centre exactly. Where every
pixel changes every cell (attention, or a receptive field that is longer than the strip), the centre
is that of the strongest changes, to within a few pixels.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sppdet.errors import SppdetError
from sppdet.trunks.geometry import MapGeometry

LENGTHS = (448, 896, 1792)
"""Lengths of the strips in pixels: multiples of the strides 4, 7, 8, 14, 16, 28, 32, 56 and 64."""

_LOUDNESS = 1e6
"""Factor of the cells, so that the faint changes at a receptive field's border do not underflow."""

_WEAK = 0.02
"""Changes under this part of the strongest one do not count where every pixel changes a cell."""


@dataclass(frozen=True)
class _Line:
    """Along one axis, cell k has its centre at pixel ``first + stride * k``."""

    stride: int
    first: float
    exact: bool


def perturbed_geometry(network: nn.Module, side: int) -> MapGeometry:
    """The geometry of a network's map on images whose sides are multiples of its stride.

    Args:
        network: maps (1, 3, H, W) to (1, channels, H', W'), float32 on the CPU, in evaluation mode.
        side: a height and width in pixels that the network takes.

    Raises:
        SppdetError: the cells do not lie on one regular grid with the same stride on both axes.
    """
    y, x = (_line_along(network, side, axis) for axis in (2, 3))
    apart = abs(y.first - x.first)
    if y.stride != x.stride or apart > (0 if y.exact and x.exact else x.stride / 4):
        raise SppdetError(
            f"from top to bottom the cells have the stride {y.stride} and the first centre "
            f"{y.first:.1f}, from left to right {x.stride} and {x.first:.1f}"
        )
    return MapGeometry(x.stride, round(y.first + x.first) / 2)


def growth_stride(network: nn.Module, side: int, axis: int = 3) -> float:
    """Pixels by which an image grows along an axis for each further cell of the map."""
    with torch.no_grad():
        short, long = (
            network(_noise(side, length, axis, torch.Generator())).shape[axis]
            for length in LENGTHS[:2]
        )
    return float((LENGTHS[1] - LENGTHS[0]) / max(long - short, 1))


def _line_along(network: nn.Module, side: int, axis: int) -> _Line:
    """The regular line of cells along an axis of the image, 2 or 3."""
    for length in LENGTHS:
        if not _inside(_changes(network, side, length, axis, cells=1, noises=1)):
            continue
        changes = _changes(network, side, length, axis)
        if not _inside(changes):
            continue
        centers = {cell: float(_ends(change).mean()) for cell, change in changes.items()}
        line = _fit(centers, float(np.diff(list(centers.values())).mean()), tolerance=0.0)
        if line is not None:
            return line
        break  # the centres of the receptive fields are not regular, as with shifted windows
    changes = _changes(network, side, LENGTHS[1], axis)
    stride = growth_stride(network, side, axis)
    line = _fit({k: _strongest(change) for k, change in changes.items()}, stride, stride / 4)
    if line is None and stride != round(stride):
        raise SppdetError(f"its stride of {stride:.3g} px is not a whole number")
    if line is None:
        raise SppdetError("the pixels that change neighbouring cells do not lie one stride apart")
    return line


def _ends(change: NDArray[np.float64]) -> NDArray[np.int64]:
    """The first and the last pixel that change a cell."""
    return np.flatnonzero(change)[[0, -1]]


def _inside(changes: dict[int, NDArray[np.float64]]) -> bool:
    """Whether the strip goes on beyond all pixels that change the cells."""
    return all(change[0] == 0 and change[-1] == 0 for change in changes.values())


def _changes(
    network: nn.Module, side: int, length: int, axis: int, cells: int = 6, noises: int = 2
) -> dict[int, NDArray[np.float64]]:
    """For the cells in the middle of a strip: how much each pixel's perturbation changes them.

    The values are the squares of the gradient of a random sum over the cell's channels, summed over
    the strip's breadth, the colours and the strips of noise. One strip does not show all of the
    pixels, because some ReLUs let nothing through.
    """
    random = torch.Generator().manual_seed(0)
    found: dict[int, NDArray[np.float64]] = {}
    for _ in range(noises):
        image = _noise(side, length, axis, random).requires_grad_(True)
        with torch.enable_grad(), _WholeMapValuesAreConstant():
            result = network(image)
        if not result.requires_grad:
            raise SppdetError("the network gives no gradient")
        count = result.shape[axis]
        if count < cells:
            raise SppdetError(f"its map of an image of {length} px has only {count} cells")
        for cell in range((count - cells) // 2, (count + cells) // 2):
            chosen = result.select(axis, cell)
            weights = _LOUDNESS * torch.randn(chosen.shape, generator=random)
            (gradient,) = torch.autograd.grad((chosen * weights).sum(), image, retain_graph=True)
            squares = gradient.double().square().sum(dim=(0, 1, 5 - axis)).numpy()
            found[cell] = found.get(cell, 0.0) + squares
    if not all(np.isfinite(change.sum()) and change.any() for change in found.values()):
        raise SppdetError("some cells do not change with the image, or are not finite")
    return found


def _noise(side: int, length: int, axis: int, random: torch.Generator) -> Tensor:
    """A strip of noise, (1, 3, side, length), or (1, 3, length, side) along axis 2."""
    shape = (1, 3, side, length) if axis == 3 else (1, 3, length, side)
    return torch.randn(shape, generator=random)


def _strongest(change: NDArray[np.float64]) -> float:
    """The centre of mass of the changes that stand out."""
    above = np.clip(change - np.median(change), 0, None)
    above[above < _WEAK * above.max()] = 0
    return float((above * np.arange(len(above))).sum() / above.sum())


def _fit(centers: dict[int, float], stride: float, tolerance: float) -> _Line | None:
    """The line on which all centres lie, to within the tolerance in pixels; None without one."""
    firsts = np.array([center - stride * cell for cell, center in centers.items()])
    first = float(firsts.mean())
    if stride < 1 or stride != round(stride) or np.abs(firsts - first).max() > tolerance:
        return None
    return _Line(round(stride), first, exact=tolerance == 0)


class _WholeMapValuesAreConstant(TorchFunctionMode):
    """While it is active, a value that is computed from a whole map is a constant for the gradient.

    So a global average that scales a map (squeeze and excitation) does not let every pixel change
    every cell.
    """

    def __torch_function__(
        self, func: Any, types: Iterable[Any], args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        source = args[0] if args else None
        if isinstance(result, Tensor) and isinstance(source, Tensor) and source.ndim == 4:
            sides = sum(size > 1 for size in result.shape[1:])
            if sides <= 1 and 16 * result.numel() <= source.numel() and result.requires_grad:
                return result.detach()
        return result
