"""What the classification networks are made of: convolutions, a pooling, layers behind it."""

from torch import Tensor, nn

from sppdet.errors import SppdetError

Levels = tuple[int, ...] | None
"""Bins per side of a pyramid; None for the network's own."""


class PyramidClassifier(nn.Module):
    """Convolutions, pooling to a vector of fixed length, and fully connected layers.

    Args:
        features: (B, 3, H, W) to (B, C, H', W').
        pool: (B, C, H', W') to (B, D), for maps of any size (unless it is a :class:`FixedFlatten`).
        classifier: (B, D) to the (B, classes) scores.
    """

    def __init__(self, features: nn.Module, pool: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.pool = pool
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.pool(self.features(images)))


class FixedFlatten(nn.Module):
    """The map itself as a vector, as in networks without a pyramid; for maps of one size only."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, maps: Tensor) -> Tensor:
        if maps.shape[2:] != (self.side, self.side):
            raise SppdetError(
                f"this network takes one image size only: its map is {self.side} x {self.side} "
                f"cells, not {maps.shape[2]} x {maps.shape[3]}; train and test at that size, "
                "or choose a network with a pyramid"
            )
        return maps.flatten(1)

    def extra_repr(self) -> str:
        return f"side={self.side}"


class Scale(nn.Module):
    """Multiply by a constant: pooled maxima are long vectors; shorter, they bear a higher rate."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, values: Tensor) -> Tensor:
        return values * self.factor

    def extra_repr(self) -> str:
        return f"{self.factor:g}"
