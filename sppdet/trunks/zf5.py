"""ZF-5, the smallest network of the SPP-net paper, up to its fifth convolution."""

from collections import OrderedDict

from torch import nn


def zf5() -> nn.Module:
    """The trunk with random weights: (B, 3, H, W) to (B, 256, H', W'), not negative (table 1).

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
