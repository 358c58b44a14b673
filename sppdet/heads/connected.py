"""Heads on fine-tuned fully connected layers: a softmax, or SVMs on fc7 (SPP-net paper, section 4).

The layers belong to the scorer and to its box regression, which both take the pooled features. How
they learn is in :mod:`sppdet.training.fine_tuning`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.heads.base import Judged, Scorer
from sppdet.heads.layers import Layers
from sppdet.heads.linear import LinearScorer, LinearSvms
from sppdet.settings import ConnectedSettings
from sppdet.trunks.fully_connected import FullyConnected


@dataclass(frozen=True)
class SoftmaxScorer:
    """Log-probabilities of K classes beside the background.

    Attributes:
        layers: fc6 and fc7.
        weight, bias: (K + 1, U) and (K + 1,) float32; the last row is the background. A class
            without examples has the bias minus infinity and is never detected.
    """

    layers: Layers
    weight: Tensor
    bias: Tensor

    @property
    def name(self) -> str:
        """See :class:`sppdet.heads.base.Scorer`."""
        return Connected.name

    @property
    def classes(self) -> int:
        """See :class:`sppdet.heads.base.Scorer`."""
        return len(self.bias) - 1

    def score(self, features: Tensor) -> Tensor:
        """See :class:`sppdet.heads.base.Scorer`; the logarithms of the softmax."""
        values = torch.addmm(self.bias, self.layers(features), self.weight.T)
        return values.log_softmax(dim=1)[:, :-1]

    def probabilities(
        self, scores: NDArray[np.float32], labels: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """See :class:`sppdet.heads.base.Scorer`; those of the softmax."""
        return np.exp(np.minimum(scores, 0)).astype(np.float32)

    def to(self, device: torch.device) -> "SoftmaxScorer":
        """See :class:`sppdet.heads.base.Scorer`."""
        return SoftmaxScorer(self.layers.to(device), self.weight.to(device), self.bias.to(device))

    def tensors(self) -> dict[str, Tensor]:
        """See :class:`sppdet.heads.base.Scorer`."""
        return {
            **self.layers.tensors(),
            "softmax.weight": self.weight,
            "softmax.bias": self.bias,
        }


@dataclass(frozen=True)
class LayeredSvms:
    """Linear SVMs on fc7.

    Attributes:
        layers: fc6 and fc7.
        svms: K linear functions of fc7.
    """

    layers: Layers
    svms: LinearScorer

    @property
    def name(self) -> str:
        """See :class:`sppdet.heads.base.Scorer`."""
        return ConnectedSvms.name

    @property
    def classes(self) -> int:
        """See :class:`sppdet.heads.base.Scorer`."""
        return self.svms.classes

    def score(self, features: Tensor) -> Tensor:
        """See :class:`sppdet.heads.base.Scorer`."""
        return self.svms.score(self.layers(features))

    def probabilities(
        self, scores: NDArray[np.float32], labels: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """See :class:`sppdet.heads.base.Scorer`."""
        return self.svms.probabilities(scores, labels)

    def to(self, device: torch.device) -> "LayeredSvms":
        """See :class:`sppdet.heads.base.Scorer`."""
        return LayeredSvms(self.layers.to(device), self.svms.to(device))

    def tensors(self) -> dict[str, Tensor]:
        """See :class:`sppdet.heads.base.Scorer`."""
        return {**self.layers.tensors(), **self.svms.tensors()}


@dataclass(frozen=True)
class Connected:
    """The recipe of the softmax with its own box regression.

    Attributes:
        settings: of the fine-tuning.
        start: layers from which the fine-tuning starts, those of AlexNet and VGG-16; None starts
            from random values.
    """

    settings: ConnectedSettings = field(default_factory=ConnectedSettings)
    start: FullyConnected | None = None
    name = "connected"

    def calibrate(self, scorer: Scorer, judged: list[Judged]) -> Scorer:
        """See :class:`sppdet.heads.base.Recipe`: a softmax gives probabilities already."""
        return scorer

    def restore(self, tensors: Mapping[str, Tensor]) -> SoftmaxScorer:
        """See :class:`sppdet.heads.base.Recipe`."""
        layers = Layers.restore(tensors)
        weight, bias = tensors["softmax.weight"].float(), tensors["softmax.bias"].float()
        if weight.ndim != 2 or weight.shape != (len(bias), layers.length) or len(bias) < 2:
            shapes = tuple(weight.shape), tuple(bias.shape)
            raise ValueError(f"its softmax on {layers.length} values has the shapes {shapes}")
        return SoftmaxScorer(layers, weight, bias)


@dataclass(frozen=True)
class ConnectedSvms:
    """The recipe of SVMs and ridge regression on the fc7 of fine-tuned layers.

    Attributes:
        layers: the recipe of the layers.
        svms: the recipe of the SVMs.
    """

    layers: Connected = field(default_factory=Connected)
    svms: LinearSvms = field(default_factory=LinearSvms)
    name = "connected-svm"

    def calibrate(self, scorer: Scorer, judged: list[Judged]) -> LayeredSvms:
        """See :class:`sppdet.heads.base.Recipe`."""
        assert isinstance(scorer, LayeredSvms)
        return replace(scorer, svms=self.svms.calibrate(scorer.svms, judged))

    def restore(self, tensors: Mapping[str, Tensor]) -> LayeredSvms:
        """See :class:`sppdet.heads.base.Recipe`."""
        layers, svms = Layers.restore(tensors), self.svms.restore(tensors)
        if svms.weight.shape[1] != layers.length:
            raise ValueError(f"its SVMs are for {svms.weight.shape[1]} values, not {layers.length}")
        return LayeredSvms(layers, svms)
