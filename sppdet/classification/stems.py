"""Networks of torchvision for small images: their first layers without the early shrinking."""

import torch
from torch import nn

from sppdet.errors import SppdetError

FIRST_POOLS = {
    "densenet": "features.pool0",
    "googlenet": "maxpool1",
    "inception_v3": "maxpool1",
    "resnet": "maxpool",
    "resnext": "maxpool",
    "wide_resnet": "maxpool",
    "shufflenet": "maxpool",
    "alexnet": "",
    "convnext": "",
    "efficientnet": "",
    "mnasnet": "",
    "mobilenet": "",
    "regnet": "",
    "squeezenet": "",
    "vgg": "",
}
"""Families that :func:`shrink_later` knows, by the beginning of the name: the max pooling that
belongs to the stem; empty where there is none, or where 32 pixels are enough for it."""


def shrink_later(network: nn.Module, name: str) -> None:
    """Give a network, in place, the stem that is usual for images of 32 x 32 pixels.

    The first convolution gets stride 1, and a kernel of at most 3 x 3 with a padding that keeps
    the size (He et al., *Deep Residual Learning*, section 4.2, for CIFAR-10); the max pooling of
    the stem is left out. VGG's fully connected layers take the mean of the last map, 1 x 1 cell,
    because the map of 32 x 32 pixels has one cell only. The new weights come from PyTorch's global
    generator.

    Args:
        network: of torchvision.
        name: its name there.

    Raises:
        SppdetError: the network has no such stem.
    """
    family = next((one for one in FIRST_POOLS if name.startswith(one)), None)
    if family is None:
        raise SppdetError(
            f"--stem cifar: is not known for {name}; it is for {', '.join(sorted(FIRST_POOLS))}"
        )
    _replace_first_convolution(network)
    if FIRST_POOLS[family]:
        network.set_submodule(FIRST_POOLS[family], nn.Identity())
    if family == "vgg":
        network.avgpool = nn.AdaptiveAvgPool2d(1)
        layers = network.get_submodule("classifier")
        assert isinstance(layers, nn.Sequential)
        first = layers[0]
        assert isinstance(first, nn.Linear)
        layers[0] = new = nn.Linear(first.in_features // 49, first.out_features)
        nn.init.normal_(new.weight, 0, 0.01)
        nn.init.zeros_(new.bias)


def _replace_first_convolution(network: nn.Module) -> None:
    place, old = next(
        (place, layer) for place, layer in network.named_modules() if isinstance(layer, nn.Conv2d)
    )
    kernel = min(old.kernel_size[0], 3)
    new = nn.Conv2d(
        old.in_channels,
        old.out_channels,
        kernel,
        padding=kernel // 2,
        bias=old.bias is not None,
        device=torch.device("meta") if old.weight.is_meta else None,
    )
    network.set_submodule(place, new)
