"""Layers of a network, put together or widened so that a GPU takes less time."""

import copy
from collections import Counter
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sppdet.device.direct import Direct
from sppdet.device.pointwise import Pointwise

SEQUENCE = nn.Sequential.forward
"""The forward of a module that calls its layers one after the other."""

LARGEST_KERNEL = 7
"""Cells a side of the largest depthwise kernel of our own, whose steps are written out one by one
when it is compiled."""

ANYTHING = -torch.inf, torch.inf
"""The limits of a layer's values where nothing follows that has some."""


def widen_input(network: nn.Module) -> bool:
    """Let, in place, the first convolution take a fourth channel, whose weights are zero: matrix
    units read four channels at once, and three only after a copy.

    Returns:
        Whether the network takes four channels now. It does if one convolution takes three, and it
        is the first module in the order of definition that is not a container.
    """
    leaves = [one for one in network.modules() if not list(one.children())]
    takers = [one for one in leaves if isinstance(one, nn.Conv2d) and one.in_channels == 3]
    if len(takers) != 1 or leaves[0] is not takers[0] or takers[0].groups != 1:
        return False
    first = takers[0]
    weight = nn.functional.pad(first.weight.detach(), (0, 0, 0, 0, 0, 1))
    first.weight = nn.Parameter(
        weight.contiguous(memory_format=torch.channels_last), requires_grad=False
    )
    first.in_channels = 4
    return True


def use_products(network: nn.Module) -> None:
    """Replace, in place, the convolutions of 1 x 1 by products, with a ReLU or ReLU6 that follows.

    What follows is known in a Sequential, and in SqueezeNet's Fire modules by its name.
    """
    for module in list(network.modules()):
        children = _children(module)
        following = dict(pairwise(children)) if type(module).forward is SEQUENCE else {}
        if type(module).__name__ == "Fire":
            following = {name: f"{name}_activation" for name in children}
        for first, layer in children.items():
            if not isinstance(layer, nn.Conv2d) or not _is_pointwise(layer):
                continue
            second = following.get(first, "")
            limits = _limits(children.get(second))
            setattr(module, first, Pointwise(layer, limits or ANYTHING))
            if limits is not None:
                setattr(module, second, nn.Identity())


def _is_pointwise(layer: nn.Conv2d) -> bool:
    return (
        type(layer) is nn.Conv2d
        and "forward" not in vars(layer)
        and layer.kernel_size == layer.stride == (1, 1)
        and layer.padding == (0, 0)
        and layer.groups == 1
    )


def use_kernels(network: nn.Module) -> None:
    """Replace, in place, convolutions of few products by :class:`Direct`: depthwise ones, and small
    ones of an image. With them go the layer of zeros before and the ReLU or ReLU6 behind, where
    they stand next to them in a Sequential."""
    for module in list(network.modules()):
        children = _children(module)
        neighbours = list(pairwise(children)) if type(module).forward is SEQUENCE else []
        before = {second: first for first, second in neighbours}
        behind = dict(neighbours)
        for name, layer in children.items():
            if not isinstance(layer, nn.Conv2d) or not _has_few_products(layer):
                continue
            near = far = int(layer.padding[0])
            pad, end = children.get(before.get(name, "")), children.get(behind.get(name, ""))
            if isinstance(pad, nn.ZeroPad2d) and _is_even(pad):
                near, far = near + int(pad.padding[0]), far + int(pad.padding[1])
                setattr(module, before[name], nn.Identity())
            limits = _limits(end)
            if limits is not None:
                setattr(module, behind[name], nn.Identity())
            setattr(module, name, Direct(layer, near, far, limits or ANYTHING))


def _limits(layer: nn.Module | None) -> tuple[float, float] | None:
    """The least and the greatest value behind a ReLU or a ReLU6; None for another layer."""
    if layer is None or "forward" in vars(layer):  # an object with a forward of its own
        return None
    if type(layer) is nn.ReLU:
        return 0.0, torch.inf
    return (0.0, 6.0) if type(layer) is nn.ReLU6 else None


def _has_few_products(layer: nn.Conv2d) -> bool:
    depthwise = layer.groups == layer.in_channels == layer.out_channels > 1
    first = layer.groups == 1 and layer.in_channels == 3 and layer.kernel_size == (3, 3)
    return (
        type(layer) is nn.Conv2d
        and "forward" not in vars(layer)
        and ((depthwise and layer.kernel_size[0] <= LARGEST_KERNEL) or first)
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
        and layer.dilation == (1, 1)
        and all(len(set(pair)) == 1 for pair in (layer.kernel_size, layer.stride, layer.padding))
    )


def _is_even(pad: nn.ZeroPad2d) -> bool:
    """Whether it adds as much to the rows as to the columns, and cuts off nothing."""
    left, right, top, bottom = pad.padding
    return left == top >= 0 and right == bottom >= 0


def _children(module: nn.Module) -> dict[str, nn.Module]:
    """By their names, in their order, one that appears twice too."""
    return {name: one for name, one in module._modules.items() if one is not None}


class Single(nn.Module):
    """A layer whose steps need the range of single precision, in a network of another precision."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = self.layer(maps.float())
        return result.to(maps.dtype)


def converted(network: nn.Module, kind: torch.dtype) -> nn.Module:
    """A copy of the network with numbers of another type, and fewer layers where that is easy."""
    network = copy.deepcopy(network).eval()
    fold_batch_norms(network)
    use_products(network)
    use_kernels(network)
    network = network.to(dtype=kind, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if kind != torch.float32:
        for module in list(network.modules()):
            for name, layer in module.named_children():
                # It divides by sums of squares.
                if type(layer) is nn.LocalResponseNorm:
                    setattr(module, name, Single(layer))
    return network


def fold_batch_norms(network: nn.Module) -> None:
    """Fold, in place, each batch norm into the convolution directly before it in a Sequential."""
    uses = Counter(id(one) for _, one in network.named_modules(remove_duplicate=False))
    for module in network.modules():
        if type(module).forward is not SEQUENCE:
            continue
        layers = list(module.named_children())
        for (first, layer), (second, norm) in pairwise(layers):
            if type(layer) is not nn.Conv2d or type(norm) is not nn.BatchNorm2d:
                continue
            if norm.running_mean is not None and uses[id(layer)] == uses[id(norm)] == 1:
                setattr(module, first, fuse_conv_bn_eval(layer, norm))
                setattr(module, second, nn.Identity())
