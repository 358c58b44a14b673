"""Networks without batch norm, as they were published before it existed."""

import torch
from torch import nn

from sppdet.trunks.small import ConvBlock

NORMLESS: dict[str, float | None] = {
    "spp5": None,
    "spp5-wide": None,
    "spp5-average": None,
    "spp5-flatten": None,
    "nin": 0.05,
}
"""Networks that can do without: the standard deviation of their first weights; None for that of He
et al. (*Delving Deep into Rectifiers*, 2015, section 2.2). NIN's is that of its authors' settings
for CIFAR-10."""


def without_norms(network: nn.Module, deviation: float | None) -> nn.Module:
    """Take the batch norms out of a network, in place, and draw its weights anew.

    NIN's second pooling becomes a maximum as the first one is (Lin, Chen and Yan, 2014, section
    4.1): with averages there it does not begin to learn (docs/experiments.md).

    Every block of convolution, norm and ReLU becomes convolution with bias and ReLU. The weights of
    all convolutions and linear layers are Gaussian with mean 0, from PyTorch's global generator;
    the biases start at 0.

    Args:
        network: whose norms are in :class:`sppdet.trunks.small.ConvBlock` only.
        deviation: of the weights; None: the root of 2 / inputs of each layer, so that the size of
            the values stays from layer to layer.
    """
    for module in list(network.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, nn.AvgPool2d):
                setattr(module, name, nn.MaxPool2d(layer.kernel_size, layer.stride, layer.padding))
    for block in [module for module in network.modules() if isinstance(module, ConvBlock)]:
        old = block.get_submodule("conv")
        assert isinstance(old, nn.Conv2d)
        size, stride = old.kernel_size[0], old.stride[0]
        new = nn.Conv2d(old.in_channels, old.out_channels, size, stride, size // 2)
        block.set_submodule("conv", new.to(old.weight.device))
        block.set_submodule("norm", nn.Identity())
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            with torch.no_grad():
                if deviation is None:
                    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                else:
                    nn.init.normal_(layer.weight, std=deviation)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
    return network
