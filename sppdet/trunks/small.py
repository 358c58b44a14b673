"""The project's own small trunk, trained from scratch by sppdet on images of 32 to 80 px.

A residual network in the shape of ResNet-9 (one residual block per resolution), slim and early to
shrink, because on a CPU a convolution costs what its multiplications cost: 73 million of them for
an image of 64 x 64.
"""

from collections import OrderedDict

from torch import Tensor, nn

SMALL_CHANNELS = (32, 64, 128, 256)
"""Channels at strides 2, 4, 8 and 16."""


class ConvBlock(nn.Sequential):
    """Convolution, batch norm, ReLU; symmetric padding that keeps the size (at stride 1)."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            OrderedDict(
                conv=nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
                norm=nn.BatchNorm2d(outputs),
                relu=nn.ReLU(inplace=True),
            )
        )


class ResidualBlock(nn.Module):
    """``relu(x + norm(conv(relu(norm(conv(x))))))``, both convolutions 3 x 3.

    The last scale starts at zero, so that the block starts as the identity.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = ConvBlock(channels, channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        nn.init.zeros_(self.norm.weight)

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = self.relu(maps + self.norm(self.conv(self.inner(maps))))
        return result


def small_trunk() -> nn.Module:
    """The trunk with random weights: (B, 3, H, W) to (B, 256, H // 16, W // 16), not negative.

    H and W are at least 16. Stride 16, first centre at pixel 7.
    """
    stem, low, middle, high = SMALL_CHANNELS
    layers = OrderedDict(
        stem=ConvBlock(3, stem, kernel=5, stride=2),
        pool1=nn.MaxPool2d(2),
        widen1=ConvBlock(stem, low),
        block1=ResidualBlock(low),
        pool2=nn.MaxPool2d(2),
        widen2=ConvBlock(low, middle),
        block2=ResidualBlock(middle),
        pool3=nn.MaxPool2d(2),
        widen3=ConvBlock(middle, high),
        block3=ResidualBlock(high),
    )
    return nn.Sequential(OrderedDict(features=nn.Sequential(layers)))
