"""Where the parts of a score lie: on the cells of the window, and on the photograph."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import Corners
from sppdet.features.windows import Scale
from sppdet.trunks.geometry import MapGeometry


def box_of_window(window: Sequence[int], scale: Scale, geometry: MapGeometry) -> Corners:
    """The pixels of the original image for which the cells of a window stand.

    A cell stands for the square of one stride around its centre; the inverse of
    :func:`sppdet.features.windows.map_windows` up to half a stride.

    Args:
        window: first column, first row, end column, end row.
        scale: at which the network saw the image.
        geometry: of the map.

    Returns:
        x1, y1, x2, y2, which may lie outside the image by less than a stride.
    """
    edge = geometry.first_center + 0.5 - geometry.stride / 2
    x1, y1, x2, y2 = (edge + geometry.stride * cell for cell in window)
    return x1 / scale.x, y1 / scale.y, x2 / scale.x, y2 / scale.y


def cell_parts(
    parts: NDArray[np.float32], levels: Sequence[int], rows: int, columns: int
) -> NDArray[np.float64]:
    """The parts of a score spread over the cells of a window: (rows, columns).

    Each bin gives its cells equal shares. Bin i of n over h cells spans floor(i h / n) to
    ceil((i + 1) h / n), as in :class:`sppdet.features.pyramid.SpatialPyramidPool`. The sum over the
    cells is the sum over the bins.
    """
    cells = np.zeros((rows, columns))
    start = 0
    for level in levels:
        for y in range(level):
            for x in range(level):
                top, bottom = y * rows // level, -(-(y + 1) * rows // level)
                left, right = x * columns // level, -(-(x + 1) * columns // level)
                share = float(parts[start]) / ((bottom - top) * (right - left))
                cells[top:bottom, left:right] += share
                start += 1
    return cells


def heat_on_image(
    cells: NDArray[np.float64], box: Corners, size: tuple[int, int]
) -> NDArray[np.float32]:
    """Values of cells as a picture's: (H, W) float32, 0 outside the window.

    Values between the centres of cells are interpolated linearly.

    Args:
        cells: (rows, columns).
        box: the window in pixels of the picture.
        size: width and height of the picture.
    """
    width, height = size
    heat = np.zeros((height, width), np.float32)
    x1, y1, x2, y2 = (round(value) for value in box)
    x2, y2 = max(x2, x1 + 1), max(y2, y1 + 1)
    whole = cv2.resize(cells, (x2 - x1, y2 - y1), interpolation=cv2.INTER_LINEAR)
    left, top = max(x1, 0), max(y1, 0)
    right, bottom = min(x2, width), min(y2, height)
    if left < right and top < bottom:
        heat[top:bottom, left:right] = whole[top - y1 : bottom - y1, left - x1 : right - x1]
    return heat
