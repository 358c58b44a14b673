"""The fully connected layers of AlexNet and VGG-16, as R-CNN uses them: on a pooled window.

Their last max pool turns the map of a 224 px crop into 6 x 6 or 7 x 7 cells, "pool5". The bins of a
pyramid's level of 6 over 13 cells, or of 7 over 14, are the very cells of that pool, so that pool5
of any window is one level of window pooling, and fc6 and fc7 follow from it (the SPP-net paper's
section 4.1 does so with a network that was trained with a pyramid).
"""

import copy
from typing import Literal

from torch import Tensor, nn

from sppdet.trunks.specs import FullyConnectedSpec


class FullyConnected(nn.Module):
    """fc6, or fc6 and fc7.

    Args:
        spec: the sizes and names of the layers.
        layer: the last layer.

    Attributes:
        layer: the last layer.
        level: bins per side of pool5, the one level of the pyramid that the layers take.
        length: how many values come out.
    """

    def __init__(self, spec: FullyConnectedSpec, layer: Literal["fc6", "fc7"]) -> None:
        super().__init__()
        self.layer = layer
        self.level = spec.level
        self.length = spec.outputs
        count = 1 if layer == "fc6" else 2
        widths = (spec.level * spec.level * spec.channels, spec.outputs)
        self.classifier = nn.ModuleDict(
            {
                name: nn.Linear(width, spec.outputs)
                for name, width in list(zip(spec.names, widths, strict=True))[:count]
            }
        )

    def forward(self, pooled: Tensor) -> Tensor:
        """(N, bins, channels) of the level :attr:`level` to (N, length)."""
        values = pooled.transpose(1, 2).flatten(1)  # torchvision's order: a channel's bins together
        for linear in self.classifier.values():
            values = nn.functional.relu(linear(values), inplace=True)
        return values

    def as_linear(self) -> tuple[nn.Linear, nn.Linear]:
        """Copies of fc6 and fc7 that take windows as the pyramid orders them, bin by bin.

        Raises:
            ValueError: there is only fc6.
        """
        if self.layer != "fc7":
            raise ValueError(f"the layers end with {self.layer}; build the trunk with fc7")
        fc6, fc7 = (copy.deepcopy(linear).cpu() for linear in self.classifier.values())
        assert isinstance(fc6, nn.Linear)
        assert isinstance(fc7, nn.Linear)
        bins = self.level * self.level
        weight = fc6.weight.detach().view(self.length, -1, bins).transpose(1, 2).flatten(1)
        fc6.weight = nn.Parameter(weight.contiguous())
        return fc6.requires_grad_(True), fc7.requires_grad_(True)
