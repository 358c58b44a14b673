"""Heads of one's own: a softmax over the classes and the background instead of SVMs.

The seam is the protocol `Heads` in sppdet/heads/base.py: `fit` learns from examples with joint
labels, the scorer owns its probabilities. Nothing else changes: proposals, features, mining, box
regression, suppression, evaluation and the model file stay as they are.

    python examples/softmax_heads.py            # rendered scenes, a minute or two
    python examples/softmax_heads.py photos     # labelled photographs in photos/train, photos/test
"""

import sys
import tempfile
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

import sppdet
from sppdet.datasets.scenes import write_scenes
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.base import Judged, Scorer
from sppdet.heads.examples import Examples
from sppdet.heads.linear import LinearSvms
from sppdet.settings import SppSettings


@dataclass(frozen=True)
class SoftmaxScorer:
    """Weights (K + 1, D) and biases (K + 1,); the last row is the background."""

    weight: Tensor
    bias: Tensor
    name: ClassVar[str] = "softmax"

    @property
    def classes(self) -> int:
        return len(self.bias) - 1

    def score(self, features: Tensor) -> Tensor:
        """Log-probabilities (M, K); that of a class without examples is minus infinity."""
        return torch.addmm(self.bias, features, self.weight.T).log_softmax(dim=1)[:, :-1]

    def probabilities(
        self, scores: NDArray[np.float32], labels: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        return np.exp(np.minimum(scores, 0))

    def to(self, device: torch.device) -> "SoftmaxScorer":
        return SoftmaxScorer(self.weight.to(device), self.bias.to(device))

    def tensors(self) -> dict[str, Tensor]:
        return {"softmax.weight": self.weight, "softmax.bias": self.bias}


@dataclass(frozen=True)
class Softmax:
    """Multinomial logistic regression on the joint examples; `cost` is the inverse penalty."""

    cost: float = 1e-3
    name: ClassVar[str] = "softmax"
    hard_score: ClassVar[float] = float(np.log(0.05))
    easy_score: ClassVar[float] = float(np.log(0.005))

    def fit(
        self,
        examples: Examples,
        changed: Collection[int] | None = None,
        previous: Scorer | None = None,
    ) -> SoftmaxScorer:
        joint = examples.joint()
        known = np.flatnonzero(joint.labels >= 0)
        weight = torch.zeros(len(examples) + 1, examples.dimension)
        bias = torch.full((len(examples) + 1,), -torch.inf)
        if len(np.unique(joint.labels[known])) > 1:
            model = LogisticRegression(C=self.cost, max_iter=40)
            with warnings.catch_warnings():  # 40 steps are enough to rank regions
                warnings.simplefilter("ignore", ConvergenceWarning)
                rows = torch.from_numpy(known)
                model.fit(joint.features[rows].float().numpy(), joint.labels[known])
            rows = torch.from_numpy(model.classes_[-len(model.coef_) :])
            bias[model.classes_[0]] = 0  # with two labels, scikit-learn gives the second's row only
            weight[rows] = torch.from_numpy(model.coef_).float() * examples.scale
            bias[rows] = torch.from_numpy(model.intercept_).float()
        return SoftmaxScorer(weight, bias)

    def calibrate(self, scorer: Scorer, judged: list[Judged]) -> Scorer:
        return scorer  # a softmax gives probabilities already

    def restore(self, tensors: Mapping[str, Tensor]) -> SoftmaxScorer:
        return SoftmaxScorer(tensors["softmax.weight"].float(), tensors["softmax.bias"].float())


def main(data: str | None = None) -> float:
    """Train with both heads, print and return the softmax's mean average precision."""
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(data or folder)
        if data is None:
            write_scenes(photos / "train", 40, seed=0, size=(320, 240))
            write_scenes(photos / "test", 15, seed=1, size=(320, 240))
        train, test = sppdet.read_dataset(photos, "train"), sppdet.read_dataset(photos, "test")
        # 5 bins instead of 50, because scikit-learn's solver is slow on long features.
        few_bins = SppSettings(scales=(320,), levels=(1, 2))
        extractor = SppRegionFeatures(sppdet.load_trunk("small"), few_bins)
        for name, heads in (("SVMs", LinearSvms()), ("softmax", Softmax())):
            detector = sppdet.train(train, extractor, heads=heads).detector
            figures = sppdet.evaluate(detector, test)
            print(f"{name}: mean AP {figures.map_11:.3f}")
        model = Path(folder) / "softmax.safetensors"
        detector.save(model)
        print(sppdet.Detector.load(model, heads=Softmax()))
    return figures.map_11 or 0.0


if __name__ == "__main__":
    main(*sys.argv[1:2])
