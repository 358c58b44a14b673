"""The convolutional networks that a detector can stand on, each cut at its stride-16 map.

Parameter names are torchvision's (``features.0.weight``), so that a whole classifier's weights load
into its trunk.
"""

from collections import OrderedDict
from collections.abc import Callable

import torchvision
from torch import nn

from sppdet.trunks.small import small_trunk


def _features(model: nn.Module, layers: int | None = None) -> nn.Module:
    features = model.get_submodule("features")
    return nn.Sequential(OrderedDict(features=features[:layers]))  # type: ignore[index]


def _resnet(model: nn.Module) -> nn.Module:
    parts = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3")
    return nn.Sequential(OrderedDict((part, model.get_submodule(part)) for part in parts))


def zf5() -> nn.Module:
    """ZF-5, the SPP-net paper's smallest network (table 1), up to its fifth convolution.

    The paddings are those for which the first cell's centre is the released code's: 21 counted
    from 1, that is 20 counted from 0.
    """
    layers = OrderedDict(
        conv1=nn.Conv2d(3, 96, 7, stride=2, padding=1),
        relu1=nn.ReLU(inplace=True),
        norm1=nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75),
        pool1=nn.MaxPool2d(3, stride=2),
        conv2=nn.Conv2d(96, 256, 5, stride=2),
        relu2=nn.ReLU(inplace=True),
        norm2=nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75),
        pool2=nn.MaxPool2d(3, stride=2),
        conv3=nn.Conv2d(256, 384, 3, padding=1),
        relu3=nn.ReLU(inplace=True),
        conv4=nn.Conv2d(384, 384, 3, padding=1),
        relu4=nn.ReLU(inplace=True),
        conv5=nn.Conv2d(384, 256, 3, padding=1),
        relu5=nn.ReLU(inplace=True),
    )
    return nn.Sequential(OrderedDict(features=nn.Sequential(layers)))


ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {
    "small": small_trunk,
    "squeezenet1_0": lambda: _features(torchvision.models.squeezenet1_0()),
    "squeezenet1_1": lambda: _features(torchvision.models.squeezenet1_1()),
    "alexnet": lambda: _features(torchvision.models.alexnet(), 12),
    "vgg16": lambda: _features(torchvision.models.vgg16(), 30),
    "resnet18": lambda: _resnet(torchvision.models.resnet18()),
    "resnet50": lambda: _resnet(torchvision.models.resnet50()),
    "zf5": zf5,
}
"""Every trunk by name: a function that builds it with random weights."""
