"""Linear heads, the papers': one SVM per class, probabilities by a logistic function per class.

R-CNN paper, section 2.3 and appendix B.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.features.streaming import Linear
from sppdet.heads.base import Judged, Scorer
from sppdet.heads.calibration import fit_logistic, logistic, uncalibrated
from sppdet.heads.examples import Examples
from sppdet.heads.svm import LinearSvm, fit_svm
from sppdet.runtime.threads import ordered_map
from sppdet.settings import SvmSettings

NAME = "linear"


@dataclass(frozen=True)
class LinearScorer:
    """K linear functions of raw features of D values.

    Attributes:
        weight, bias: (K, D) and (K,) float32; the scale of the examples is folded in. A class that
            could not be trained has the bias NaN and is never detected.
        calibration: (K, 2) float32, slope and offset of the logistic function per class.
    """

    weight: Tensor
    bias: Tensor
    calibration: NDArray[np.float32]

    @property
    def name(self) -> str:
        """See :class:`sppdet.heads.base.Scorer`."""
        return NAME

    @property
    def classes(self) -> int:
        """See :class:`sppdet.heads.base.Scorer`."""
        return len(self.bias)

    @cached_property
    def function(self) -> Linear:
        """:meth:`score` as a linear function, which some regions know in less time."""
        return Linear(self.weight.contiguous(), self.bias)

    def score(self, features: Tensor) -> Tensor:
        """See :class:`sppdet.heads.base.Scorer`; the signed distances from the margin's middle."""
        return self.function(features)

    def probabilities(
        self, scores: NDArray[np.float32], labels: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """See :class:`sppdet.heads.base.Scorer`."""
        return logistic(scores, labels, self.calibration)

    def to(self, device: torch.device) -> "LinearScorer":
        """See :class:`sppdet.heads.base.Scorer`."""
        return replace(self, weight=self.weight.to(device), bias=self.bias.to(device))

    def tensors(self) -> dict[str, Tensor]:
        """See :class:`sppdet.heads.base.Scorer`."""
        return {
            "svm.weight": self.weight,
            "svm.bias": self.bias,
            "calibration": torch.from_numpy(self.calibration),
        }


@dataclass(frozen=True)
class LinearSvms:
    """One linear SVM per class with hinge loss; see :class:`sppdet.heads.base.Heads`."""

    settings: SvmSettings = field(default_factory=SvmSettings)

    @property
    def name(self) -> str:
        """See :class:`sppdet.heads.base.Heads`."""
        return NAME

    @property
    def hard_score(self) -> float:
        """See :class:`sppdet.heads.base.Heads`."""
        return self.settings.hard_score

    @property
    def easy_score(self) -> float:
        """See :class:`sppdet.heads.base.Heads`."""
        return self.settings.evict_score

    def fit(
        self,
        examples: Examples,
        changed: Collection[int] | None = None,
        previous: Scorer | None = None,
    ) -> LinearScorer:
        """Train the SVMs of the changed classes; the others are those of ``previous``."""
        if isinstance(previous, LinearScorer):
            weight, bias = previous.weight.cpu().clone(), previous.bias.cpu().clone()
        else:
            weight = torch.zeros(len(examples), examples.dimension)
            bias = torch.full((len(examples),), torch.nan)
        labels = range(len(examples)) if changed is None else changed

        def fit_class(label: int) -> LinearSvm | None:
            return fit_svm(examples[label], self.settings.cost, self.settings.positive_weight)

        # Two cores gain little by it, and every fit takes the memory of two Gram matrices.
        side_by_side = examples.workers if examples.workers > 2 else 1
        for label, svm in zip(labels, ordered_map(fit_class, labels, side_by_side), strict=True):
            if svm is not None:
                weight[label] = torch.from_numpy(svm.weight * examples.scale)
                bias[label] = svm.bias
        return LinearScorer(weight, bias, uncalibrated(len(examples)))

    def calibrate(self, scorer: Scorer, judged: list[Judged]) -> LinearScorer:
        """See :class:`sppdet.heads.base.Heads`."""
        assert isinstance(scorer, LinearScorer)
        return replace(scorer, calibration=fit_logistic(judged))

    def restore(self, tensors: Mapping[str, Tensor]) -> LinearScorer:
        """See :class:`sppdet.heads.base.Heads`."""
        weight = tensors["svm.weight"].float()
        bias = tensors["svm.bias"].float()
        calibration = tensors["calibration"].float().numpy()
        shapes = tuple(weight.shape), tuple(bias.shape), calibration.shape
        if weight.ndim != 2 or shapes[1:] != ((len(weight),), (len(weight), 2)):
            raise ValueError(f"its SVMs and their calibration have the shapes {shapes}")
        return LinearScorer(weight, bias, calibration)
