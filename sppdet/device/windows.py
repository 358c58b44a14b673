"""From boxes to windows in torch operations: the twin of :mod:`sppdet.features.windows`."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sppdet.features.windows import WINDOW_SIDE, Scale
from sppdet.trunks.geometry import MapGeometry


def scale_numbers(scales: Sequence[Scale], geometry: MapGeometry) -> list[float]:
    """What :func:`canvas_windows` must know, in float64: S x (x, y, x y), first centre, stride.

    The first centre is that of half-open coordinates.
    """
    factors = [value for scale in scales for value in (scale.x, scale.y, scale.x * scale.y)]
    return [*factors, geometry.first_center + 0.5, float(geometry.stride)]


def canvas_cells(sizes: Sequence[tuple[int, int]]) -> list[list[float]]:
    """For each map of (rows, columns) cells its last column, its last row and its first row on the
    canvas where the maps lie below each other."""
    cells, first = [], 0
    for rows, columns in sizes:
        cells.append([columns - 1.0, rows - 1.0, float(first)])
        first += rows
    return cells


def on_canvas(maps: Sequence[Tensor]) -> Tensor:
    """The maps (rows, columns, channels) below each other; cells beside them mean nothing."""
    if len(maps) == 1:
        return maps[0]
    rows, columns = sum(one.shape[0] for one in maps), max(one.shape[1] for one in maps)
    canvas = maps[0].new_empty(rows, columns, maps[0].shape[2])
    first = 0
    for one in maps:
        canvas[first : first + one.shape[0], : one.shape[1]] = one
        first += one.shape[0]
    return canvas


def choose_scale(boxes: Tensor, products: Tensor) -> Tensor:
    """:func:`sppdet.features.windows.choose_scale`: (N,) int64.

    Args:
        boxes: (N, 4) float32.
        products: (S,) float64, x y of each scale.
    """
    sides = (boxes[:, 2:] - boxes[:, :2]).double()
    distances = ((sides[:, 0] * sides[:, 1])[:, None] * products - WINDOW_SIDE**2).abs()
    nearest = distances == distances.amin(dim=1, keepdim=True)
    # Of equal ones the first: argmin of a GPU may take any of them.
    places = torch.arange(len(products), 0, -1, device=boxes.device)
    return len(products) - (nearest * places).amax(dim=1)


def canvas_windows(boxes: Tensor, numbers: Tensor, cells: Tensor) -> Tensor:
    """The scale and the window of every box, as :func:`sppdet.features.windows.map_windows` maps
    it, on the canvas of :func:`on_canvas`.

    The operations and their order are those of NumPy, so that the results are equal. Every divisor
    is a tensor on the device: torch multiplies by the reciprocal of a number.

    Args:
        boxes: (N, 4) float32, pixels of the original image.
        numbers: (3 S + 2,) float64, see :func:`scale_numbers`.
        cells: (S, 3) float64, see :func:`canvas_cells`.

    Returns:
        (N, 4) int32: first column, first row, end column, end row; ends are exclusive.
    """
    factors = numbers[:-2].view(-1, 3)
    if len(factors) > 1:
        chosen = choose_scale(boxes, factors[:, 2])
        factors, cells = factors[chosen], cells[chosen]
    first_center, stride = numbers[-2], numbers[-1]
    corners = boxes.double().view(-1, 2, 2) * factors[:, None, :2]
    low, high = ((corners - first_center) / stride).unbind(1)
    first, last = low.floor() + 1, high.ceil() - 1
    nearest = ((low + high) * 0.5 - 0.5).ceil()
    inverted = first > last
    ends = torch.stack(
        [torch.where(inverted, nearest, first), torch.where(inverted, nearest, last)], dim=1
    )
    ends = torch.minimum(ends.clamp(min=0), cells[:, None, :2])
    ends[:, 1] += 1
    if len(numbers) > 5:  # several maps
        ends[:, :, 1] += cells[:, None, 2]
    return ends.to(torch.int32).view(-1, 4)
