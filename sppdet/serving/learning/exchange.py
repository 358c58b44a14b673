"""How the training hands a detector to the server: a file of what was learned.

The trunk, the proposals and the features are the server's own, so that the file has only the heads.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from sppdet.detector import Detector
from sppdet.heads.linear import LinearScorer, LinearSvms
from sppdet.heads.regression import BoxRegression
from sppdet.runtime.tensor_files import damage_of, load_tensors, make, save_tensors
from sppdet.serving.prepared import PreparedPhotos
from sppdet.settings import SelectionSettings

UNTRAINED = ("svm.bias", "folds.bias")


@dataclass(frozen=True)
class Learned:
    """A detector of the training.

    Attributes:
        detector: it has learned from all labelled photographs.
        folds: SVMs that have not learned from a part of them; none before the first folds.
    """

    detector: Detector
    folds: tuple[LinearScorer, ...] = ()


def put(path: Path, learned: Learned) -> None:
    """Write what was learned.

    Raises:
        SppdetError: the file cannot be written.
    """
    detector = learned.detector
    tensors = dict(detector.scorer.tensors())
    if learned.folds:
        tensors["folds.weight"] = torch.stack([one.weight for one in learned.folds])
        tensors["folds.bias"] = torch.stack([one.bias for one in learned.folds])
    if detector.regression is not None:
        tensors |= detector.regression.tensors()
    described = {
        "classes": detector.classes,
        "thresholds": detector.thresholds,
        "selection": asdict(detector.settings.selection),
        "card": detector.card,
    }
    contiguous = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    save_tensors(path, contiguous, {"learned": json.dumps(described)})


def take(path: Path, photos: PreparedPhotos) -> Learned:
    """What a file says, on the server's trunk.

    Raises:
        SppdetError: the file is missing or damaged.
    """
    with damage_of(path, "what the training has learned"):
        tensors, metadata = load_tensors(path, UNTRAINED)
        described = json.loads(metadata["learned"])
        selection = make(SelectionSettings, described["selection"])
        scorer = LinearSvms().restore(tensors)
        detector = Detector(
            photos.extractor,
            scorer,
            tuple(described["classes"]),
            replace(photos.settings, selection=selection),
            BoxRegression.restore(tensors),
            described["thresholds"],
            described["card"],
        )
        weights, biases = (tensors.get(f"folds.{name}", ()) for name in ("weight", "bias"))
        folds = [
            replace(scorer, weight=weight, bias=bias)
            for weight, bias in zip(weights, biases, strict=True)
        ]
        return Learned(detector, tuple(folds))
