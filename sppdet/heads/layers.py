"""Two fully connected layers, fc6 and fc7, that were fine-tuned on pooled windows."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.features.regions import Regions
from sppdet.runtime.timing import Clock

_NAMES = tuple(
    f"connected.{layer}.{what}" for layer in ("fc6", "fc7") for what in ("weight", "bias")
)


@dataclass(frozen=True)
class Layers:
    """fc6 and fc7 with ReLUs: raw features of D values to features of U values.

    Attributes:
        weights: of fc6 (U, D) and of fc7 (U, U), float32 of half-precision values.
        biases: (U,) and (U,) float32.
    """

    weights: tuple[Tensor, Tensor]
    biases: tuple[Tensor, Tensor]

    @property
    def inputs(self) -> int:
        """D."""
        return self.weights[0].shape[1]

    @property
    def length(self) -> int:
        """U."""
        return self.weights[1].shape[0]

    def __call__(self, features: Tensor) -> Tensor:
        """(M, D) float32 to (M, U) float32, not negative."""
        for weight, bias in zip(self.weights, self.biases, strict=True):
            features = torch.addmm(bias, features, weight.T).relu_()
        return features

    def to(self, device: torch.device) -> "Layers":
        """The same layers on another device."""
        first, second = (one.to(device) for one in self.weights)
        return Layers((first, second), (self.biases[0].to(device), self.biases[1].to(device)))

    def tensors(self) -> dict[str, Tensor]:
        """What a model file keeps; the weights in half precision lose nothing."""
        (fc6, fc7), (bias6, bias7) = self.weights, self.biases
        return dict(zip(_NAMES, (fc6.half(), bias6, fc7.half(), bias7), strict=True))

    @staticmethod
    def restore(tensors: Mapping[str, Tensor]) -> "Layers":
        """The layers whose :meth:`tensors` these are.

        Raises:
            KeyError, ValueError: a tensor is missing or has the wrong shape.
        """
        fc6, bias6, fc7, bias7 = (tensors[name].float() for name in _NAMES)
        shapes = [tuple(one.shape) for one in (fc6, bias6, fc7, bias7)]
        units = len(fc6)
        if fc6.ndim != 2 or shapes[1:] != [(units,), (units, units), (units,)]:
            raise ValueError(f"its fully connected layers have the shapes {shapes}")
        return Layers((fc6, fc7), (bias6, bias7))


class LayeredRegions:
    """Regions whose features have gone through :class:`Layers`."""

    def __init__(self, regions: Regions, layers: Layers) -> None:
        self.keys = regions.keys
        self.count = regions.count
        self._regions = regions
        self._layers = layers

    def features(self, keys: NDArray[np.int64], clock: Clock | None = None) -> Tensor:
        """See :class:`sppdet.features.regions.Regions`; (len(keys), U)."""
        return self._layers(self._regions.features(keys, clock))

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """See :class:`sppdet.features.regions.Regions`; the layers are not among them."""
        return self._regions.to_arrays()
