"""From an image of any size to what the network takes, as operations of ONNX.

Both ways of OpenCV's ``resize`` that the detector uses are a product with two matrices, one per
axis: for the area average a row holds the overlap of a new pixel with the old ones, for bilinear
interpolation the two nearest pixels' shares. Rounded to whole numbers the pixels are those of
OpenCV, but for one of some hundred, which differs by one grey level where OpenCV itself rounds in
between.
"""

from dataclasses import dataclass

import numpy as np

from sppdet.export.graph import Graph
from sppdet.trunks import Trunk


@dataclass(frozen=True)
class Axis:
    """One side of the image: names of (1,) float64 values.

    Attributes:
        old, new: pixels before and after the resizing.
        scale: resized pixels per original pixel, as in :class:`sppdet.features.windows.Scale`.
    """

    old: str
    new: str
    scale: str


def image_axes(graph: Graph, image: str, short_side: int, longest_side: int) -> tuple[Axis, Axis]:
    """The vertical and the horizontal axis of :func:`sppdet.features.windows.image_scales`.

    Args:
        image: (H, W, 3).
        short_side, longest_side: in pixels, as in :class:`sppdet.settings.SppSettings`.
    """
    height, width = (graph.cast(graph.size(image, axis), "float64") for axis in (0, 1))
    by_short = graph("Div", _number(short_side), graph("Min", height, width))
    by_long = graph("Div", _number(longest_side), graph("Max", height, width))
    factor = graph("Min", by_short, by_long)
    axes = []
    for old in (height, width):
        new = graph("Max", graph("Round", graph("Mul", old, factor)), _number(1))
        axes.append(Axis(old, new, graph("Div", new, old)))
    return axes[0], axes[1]


def resized(graph: Graph, image: str, axes: tuple[Axis, Axis]) -> str:
    """:func:`sppdet.features.windows.resize`: (H, W, 3) uint8 to whole numbers, (H', W', 3)
    float32."""
    down, across = axes
    shrinks = graph("Or", *(graph("Less", axis.new, axis.old) for axis in axes))
    rows, columns = (_matrix(graph, axis, shrinks) for axis in axes)
    pixels = graph.cast(image, "float32")
    flat = graph("Reshape", pixels, np.array([0, -1], np.int64))
    shape = graph(
        "Concat",
        graph.cast(down.new, "int64"),
        graph.cast(across.old, "int64"),
        np.array([3], np.int64),
        axis=0,
    )
    pixels = graph("Reshape", graph("MatMul", rows, flat), shape)
    pixels = graph("MatMul", columns, pixels)  # of each row: (W', W) @ (W, 3)
    halves = graph("And", *(graph("Equal", axis.scale, _number(0.5)) for axis in axes))
    upwards = graph("Floor", graph("Add", pixels, np.array(0.5, np.float32)))
    return graph("Where", halves, upwards, graph("Round", pixels))  # as OpenCV does at half size


def network_input(graph: Graph, pixels: str, trunk: Trunk) -> str:
    """What :meth:`Trunk.input_tensor` and :meth:`Trunk.maps` make: (1, 3, H, W) float32."""
    chosen = trunk.preprocessing
    if chosen.channels == "BGR":
        pixels = graph("Gather", pixels, np.array([2, 1, 0], np.int64), axis=2)
    std = np.array(chosen.std, np.float32)
    factor = np.float32(chosen.scale / 255) / std
    offset = np.array(chosen.mean, np.float32) / std
    values = graph("Sub", graph("Mul", pixels, factor), offset)
    values = graph("Transpose", values, perm=[2, 0, 1])
    batch = graph("Unsqueeze", values, np.array([0], np.int64))
    missing = []
    for axis in (2, 3):
        size = graph.size(batch, axis)
        wanted = graph("Max", size, np.array([trunk.smallest_side], np.int64))
        multiple = np.array([trunk.multiple], np.int64)
        up = graph("Add", wanted, multiple - 1)
        wanted = graph("Mul", graph("Div", up, multiple), multiple)
        missing.append(graph("Sub", wanted, size))
    pads = graph("Concat", np.zeros(6, np.int64), *missing, axis=0)
    return graph("Pad", batch, pads)


def _matrix(graph: Graph, axis: Axis, shrinks: str) -> str:
    """The shares of the old pixels in each new one: (new, old) float32, rows that sum to 1."""
    step = graph("Div", axis.old, axis.new)
    zero, one = np.array(0.0), np.array(1.0)
    new, old = (
        graph("Range", zero, graph("Squeeze", length), one) for length in (axis.new, axis.old)
    )
    new = graph("Unsqueeze", new, np.array([1], np.int64))
    first = graph("Mul", new, step)
    end = graph("Mul", graph("Add", new, one), step)
    overlap = graph("Sub", graph("Min", end, graph("Add", old, one)), graph("Max", first, old))
    area = graph("Div", graph("Max", overlap, zero), step)
    centre = graph("Sub", graph("Mul", graph("Add", new, np.array(0.5)), step), np.array(0.5))
    centre = graph("Min", graph("Max", centre, zero), graph("Sub", axis.old, one))
    distance = graph("Abs", graph("Sub", centre, old))
    linear = graph("Max", graph("Sub", one, distance), zero)
    return graph.cast(graph("Where", shrinks, area, linear), "float32")


def _number(value: float) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.array([value], np.float64)
