"""The fully connected layers of AlexNet and VGG-16, as R-CNN uses them: on a pooled window.

Their last max pool turns the map of a 224 px crop into 6 x 6 or 7 x 7 cells, "pool5". The bins of a
pyramid's level of 6 over 13 cells, or of 7 over 14, are the very cells of that pool, so that pool5
of any window is one level of window pooling, and fc6 and fc7 follow from it (the SPP-net paper's
section 4.1 does so with a network that was trained with a pyramid).
"""

from typing import Literal

from torch import Tensor, nn

from sppdet.errors import SppdetError

Layer = Literal["pooled", "fc6", "fc7"]
"""Which values are the features: the pooled map, or a fully connected layer on top, rectified."""

# Side of pool5, its channels, and the layers' names in torchvision's classifier.
_HEADS = {"alexnet": (6, 256, ("1", "4")), "vgg16": (7, 512, ("0", "3"))}
_OUTPUTS = 4096


class FullyConnected(nn.Module):
    """fc6, or fc6 and fc7.

    Attributes:
        length: how many values come out.
    """

    def __init__(self, trunk: str, layer: Layer) -> None:
        super().__init__()
        level, channels, names = _HEADS[trunk]
        count = 1 if layer == "fc6" else 2
        widths = (level * level * channels, _OUTPUTS)
        self.length = _OUTPUTS
        self.classifier = nn.ModuleDict(
            {
                name: nn.Linear(width, _OUTPUTS)
                for name, width in list(zip(names, widths, strict=True))[:count]
            }
        )

    def forward(self, pooled: Tensor) -> Tensor:
        """(N, bins, channels) of the level of :func:`pool5_level` to (N, length)."""
        values = pooled.transpose(1, 2).flatten(1)  # torchvision's order: a channel's bins together
        for linear in self.classifier.values():
            values = nn.functional.relu(linear(values), inplace=True)
        return values


def pool5_level(trunk: str) -> int:
    """Bins per side of the trunk's pool5: 6 for AlexNet, 7 for VGG-16.

    Raises:
        SppdetError: the trunk has no fully connected layers.
    """
    if trunk not in _HEADS:
        raise SppdetError(
            f"trunk {trunk}: has no fully connected layers; those with them: {', '.join(_HEADS)}"
        )
    return _HEADS[trunk][0]


def make_head(trunk: str, layer: Layer) -> FullyConnected | None:
    """The fully connected layers with random weights; None for ``"pooled"``.

    Raises:
        SppdetError: the trunk has none.
    """
    if layer == "pooled":
        return None
    pool5_level(trunk)
    return FullyConnected(trunk, layer)
