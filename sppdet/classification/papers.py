"""Networks of other papers: NIN, LeNet-5 and ZF-5 with a pyramid."""

from collections import OrderedDict
from itertools import pairwise

from torch import nn

from sppdet.classification.parts import FixedFlatten, Levels, PyramidClassifier
from sppdet.features.pyramid import SpatialPyramidPool
from sppdet.trunks.small import ConvBlock
from sppdet.trunks.zf5 import zf5


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
