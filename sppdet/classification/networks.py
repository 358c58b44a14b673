"""Classification networks by name: this project's, LeNet-5, NIN, ZF-5, and torchvision's."""

from collections import OrderedDict
from collections.abc import Callable
from itertools import pairwise

import torch
import torchvision
from torch import Tensor, nn

from sppdet.classification.stems import shrink_later
from sppdet.errors import SppdetError
from sppdet.features.pyramid import SpatialPyramidPool
from sppdet.trunks.small import SMALL_CHANNELS, ConvBlock, small_trunk
from sppdet.trunks.zf5 import zf5

Levels = tuple[int, ...] | None
Builder = Callable[[int, Levels, float], nn.Module]

SPP5_CHANNELS = (32, 64, 128, 128, 128)
"""Channels of the five convolutions of ``spp5``."""

WIDE_CHANNELS = (64, 256, 512, 512, 512)
"""Channels of the five convolutions of ``spp5-wide``."""


class PyramidClassifier(nn.Module):
    """Convolutions, pooling to a vector of fixed length, and fully connected layers.

    Args:
        features: (B, 3, H, W) to (B, C, H', W').
        pool: (B, C, H', W') to (B, D), for maps of any size (unless it is a :class:`FixedFlatten`).
        classifier: (B, D) to the (B, classes) scores.
    """

    def __init__(self, features: nn.Module, pool: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.pool = pool
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.pool(self.features(images)))


class FixedFlatten(nn.Module):
    """The map itself as a vector, as in networks without a pyramid; for maps of one size only."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, maps: Tensor) -> Tensor:
        if maps.shape[2:] != (self.side, self.side):
            raise SppdetError(
                f"this network takes one image size only: its map is {self.side} x {self.side} "
                f"cells, not {maps.shape[2]} x {maps.shape[3]}; train and test at that size, "
                "or choose a network with a pyramid"
            )
        return maps.flatten(1)

    def extra_repr(self) -> str:
        return f"side={self.side}"


class Scale(nn.Module):
    """Multiply by a constant: pooled maxima are long vectors; shorter, they bear a higher rate."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, values: Tensor) -> Tensor:
        return values * self.factor

    def extra_repr(self) -> str:
        return f"{self.factor:g}"


def small(classes: int, levels: Levels, dropout: float) -> nn.Module:
    """The trunk that ships with sppdet under one linear layer; pyramid (1, 2) by default."""
    pool = SpatialPyramidPool(levels or (1, 2))
    linear = nn.Linear(SMALL_CHANNELS[-1] * pool.bins, classes)
    head = nn.Sequential(Scale(0.125), nn.Dropout(dropout), linear)
    return PyramidClassifier(small_trunk().get_submodule("features"), pool, head)


def _five_convolutions() -> nn.Sequential:
    first, second, third, fourth, fifth = SPP5_CHANNELS
    layers = OrderedDict(
        conv1=ConvBlock(3, first),
        pool1=nn.MaxPool2d(2),
        conv2=ConvBlock(first, second),
        pool2=nn.MaxPool2d(2),
        conv3=ConvBlock(second, third),
        conv4=ConvBlock(third, fourth),
        conv5=ConvBlock(fourth, fifth),
    )
    return nn.Sequential(layers)


def _two_layers(inputs: int, classes: int, dropout: float, scale: float = 0.25) -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            scale=Scale(scale),
            drop6=nn.Dropout(dropout),
            fc6=nn.Linear(inputs, 512),
            relu6=nn.ReLU(inplace=True),
            drop7=nn.Dropout(dropout),
            fc7=nn.Linear(512, classes),
        )
    )


def spp5(classes: int, levels: Levels, dropout: float) -> nn.Module:
    """Five convolutions (batch norm, stride 4), a pyramid, two fully connected layers, for CIFAR.

    The pyramid is (4, 2, 1) by default; any size of at least 4 x 4 pixels.
    """
    pool = SpatialPyramidPool(levels or (4, 2, 1))
    head = _two_layers(SPP5_CHANNELS[-1] * pool.bins, classes, dropout)
    return PyramidClassifier(_five_convolutions(), pool, head)


def spp5_wide(classes: int, levels: Levels, dropout: float) -> nn.Module:
    """Five wide convolutions (batch norm, stride 4), a pyramid, two layers; for CIFAR on a GPU.

    The second convolution sees the whole resolution: 760 million multiplications for 32 x 32
    pixels, 26 times those of ``spp5``. The pyramid is (4, 2, 1) by default; any size of at least
    4 x 4 pixels.
    """
    first, second, third, fourth, fifth = WIDE_CHANNELS
    layers = OrderedDict(
        conv1=ConvBlock(3, first),
        conv2=ConvBlock(first, second),
        pool2=nn.MaxPool2d(2),
        conv3=ConvBlock(second, third),
        pool3=nn.MaxPool2d(2),
        conv4=ConvBlock(third, fourth),
        conv5=ConvBlock(fourth, fifth),
    )
    pool = SpatialPyramidPool(levels or (4, 2, 1))
    # The vector is four times as long as that of spp5: half the scale gives it the same length.
    head = _two_layers(fifth * pool.bins, classes, dropout, 0.125)
    return PyramidClassifier(nn.Sequential(layers), pool, head)


def spp5_average(classes: int, levels: Levels, dropout: float) -> nn.Module:
    """``spp5`` with global average pooling in the pyramid's place."""
    pool = SpatialPyramidPool((1,), mode="average")
    head = _two_layers(SPP5_CHANNELS[-1], classes, dropout)
    return PyramidClassifier(_five_convolutions(), pool, head)


def spp5_flatten(classes: int, levels: Levels, dropout: float) -> nn.Module:
    """``spp5`` without a pyramid: the map of a 32 x 32 image is pooled to 4 x 4 and flattened."""
    features = _five_convolutions()
    features.append(nn.MaxPool2d(2))
    head = _two_layers(SPP5_CHANNELS[-1] * 16, classes, dropout)
    return PyramidClassifier(features, FixedFlatten(4), head)


def nin(classes: int, levels: Levels, dropout: float) -> nn.Module:
    """Network in network (Lin, Chen and Yan, 2014) for CIFAR, with batch norm.

    Three mlpconv blocks (a convolution and two 1 x 1 convolutions), dropout between them, global
    average pooling in place of fully connected layers.
    """

    def block(channels: tuple[int, ...], kernel: int) -> list[nn.Module]:
        first, second, *_ = channels
        rest = [ConvBlock(inputs, outputs, 1) for inputs, outputs in pairwise(channels[1:])]
        return [ConvBlock(first, second, kernel), *rest]

    layers = [
        *block((3, 192, 160, 96), 5),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.Dropout(dropout),
        *block((96, 192, 192, 192), 5),
        nn.AvgPool2d(3, stride=2, padding=1),
        nn.Dropout(dropout),
        *block((192, 192, 192), 3),
        nn.Conv2d(192, classes, 1),
    ]
    pool = SpatialPyramidPool((1,), mode="average")
    return PyramidClassifier(nn.Sequential(*layers), pool, nn.Identity())


def lenet5(classes: int, levels: Levels, dropout: float) -> nn.Module:
    """LeNet-5 (LeCun et al., 1998, section II) for colour images of 32 x 32 pixels only.

    Two convolutions with mean pooling behind each, a third one of 5 x 5 whose map has one cell, a
    layer of 84, and one score per class. Where it differs from the paper: three input channels,
    every map of the second convolution sees all maps of the first, the pooling has no weights, and
    the scores are linear in place of distances to drawn characters.
    """
    layers = OrderedDict(
        conv1=nn.Conv2d(3, 6, 5),
        tanh1=nn.Tanh(),
        pool1=nn.AvgPool2d(2),
        conv2=nn.Conv2d(6, 16, 5),
        tanh2=nn.Tanh(),
        pool2=nn.AvgPool2d(2),
        conv3=nn.Conv2d(16, 120, 5),
        tanh3=nn.Tanh(),
    )
    head = OrderedDict(
        fc4=nn.Linear(120, 84),
        tanh4=nn.Tanh(),
        drop4=nn.Dropout(dropout),
        fc5=nn.Linear(84, classes),
    )
    return PyramidClassifier(nn.Sequential(layers), FixedFlatten(1), nn.Sequential(head))


def zf5_spp(classes: int, levels: Levels, dropout: float) -> nn.Module:
    """ZF-5 with a pyramid and two layers of 4096 (SPP-net paper, section 3.1.1)."""
    pool = SpatialPyramidPool(levels or (1, 2, 3, 6))
    head = nn.Sequential(
        OrderedDict(
            fc6=nn.Linear(256 * pool.bins, 4096),
            relu6=nn.ReLU(inplace=True),
            drop6=nn.Dropout(dropout),
            fc7=nn.Linear(4096, 4096),
            relu7=nn.ReLU(inplace=True),
            drop7=nn.Dropout(dropout),
            fc8=nn.Linear(4096, classes),
        )
    )
    return PyramidClassifier(zf5().get_submodule("features"), pool, head)


NETWORKS: dict[str, Builder] = {
    "small": small,
    "spp5": spp5,
    "spp5-wide": spp5_wide,
    "spp5-average": spp5_average,
    "spp5-flatten": spp5_flatten,
    "lenet5": lenet5,
    "nin": nin,
    "zf5-spp": zf5_spp,
}
"""Networks of this project: (number of classes, levels or None, dropout) to the network."""

WITH_LEVELS = ("small", "spp5", "spp5-wide", "zf5-spp")
"""Those whose pyramid can be chosen."""


def build_network(
    name: str,
    classes: int,
    levels: Levels = None,
    dropout: float = 0.0,
    seed: int = 0,
    stem: str = "own",
) -> nn.Module:
    """Build a network with random weights, the same ones for the same seed.

    Args:
        name: one of ``NETWORKS``, or a classification model of torchvision (its own dropout stays).
        classes: length of the result.
        levels: the pyramid's levels; None for the network's own.
        dropout: probability, for networks of this project.
        seed: of the weights.
        stem: ``"cifar"`` for a network of torchvision that sees small images, see
            :func:`sppdet.classification.stems.shrink_later`; ``"own"`` for its own first layers.

    Raises:
        SppdetError: an unknown name, levels for a network without a pyramid, or a stem for one that
            is not torchvision's.
    """
    if levels and name not in WITH_LEVELS:
        raise SppdetError(f"--levels: {name} has no pyramid; {', '.join(WITH_LEVELS)} have one")
    if stem != "own" and name in NETWORKS:
        raise SppdetError(f"--stem {stem}: is for networks of torchvision, not for {name}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name in NETWORKS:
            return NETWORKS[name](classes, levels, dropout)
        if name not in torchvision.models.list_models(module=torchvision.models):
            raise SppdetError(
                f"network {name}: unknown; choose {', '.join(NETWORKS)}, or a classification model "
                "of torchvision such as alexnet, vgg16, resnet18, googlenet, densenet121"
            )
        options = {}
        if name in ("googlenet", "inception_v3"):
            options = {"aux_logits": False, "init_weights": True}
        network: nn.Module = torchvision.models.get_model(
            name, weights=None, num_classes=classes, **options
        )
        if stem == "cifar":
            shrink_later(network, name)
        return network
