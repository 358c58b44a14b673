"""Classification networks by name: this project's, those of other papers, and torchvision's."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

import torch
import torchvision
from torch import nn

from sppdet.classification.normless import NORMLESS, without_norms
from sppdet.classification.papers import lenet5, nin, zf5_spp
from sppdet.classification.parts import FixedFlatten, Levels, PyramidClassifier, Scale
from sppdet.classification.stems import shrink_later
from sppdet.errors import SppdetError
from sppdet.features.pyramid import SpatialPyramidPool
from sppdet.trunks.small import SMALL_CHANNELS, ConvBlock, small_trunk

Builder = Callable[[int, Levels, float], nn.Module]

SPP5_CHANNELS = (32, 64, 128, 128, 128)
"""Channels of the five convolutions of ``spp5``."""

WIDE_CHANNELS = (64, 256, 512, 512, 512)
"""Channels of the five convolutions of ``spp5-wide``."""


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


def pooling_of(name: str, given: str | None) -> Literal["max", "average"]:
    """What a bin of the pyramid takes of its cells: as given, or maxima.

    Args:
        name: as for :func:`build_network`.
        given: ``"max"``, ``"average"``, or None.

    Raises:
        SppdetError: it is given, and the network is known and has no pyramid.
    """
    if given is not None and name not in WITH_LEVELS and _is_known(name):
        has = "no pyramid to choose it for"
        if name == "spp5-average":
            has = "the average of the whole map in the pyramid's place"
        raise SppdetError(
            f"--pooling {given}: {name} has {has}; leave --pooling out, or choose --network "
            f"{', '.join(WITH_LEVELS)}"
        )
    return "average" if given == "average" else "max"


def _is_known(name: str) -> bool:
    return name in NETWORKS or name in torchvision.models.list_models(module=torchvision.models)


def build_network(
    name: str,
    classes: int,
    levels: Levels = None,
    dropout: float = 0.0,
    seed: int = 0,
    stem: str = "own",
    norm: bool = True,
    pooling: Literal["max", "average"] = "max",
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
        norm: False leaves out the batch norms of a network in ``NORMLESS``, see
            :func:`sppdet.classification.normless.without_norms`.
        pooling: what a bin of the pyramid takes of its cells.

    Raises:
        SppdetError: an unknown name, levels or a pooling for a network without a pyramid, a stem
            for one that is not torchvision's, or one whose norms cannot be left out.
    """
    if not _is_known(name):
        raise SppdetError(
            f"network {name}: unknown; choose {', '.join(NETWORKS)}, or a classification model of "
            "torchvision such as alexnet, vgg16, resnet18, googlenet, densenet121"
        )
    pooling_of(name, None if pooling == "max" else pooling)
    if not norm and name not in NORMLESS:
        raise SppdetError(f"--no-norm: is for {', '.join(NORMLESS)}, not for {name}")
    if levels and name not in WITH_LEVELS:
        raise SppdetError(f"--levels: {name} has no pyramid; {', '.join(WITH_LEVELS)} have one")
    if stem != "own" and name in NETWORKS:
        raise SppdetError(f"--stem {stem}: is for networks of torchvision, not for {name}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name in NETWORKS:
            own = NETWORKS[name](classes, levels, dropout)
            if pooling != "max":
                assert isinstance(own, PyramidClassifier)
                assert isinstance(own.pool, SpatialPyramidPool)
                own.pool = SpatialPyramidPool(own.pool.levels, pooling)
            return own if norm else without_norms(own, NORMLESS[name])
        options = {}
        if name in ("googlenet", "inception_v3"):
            options = {"aux_logits": False, "init_weights": True}
        network: nn.Module = torchvision.models.get_model(
            name, weights=None, num_classes=classes, **options
        )
        if stem == "cifar":
            shrink_later(network, name)
        return network
