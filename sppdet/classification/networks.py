"""Classification networks by name."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sppdet.errors import SppdetError
from sppdet.pyramid import SpatialPyramidPool
from sppdet.trunks.small import SMALL_CHANNELS, small_trunk


class PyramidClassifier(nn.Module):
    """Convolutions, a pyramid over their map, and fully connected layers: images of any size.

    Args:
        features: (B, 3, H, W) to (B, C, H', W').
        pool: (B, C, H', W') to a vector of fixed length.
        classifier: that vector to the scores of the classes.
    """

    def __init__(self, features: nn.Module, pool: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.pool = pool
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.pool(self.features(images)))


class Scale(nn.Module):
    """Multiply by a constant. Pooled maxima are long vectors; shortened, they bear a higher rate."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, values: Tensor) -> Tensor:
        return values * self.factor

    def extra_repr(self) -> str:
        return f"{self.factor:g}"


def small(classes: int, levels: tuple[int, ...] | None, dropout: float) -> nn.Module:
    """The trunk that ships with sppdet under one linear layer; the default pyramid is (1, 2)."""
    pool = SpatialPyramidPool(levels or (1, 2))
    linear = nn.Linear(SMALL_CHANNELS[-1] * pool.bins, classes)
    head = nn.Sequential(Scale(0.125), nn.Dropout(dropout), linear)
    return PyramidClassifier(small_trunk().get_submodule("features"), pool, head)


Builder = Callable[[int, "tuple[int, ...] | None", float], nn.Module]

NETWORKS: dict[str, Builder] = {"small": small}
"""Networks of this project: (number of classes, levels or None, dropout) to the network."""


def build_network(
    name: str,
    classes: int,
    levels: tuple[int, ...] | None = None,
    dropout: float = 0.0,
    seed: int = 0,
) -> nn.Module:
    """Build a network with random weights; the same ones for the same seed.

    Raises:
        SppdetError: an unknown name.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name in NETWORKS:
            return NETWORKS[name](classes, levels, dropout)
    raise SppdetError(f"network {name}: unknown; choose {', '.join(NETWORKS)}")
