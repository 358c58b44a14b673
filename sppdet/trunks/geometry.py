"""Where the cells of a convolutional map lie in the image, derived from the layers themselves."""

import operator
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from sppdet.trunks.tracing import Tracer

POINTWISE_LAYERS = (
    nn.BatchNorm2d
    | nn.Dropout
    | nn.Dropout2d
    | nn.ELU
    | nn.GELU
    | nn.Hardsigmoid
    | nn.Hardswish
    | nn.Hardtanh  # ReLU6 is one
    | nn.Identity
    | nn.LeakyReLU
    | nn.LocalResponseNorm
    | nn.Mish
    | nn.PReLU
    | nn.ReLU
    | nn.SiLU
    | nn.Sigmoid
    | nn.Softplus
    | nn.Tanh
)
"""Layers whose cell depends on the input's cell at the same place only."""

_POINTWISE: set[Callable[..., Any]] = {
    operator.add,
    operator.iadd,
    operator.imul,
    operator.mul,
    operator.sub,
    operator.truediv,
    torch.add,
    torch.mul,
    torch.relu,
    torch.sigmoid,
    torch.tanh,
    F.dropout,
    F.gelu,
    F.hardsigmoid,
    F.hardswish,
    F.hardtanh,
    F.leaky_relu,
    F.relu,
    F.relu6,
    F.sigmoid,
    F.silu,
    F.tanh,
}
POINTWISE_METHODS = {
    "add", "add_", "clamp", "contiguous", "mul", "mul_", "relu", "relu_", "sigmoid", "tanh"
}  # fmt: skip
"""Methods of a tensor that keep every cell in its place."""


@dataclass(frozen=True)
class MapGeometry:
    """The regular grid of a map's cells in the pixels of the network's input.

    Attributes:
        stride: distance of neighbouring cells, in pixels.
        first_center: index of the pixel at the centre of the first cell's receptive field; a half
            (7.5) lies between two pixels. With half-open boxes, whose coordinates are pixel edges,
            that centre has the coordinate ``first_center + 0.5``.
    """

    stride: int
    first_center: float

    def after(self, kernel: int, stride: int, padding: int, dilation: int = 1) -> "MapGeometry":
        """The geometry behind one more layer: its kernel is centred on the middle of its inputs."""
        shift = dilation * (kernel - 1) / 2 - padding
        return MapGeometry(self.stride * stride, self.first_center + shift * self.stride)

    def doubled(self) -> "MapGeometry":
        """The geometry behind :class:`Doubled`."""
        return MapGeometry(self.stride // 2, self.first_center - self.stride / 2)


class Doubled(nn.Module):
    """A map of twice the size: (B, C, H, W) to (B, C, 2 H, 2 W).

    Cell 2 i + 1 is cell i of the input, and cell 2 i the mean of the cells i - 1 and i; cell 0 is
    the first cell.
    """

    def forward(self, maps: Tensor) -> Tensor:
        for axis in (2, 3):
            first, count = maps.narrow(axis, 0, 1), maps.shape[axis]
            before = torch.cat([first, maps.narrow(axis, 0, count - 1)], axis)
            pairs = torch.stack([(before + maps) / 2, maps], axis + 1)
            maps = pairs.flatten(axis, axis + 1)
        return maps


_EVERYWHERE = None
"""In place of a geometry: a value that belongs to the whole image, such as a global average."""


class _Tracer(Tracer):
    """Keeps a :class:`Doubled` whole."""

    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        leaf: bool = super().is_leaf_module(module, qualified_name)
        return leaf or isinstance(module, Doubled)


def map_geometry(trunk: nn.Module) -> MapGeometry:
    """Follow the network's graph from the image to the map, layer by layer.

    A value that is averaged over the whole map and multiplied back onto it (squeeze and excitation)
    does not move a cell.

    Raises:
        ValueError: two branches meet whose cells do not lie over each other, a layer is not square,
            or an operation occurs whose geometry is unknown.
        Exception: the network's Python code cannot be traced; the tracer raises many types.
    """
    traced = fx.GraphModule(trunk, _Tracer().trace(trunk))
    found: dict[fx.Node, MapGeometry | None] = {}
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            found[node] = MapGeometry(1, 0.0)
            continue
        sources = [found[source] for source in node.all_input_nodes if source in found]
        if not sources:
            continue
        inputs = {one for one in sources if one is not _EVERYWHERE}
        if len(inputs) > 1:
            raise ValueError(
                f"{node.name}: joins maps whose cells differ: {sorted(map(str, inputs))}"
            )
        found[node] = _behind(node, traced, inputs.pop() if inputs else _EVERYWHERE)
    result = found.get(next(n for n in traced.graph.nodes if n.op == "output"))
    if result is _EVERYWHERE:
        raise ValueError("the network's output does not depend on the place in the image")
    return result


def _behind(node: fx.Node, traced: fx.GraphModule, geometry: MapGeometry | None) -> Any:
    """The geometry of a node's result, from that of its inputs."""
    if node.op == "call_module":
        return _through(geometry, traced.get_submodule(str(node.target)), node.name)
    if node.op == "call_method" and node.target not in POINTWISE_METHODS:
        raise ValueError(f"{node.name}: the geometry of the method {node.target} is unknown")
    if node.op == "call_function":
        if node.target is F.adaptive_avg_pool2d and _is_one(node.args[1:] or node.kwargs.values()):
            return _EVERYWHERE
        if node.target is torch.cat and dimension(node) != 1:
            raise ValueError(f"{node.name}: joins maps along dimension {dimension(node)}")
        if node.target is not torch.cat and not is_pointwise(node.target):
            raise ValueError(f"{node.name}: the geometry of {node.target} is unknown")
    if node.op == "output" and not isinstance(node.args[0], fx.Node):
        raise ValueError("the network's output is not one tensor")
    return geometry


def _through(geometry: MapGeometry | None, layer: nn.Module, name: str) -> MapGeometry | None:
    if isinstance(layer, nn.AdaptiveAvgPool2d) and _is_one([layer.output_size]):
        return _EVERYWHERE
    if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        dilation = getattr(layer, "dilation", 1)
        numbers = (
            square(layer.kernel_size, name),
            square(layer.stride, name),
            square(layer.padding, name),
            square(dilation, name),
        )
        return _EVERYWHERE if geometry is _EVERYWHERE else geometry.after(*numbers)
    if isinstance(layer, POINTWISE_LAYERS):
        return geometry
    if isinstance(layer, nn.ZeroPad2d):
        left, _, top, _ = layer.padding  # what is added at the far end moves no cell
        near = square((left, top), name)
        return _EVERYWHERE if geometry is _EVERYWHERE else geometry.after(1, 1, near)
    if isinstance(layer, Doubled):
        return _EVERYWHERE if geometry is _EVERYWHERE else geometry.doubled()
    raise ValueError(f"{name}: the geometry of {type(layer).__name__} is unknown")


def is_pointwise(function: Any) -> bool:
    """Whether a function keeps every cell in its place."""
    ops = sys.modules.get("torchvision.ops")  # a network that calls its functions has imported it
    return function in _POINTWISE or (ops is not None and function is ops.stochastic_depth)


def square(value: object, name: str) -> int:
    """The number that a layer's setting is for both axes.

    Raises:
        ValueError: it is not one whole number.
    """
    numbers = value if isinstance(value, tuple) else (value,)
    if len(set(numbers)) != 1 or not isinstance(numbers[0], int):
        raise ValueError(f"{name}: {value} is not one whole number for both axes")
    return numbers[0]


def _is_one(size: Any) -> bool:
    """Whether an adaptive pooling's size, (1,) or ((1, 1),), is that of one cell."""
    return all(one in (1, (1, 1), [1, 1]) for one in size)


def dimension(node: fx.Node) -> Any:
    """Along which dimension ``torch.cat`` joins."""
    return node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
