"""An image of any size at the detector's scale, as operations of ONNX.

The resizing is OpenCV's, to the whole number of each pixel. Enlarged pixels are equal. Of reduced
ones up to some in a hundred differ by one grey level, where the mean lies in the middle between two
and the order of OpenCV's sums decides.
"""

from dataclasses import dataclass

import numpy as np

from sppdet.export.graph import Graph


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
    pixels = graph.cast(image, "float32")
    shrinks = graph("Or", *(graph("Less", axis.new, axis.old) for axis in axes))
    return graph.either(
        shrinks,
        lambda one: _averaged(one, pixels, axes),
        lambda one: _interpolated(one, pixels, axes),
    )


def _averaged(graph: Graph, pixels: str, axes: tuple[Axis, Axis]) -> str:
    """OpenCV's INTER_AREA: the mean of the old pixels under each new one, weighted by overlap."""
    down, across = axes
    flat = graph("Reshape", pixels, np.array([0, -1], np.int64))
    rows = graph("MatMul", _overlaps(graph, down), flat)
    sides = graph.cast(down.new, "int64"), graph.cast(across.old, "int64")
    shape = graph("Concat", *sides, np.array([3], np.int64), axis=0)
    columns = _overlaps(graph, across)
    result = graph("MatMul", columns, graph("Reshape", rows, shape))  # (W', W) @ (W, 3) of each row
    halves = graph("And", *(graph("Equal", axis.scale, _number(0.5)) for axis in axes))
    upwards = graph("Floor", graph("Add", result, np.array(0.5, np.float32)))
    return graph("Where", halves, upwards, graph("Round", result))  # OpenCV's own way at half size


def _overlaps(graph: Graph, axis: Axis) -> str:
    """The shares of the old pixels in each new one: (new, old) float32, rows that sum to 1."""
    step = graph("Div", axis.old, axis.new)
    new, old = (_range(graph, length) for length in (axis.new, axis.old))
    new = graph("Unsqueeze", new, np.array([1], np.int64))
    first, end = (graph("Mul", one, step) for one in (new, graph("Add", new, _number(1))))
    until, since = graph("Min", end, graph("Add", old, _number(1))), graph("Max", first, old)
    overlap = graph("Max", graph("Sub", until, since), _number(0))
    return graph.cast(graph("Div", overlap, step), "float32")


def _interpolated(graph: Graph, pixels: str, axes: tuple[Axis, Axis]) -> str:
    """OpenCV's INTER_LINEAR of bytes, with its whole numbers: shares of 2048, cut in between."""
    down, across = axes
    first, second, near, far = _taps(graph, across, clamped=True)
    parts = (
        graph("Mul", graph("Gather", pixels, place, axis=1), share)
        for place, share in ((first, near), (second, far))
    )
    rows = graph("Floor", graph("Div", graph("Add", *parts), np.array(16, np.float32)))
    rows = graph.cast(rows, "float64")
    first, second, near, far = _taps(graph, down, clamped=False)
    shares = (graph("Unsqueeze", graph.cast(one, "float64"), np.array([2])) for one in (near, far))
    parts = (
        graph(
            "Floor", graph("Div", graph("Mul", graph("Gather", rows, place), share), _number(65536))
        )
        for place, share in zip((first, second), shares, strict=True)
    )
    total = graph("Add", graph("Add", *parts), _number(2))
    return graph("Floor", graph("Div", total, _number(4)))


def _taps(graph: Graph, axis: Axis, clamped: bool) -> tuple[str, str, str, str]:
    """The two old pixels for each new one, (new,) int64 each, and their shares of 2048, (new, 1)
    float32. ``clamped``: at the border the share of the outer pixel goes to the inner one."""
    half = _number(0.5)
    place = graph(
        "Mul", graph("Add", _range(graph, axis.new), half), graph("Div", axis.old, axis.new)
    )
    place = graph.cast(graph("Sub", place, half), "float32")
    last = graph.cast(graph("Sub", axis.old, _number(1)), "float32")
    zero, one = np.array([0], np.float32), np.array([1], np.float32)
    if clamped:
        place = graph("Min", graph("Max", place, zero), last)
    first = graph("Floor", place)
    far = graph("Sub", place, first)
    near = graph("Sub", one, far)
    places = (
        graph.cast(graph("Min", graph("Max", value, zero), last), "int64")
        for value in (first, graph("Add", first, one))
    )
    shares = (
        graph(
            "Unsqueeze",
            graph("Round", graph("Mul", value, np.array(2048, np.float32))),
            np.array([1]),
        )
        for value in (near, far)
    )
    return (*places, *shares)  # type: ignore[return-value]


def _range(graph: Graph, length: str) -> str:
    """0, 1, ... as float64."""
    return graph("Range", np.array(0.0), graph("Squeeze", length), np.array(1.0))


def _number(value: float) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.array([value], np.float64)
