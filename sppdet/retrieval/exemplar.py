"""Exemplar SVMs: a linear SVM of one positive and many negatives (Malisiewicz et al., 2011)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sppdet.heads.calibration import uncalibrated
from sppdet.heads.examples import NEGATIVE, POSITIVE, Chosen, ClassExamples
from sppdet.heads.linear import LinearScorer
from sppdet.heads.svm import fit_svm


@dataclass(frozen=True)
class ExemplarSettings:
    """How an exemplar SVM learns, and from which negatives.

    Attributes:
        cost: weight of a negative's hinge loss against |w|^2 / 2, for features of the mean norm
            ``target_norm`` (Malisiewicz et al., 2011: C2 = 0.01).
        positive_weight: the positive's hinge loss counts so many times as much (C1 = 0.5, that is
            50 times).
        target_norm: mean L2 norm of the negatives to which features are scaled, as in training.
        negatives: number of negatives in all.
        from_example: at most so many of them come from the photograph of the example.
        negative_iou: those have an IoU below this with the example.
        sampled_images: photographs from which random negatives come, at most.
        left_out: share of the random negatives, those with the greatest cosine to the example, that
            is left out.
        seed: of the random choices.
    """

    cost: float = 0.01
    positive_weight: float = 50.0
    target_norm: float = 20.0
    negatives: int = 1000
    from_example: int = 200
    negative_iou: float = 0.3
    sampled_images: int = 200
    left_out: float = 0.02
    seed: int = 0


def fit_exemplar(
    positive: Tensor, negatives: Tensor, settings: ExemplarSettings | None = None
) -> LinearScorer:
    """The SVM that separates one feature from many.

    It minimises |w|^2 / 2 + C1 max(0, 1 - w . x - b) + C2 sum_i max(0, 1 + w . n_i + b)
    (Malisiewicz et al., 2011).

    Args:
        positive: (D,) floating, the feature x of the example.
        negatives: (M, D) floating, M at least 1.
        settings: the constants.

    Returns:
        A scorer of one class for features as they are given here. Its scores rank regions; they are
        not calibrated.
    """
    settings = settings or ExemplarSettings()
    examples = ClassExamples(len(positive), 1)
    for number, (role, features) in enumerate(((POSITIVE, positive[None]), (NEGATIVE, negatives))):
        count = len(features)
        roles = np.full((count, 1), role, np.int8)
        regions = np.arange(count, dtype=np.int64)
        examples.collect(role, Chosen(features.half(), roles, regions, number))
    mean = float(negatives.float().norm(dim=1).mean())
    scale = settings.target_norm / max(mean, 1e-12)
    examples.finish(scale)
    svm = fit_svm(examples, settings.cost, settings.positive_weight)
    assert svm is not None
    weight = torch.from_numpy(svm.weight[None] * np.float32(scale))
    return LinearScorer(weight, torch.tensor([svm.bias]), uncalibrated(1))


def without_nearest(features: Tensor, example: Tensor, share: float) -> Tensor:
    """The features (M, D) without the ``share`` that has the greatest cosine to ``example`` (D,).

    At least one stays.
    """
    wide = features.float()
    cosines = (wide @ example.float()) / wide.norm(dim=1).clamp_min(1e-12)
    most = max(len(features) - round(share * len(features)), 1)
    return features[torch.sort(cosines.argsort(stable=True)[:most]).values]
