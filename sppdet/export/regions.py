"""From boxes and the feature map to features, scores and moved boxes, as operations of ONNX."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sppdet.export.graph import Graph
from sppdet.export.resizing import Axis
from sppdet.heads.layers import Layers
from sppdet.settings import SppSettings
from sppdet.trunks.geometry import MapGeometry


def map_windows(
    graph: Graph, boxes: str, axes: tuple[Axis, Axis], feature_map: str, geometry: MapGeometry
) -> tuple[str, str]:
    """:func:`sppdet.features.windows.map_windows`, in double precision as there.

    Args:
        boxes: (N, 4) float32.
        feature_map: (1, channels, rows, columns).

    Returns:
        (N, 2) int64 each: first column and row, and end column and row, which are exclusive.
    """
    down, across = axes
    factors = graph("Concat", across.scale, down.scale, axis=0)
    center, stride = np.array(geometry.first_center + 0.5), np.array(float(geometry.stride))
    corners = graph.cast(boxes, "float64")
    low, high = (
        graph("Div", graph("Sub", graph("Mul", half, factors), center), stride)
        for half in (graph.columns(corners, 0, 2), graph.columns(corners, 2, 4))
    )
    one, half = np.array(1.0), np.array(0.5)
    first = graph("Add", graph("Floor", low), one)
    last = graph("Sub", graph("Ceil", high), one)
    middle = graph("Mul", graph("Add", low, high), half)
    nearest = graph("Ceil", graph("Sub", middle, half))
    inverted = graph("Greater", first, last)
    sides = (graph.cast(graph.size(feature_map, axis), "float64") for axis in (3, 2))
    limit = graph("Sub", graph("Concat", *sides, axis=0), one)
    first, last = (
        graph("Max", graph("Min", graph("Where", inverted, nearest, cell), limit), np.array(0.0))
        for cell in (first, last)
    )
    return graph.cast(first, "int64"), graph.cast(graph("Add", last, one), "int64")


@dataclass
class Features:
    """Features of windows, of which only linear functions are computed.

    Attributes:
        graph: where the operations go.
        parts: names of values, each (N, length); the features are their columns side by side.
        orders: for each part, the columns of a weight that belong to it.
    """

    graph: Graph
    parts: Sequence[str]
    orders: Sequence[NDArray[np.int64]]
    _layered: dict[int, "Features"] = field(default_factory=dict)

    def linear(self, weight: Tensor, bias: Tensor, layers: Layers | None = None) -> str:
        """``features @ weight.T + bias``, (N, J), for (J, D) and (J,).

        Args:
            layers: through which the features go before.
        """
        if layers is not None:
            return self.through(layers).linear(weight, bias)
        matrix = weight.detach().cpu().float().numpy()
        total = None
        for part, order in zip(self.parts, self.orders, strict=True):
            product = self.graph("MatMul", part, matrix[:, order].T)
            total = product if total is None else self.graph("Add", total, product)
        assert total is not None
        return self.graph("Add", total, bias.detach().cpu().float().numpy())

    def rectified(self, weight: Tensor, bias: Tensor) -> "Features":
        """``max(features @ weight.T + bias, 0)`` as features."""
        values = self.graph("Relu", self.linear(weight, bias))
        return Features(self.graph, [values], [np.arange(len(bias))])

    def through(self, layers: Layers) -> "Features":
        """The features of :class:`sppdet.heads.layers.Layers`; they are computed once."""
        if id(layers) not in self._layered:
            result = self
            for weight, bias in zip(layers.weights, layers.biases, strict=True):
                result = result.rectified(weight, bias)
            self._layered[id(layers)] = result
        return self._layered[id(layers)]


def pooled(
    graph: Graph,
    feature_map: str,
    windows: tuple[str, str],
    channels: int,
    settings: SppSettings,
) -> Features:
    """The pyramid of every window, level by level, as the detector orders it.

    ONNX's ``MaxRoiPool`` finds the maximum of each bin. Its own division into bins is in single
    precision and goes wrong for levels such as 7.

    Args:
        feature_map: (1, channels, rows, columns).
        windows: of :func:`map_windows`.
    """
    parts, orders = [], []
    before = 0
    for level in settings.levels:
        length = level * level * channels
        bins = _bins(graph, windows, level)
        part = graph("MaxRoiPool", feature_map, bins, pooled_shape=[1, 1])
        part = graph("Reshape", part, np.array([-1, length], np.int64))
        if settings.normalize_levels:
            norm = graph("ReduceL2", part, np.array([1], np.int64))
            part = graph("Div", part, graph("Max", norm, np.array(1e-12, np.float32)))
        parts.append(part)
        orders.append(np.arange(before, before + length))
        before += length
    return Features(graph, parts, orders)


def _bins(graph: Graph, windows: tuple[str, str], level: int) -> str:
    """The bins of :func:`sppdet.features.window_pooling.pool_windows` for ``MaxRoiPool``.

    Returns:
        (N x level x level, 5) float32: 0, first column, first row, last column, last row.
    """
    first, end = windows
    cells = graph("Sub", end, first)
    number, levels = np.arange(level, dtype=np.int64)[None], np.array(level, np.int64)
    bounds = {}
    for axis, places in ((0, np.array([1, 3])), (1, np.array([2, 3]))):  # columns, rows
        start, count = (graph.columns(one, axis, axis + 1) for one in (first, cells))
        low = graph("Div", graph("Mul", count, number), levels)
        high = graph("Add", graph("Mul", count, number + 1), levels - 1)
        high = graph("Sub", graph("Div", high, levels), np.array(1, np.int64))
        bounds[axis] = [graph("Unsqueeze", graph("Add", start, one), places) for one in (low, high)]
    (left, right), (top, bottom) = bounds[0], bounds[1]
    zero = graph("Mul", graph("Add", left, top), np.array(0, np.int64))  # of every bin
    values = (graph("Add", zero, one) for one in (left, top, right, bottom))
    rows = graph("Reshape", graph("Concat", zero, *values, axis=3), np.array([-1, 5], np.int64))
    return graph.cast(rows, "float32")


def moved(
    graph: Graph, boxes: str, deltas: str | None, axes: tuple[Axis, Axis], classes: int
) -> str:
    """:func:`sppdet.boxes.decode` for every class, cut to the image: (N, classes, 4) float32.

    Args:
        boxes: (N, 4) float32.
        deltas: (N, 4 x classes) float32; None leaves the boxes where they are.
    """
    down, across = axes
    sides = graph("Concat", *(across.old, down.old) * 2, axis=0)
    limits = graph.cast(sides, "float32")
    second = np.array([1], np.int64)
    if deltas is None:
        values = graph("Unsqueeze", boxes, second)
        values = graph("Tile", values, np.array([1, classes, 1], np.int64))
    else:
        low, high = graph.columns(boxes, 0, 2), graph.columns(boxes, 2, 4)
        size = graph("Sub", high, low)
        centre = graph("Add", low, graph("Mul", size, np.array(0.5, np.float32)))
        size, centre = (graph("Unsqueeze", one, second) for one in (size, centre))
        values = graph("Reshape", deltas, np.array([-1, classes, 4], np.int64))
        shift, growth = graph.columns(values, 0, 2, 2), graph.columns(values, 2, 4, 2)
        centre = graph("Add", centre, graph("Mul", shift, size))
        bounds = (np.array(value, np.float32) for value in (-4, 4))
        half = graph("Mul", size, graph("Exp", graph("Clip", growth, *bounds)))
        half = graph("Mul", half, np.array(0.5, np.float32))
        values = graph("Concat", graph("Sub", centre, half), graph("Add", centre, half), axis=2)
    return graph("Max", graph("Min", values, limits), np.array(0, np.float32))
