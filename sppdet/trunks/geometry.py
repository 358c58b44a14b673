"""Where the cells of a convolutional map lie in the image, derived from the layers themselves."""

import operator
from dataclasses import dataclass

import torch
from torch import fx, nn

_POINTWISE = {torch.relu, torch.cat, nn.functional.relu, operator.add, operator.iadd, torch.add}


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


def map_geometry(trunk: nn.Module) -> MapGeometry:
    """Follow the network's graph from the image to the map, layer by layer.

    Raises:
        ValueError: two branches meet whose cells do not lie over each other, a layer is not square,
            or an operation occurs whose geometry is unknown.
    """
    traced = fx.symbolic_trace(trunk)
    found: dict[fx.Node, MapGeometry] = {}
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            found[node] = MapGeometry(1, 0.0)
            continue
        inputs = {found[source] for source in node.all_input_nodes if source in found}
        if not inputs:
            continue
        if len(inputs) > 1:
            raise ValueError(
                f"{node.name}: joins maps whose cells differ: {sorted(map(str, inputs))}"
            )
        geometry = inputs.pop()
        if node.op == "call_module":
            geometry = _through(geometry, traced.get_submodule(str(node.target)), node.name)
        elif node.op == "call_function" and node.target not in _POINTWISE:
            raise ValueError(f"{node.name}: the geometry of {node.target} is unknown")
        found[node] = geometry
    return found[next(n for n in traced.graph.nodes if n.op == "output")]


def _through(geometry: MapGeometry, layer: nn.Module, name: str) -> MapGeometry:
    if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        dilation = getattr(layer, "dilation", 1)
        return geometry.after(
            _square(layer.kernel_size, name),
            _square(layer.stride, name),
            _square(layer.padding, name),
            _square(dilation, name),
        )
    if isinstance(
        layer, nn.ReLU | nn.BatchNorm2d | nn.Dropout | nn.LocalResponseNorm | nn.Identity | nn.SiLU
    ):
        return geometry
    raise ValueError(f"{name}: the geometry of {type(layer).__name__} is unknown")


def _square(value: object, name: str) -> int:
    numbers = value if isinstance(value, tuple) else (value,)
    if len(set(numbers)) != 1 or not isinstance(numbers[0], int):
        raise ValueError(f"{name}: {value} is not one whole number for both axes")
    return numbers[0]
