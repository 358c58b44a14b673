"""A network on a canvas: what lies behind the image is cleared where a layer would see it."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.nn import functional as F

from sppdet.device.canvas import Step, Steps, Strips, cells
from sppdet.device.direct import Direct
from sppdet.device.layers import Single
from sppdet.device.pointwise import Pointwise
from sppdet.trunks.geometry import (
    POINTWISE_LAYERS,
    POINTWISE_METHODS,
    Doubled,
    dimension,
    is_pointwise,
    square,
)
from sppdet.trunks.tracing import Tracer

Masks = list[tuple[Tensor | None, Tensor | None]]
"""For each size that is cleared, which of the last rows and which of the last columns lie behind
the image, (n,) bool; None where none ever does. The first pair is that of the pixels."""


def split_masks(masks: tuple[Tensor, Tensor], strips: Strips) -> Masks:
    """The :data:`Masks` of an image from those of its two sides.

    Args:
        masks: bool, :attr:`Side.mask` of the height and of the width.
        strips: their :attr:`Side.strips`.
    """
    rows, columns = (
        [part if len(part) else None for part in mask.split(list(widths))]
        for mask, widths in zip(masks, strips, strict=True)
    )
    return list(zip(rows, columns, strict=True))


def clear(maps: Tensor, masks: Masks, place: int, value: float) -> Tensor:
    """Set, in place, the cells of (B, C, H, W) behind the image, by the masks at ``place``."""
    rows, columns = masks[place]
    if rows is not None:
        maps[:, :, maps.shape[2] - len(rows) :].masked_fill_(rows[:, None], value)
    if columns is not None:
        maps[:, :, :, maps.shape[3] - len(columns) :].masked_fill_(columns, value)
    return maps


class _Tracer(Tracer):
    """Keeps the layers of sppdet whole that have a rule here."""

    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        leaf: bool = super().is_leaf_module(module, qualified_name)
        return leaf or isinstance(module, Direct | Doubled | Pointwise | Single)


def with_clearing(
    network: nn.Module, sides: NDArray[np.int64]
) -> tuple[fx.GraphModule, tuple[Steps, ...], Steps]:
    """The network as a function of a canvas (1, 3, H, W) and its :data:`Masks`; it has the
    network's own layers.

    Args:
        network: ready to run.
        sides: sides of images without a canvas; sizes that are equal for all of them are the same.

    Returns:
        That function, :attr:`Rounding.sizes` and :attr:`Rounding.of_map`.

    Raises:
        ValueError: it has a layer without a rule, such as one that looks at the whole map.
        Exception: its Python code cannot be traced; the tracer raises many types.
    """
    graph = _Tracer().trace(network)
    image, *others = (node for node in graph.nodes if node.op == "placeholder")
    if others:
        raise ValueError("the network has more than one input")
    places: dict[bytes, int] = {}
    sizes: list[Steps] = []

    def cleared(node: fx.Node, value: float) -> fx.Node:
        steps = behind[node]
        table = cells(steps, sides).tobytes()
        if table not in places:
            sizes.append(steps)
            places[table] = len(sizes)
        return graph.call_function(clear, (node, masks, places[table], value))

    nodes = list(graph.nodes)
    with graph.inserting_after(image):
        masks = graph.placeholder("masks")
    behind: dict[fx.Node, Steps] = {image: ()}
    for node in nodes:
        sources = [one for one in node.all_input_nodes if one in behind]
        if not sources:
            continue
        if len({cells(behind[one], sides).tobytes() for one in sources}) > 1:
            raise ValueError(f"{node.name}: joins maps of several sizes")
        source = sources[0]
        step, value = _rule(node, network)
        # The pixels' own strips are zero already.
        if value is not None and not (source is image and value == 0):
            with graph.inserting_before(node):
                node.replace_input_with(source, cleared(source, value))
        behind[node] = behind[source] if step is None else (*behind[source], step)
        if node.op == "output":
            of_map = behind[node]
    return fx.GraphModule(network, graph), tuple(sizes), of_map


def _rule(node: fx.Node, network: nn.Module) -> tuple[Step | None, float | None]:
    """What a node does to the number of cells, and what it wants to see behind the image; None
    where it does nothing and does not look there."""
    if node.op == "output":
        if not isinstance(node.args[0], fx.Node):
            raise ValueError("the network's output is not one tensor")
        return None, 0.0
    if node.op == "call_module":
        return _layer_rule(network.get_submodule(str(node.target)), node.name)
    if node.op == "call_method" and node.target in POINTWISE_METHODS:
        return None, None
    if node.op == "call_function":
        if is_pointwise(node.target) or (node.target is torch.cat and dimension(node) == 1):
            return None, None
        if node.target is F.pad:
            extent, *rest = [*node.args[1:], *node.kwargs.values()]
            if set(rest) <= {"constant", None, 0}:
                return _padding_rule(extent, node.name)
    raise ValueError(f"{node.name}: no rule is known for {node.target}")


def _layer_rule(layer: nn.Module, name: str) -> tuple[Step | None, float | None]:
    if isinstance(layer, POINTWISE_LAYERS | Pointwise):
        return None, None
    if isinstance(layer, Single) and isinstance(layer.layer, POINTWISE_LAYERS):
        return None, None
    if isinstance(layer, Direct):
        return Step(layer.kernel, layer.stride, layer.near, layer.far), 0.0
    if isinstance(layer, Doubled):  # it looks back only
        return Step(times=2), None
    if isinstance(layer, nn.ZeroPad2d):
        return _padding_rule(layer.padding, name)
    if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        kernel, stride = square(layer.kernel_size, name), square(layer.stride, name)
        padding, dilation = square(layer.padding, name), square(getattr(layer, "dilation", 1), name)
        ceil = getattr(layer, "ceil_mode", False)
        step = Step(kernel, stride, padding, padding, dilation, ceil)
        if isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros":
            # Without padding too: some algorithms of convolution read more than the sum needs.
            return step, 0.0 if kernel > 1 or padding else None
        if isinstance(layer, nn.MaxPool2d) and not layer.return_indices:
            return step, -torch.inf if padding or ceil else None
        if isinstance(layer, nn.AvgPool2d) and not ceil:
            if not padding:
                return step, None
            if layer.count_include_pad:
                return step, 0.0
    raise ValueError(f"{name}: no rule is known for {layer}")


def _padding_rule(extent: object, name: str) -> tuple[Step, float]:
    if not isinstance(extent, tuple | list) or len(extent) != 4:
        raise ValueError(f"{name}: pads by {extent}")
    left, right, top, bottom = extent
    near, far = square((left, top), name), square((right, bottom), name)
    if near < 0 or far < 0:
        raise ValueError(f"{name}: cuts off cells")
    return Step(near=near, far=far), 0.0
