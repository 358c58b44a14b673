"""The interface of the heads: what learns from region features, and what it has learned.

Heads are a recipe (linear SVMs, a softmax, fully connected layers). :meth:`Heads.fit` turns
examples into a :class:`Scorer`; :mod:`sppdet.heads.connected` has recipes that learn from windows.
Calibration, evaluation, the detector and its file see only :class:`Recipe` and :class:`Scorer`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.heads.examples import Examples


@dataclass(frozen=True)
class Judged:
    """Detections of one class on images that the scorer has not learned from.

    Attributes:
        scores: (N,) float32, as :meth:`Scorer.score` gives them.
        right: (N,) bool, whether each detection is a true positive.
    """

    scores: NDArray[np.float32]
    right: NDArray[np.bool_]


class Scorer(Protocol):
    """Scores region features for K classes, and says what a score is worth.

    Attributes:
        name: the name of the heads that made it; a model file records it.
        classes: K.
    """

    @property
    def name(self) -> str: ...

    @property
    def classes(self) -> int: ...

    def score(self, features: Tensor) -> Tensor:
        """(M, D) float32 features as the extractor gives them to (M, K) float32 scores.

        A higher score ranks higher within its class. A region with a score that is not finite is
        never a detection of that class. Box voting weights a box with the exponential of its score,
        so that a logarithmic scale (a margin, a log-probability) is wanted.
        """
        ...

    def probabilities(
        self, scores: NDArray[np.float32], labels: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Probabilities (N,) that detections are true positives; within a class they rise with the
        score.

        Args:
            scores: (N,), as :meth:`score` gives them.
            labels: (N,), the class of each.
        """
        ...

    def to(self, device: torch.device) -> "Scorer":
        """The same scorer on another device."""
        ...

    def tensors(self) -> Mapping[str, Tensor]:
        """What a model file keeps; :meth:`Heads.restore` reads it."""
        ...


class Recipe(Protocol):
    """What all heads have, however they learn a :class:`Scorer`.

    Attributes:
        name: recorded in model files, so that they are not read with other heads.
    """

    @property
    def name(self) -> str: ...

    def calibrate(self, scorer: Scorer, judged: list[Judged]) -> Scorer:
        """The scorer with probabilities that agree with detections on unseen images, per class.

        Heads whose probabilities are learned already return the scorer as it is.
        """
        ...

    def restore(self, tensors: Mapping[str, Tensor]) -> Scorer:
        """The scorer whose :meth:`Scorer.tensors` these are.

        Raises:
            KeyError, ValueError: a tensor is missing or has the wrong shape.
        """
        ...


class Heads(Recipe, Protocol):
    """A recipe that learns from the examples that mining finds.

    Attributes:
        hard_score: in mining, a negative with a score above this becomes an example.
        easy_score: after each fit of mining, a negative with a score below this is dropped.
    """

    @property
    def hard_score(self) -> float: ...

    @property
    def easy_score(self) -> float: ...

    def fit(
        self,
        examples: Examples,
        changed: Collection[int] | None = None,
        previous: Scorer | None = None,
    ) -> Scorer:
        """Learn from examples with joint labels.

        Args:
            examples: of every class; see :meth:`sppdet.heads.examples.Examples.joint`.
            changed: classes whose examples differ from those that ``previous`` was fitted on; None
                means all. Heads that learn the classes jointly may ignore both.
            previous: the scorer to start from.
        """
        ...
