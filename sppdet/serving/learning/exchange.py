"""How the training hands a detector to the server: a file of what was learned.

The trunk, the proposals and the features are the server's own, so that the file has only the heads.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

from sppdet.detector import Detector
from sppdet.heads.linear import LinearSvms
from sppdet.heads.regression import BoxRegression
from sppdet.runtime.tensor_files import damage_of, load_tensors, make, save_tensors
from sppdet.serving.prepared import PreparedPhotos
from sppdet.settings import SelectionSettings

UNTRAINED = ("svm.bias",)


def put(path: Path, detector: Detector) -> None:
    """Write what a detector has learned.

    Raises:
        SppdetError: the file cannot be written.
    """
    tensors = dict(detector.scorer.tensors())
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


def take(path: Path, photos: PreparedPhotos) -> Detector:
    """The detector of a file, on the server's trunk.

    Raises:
        SppdetError: the file is missing or damaged.
    """
    with damage_of(path, "what the training has learned"):
        tensors, metadata = load_tensors(path, UNTRAINED)
        described = json.loads(metadata["learned"])
        selection = make(SelectionSettings, described["selection"])
        return Detector(
            photos.extractor,
            LinearSvms().restore(tensors),
            tuple(described["classes"]),
            replace(photos.settings, selection=selection),
            BoxRegression.restore(tensors),
            described["thresholds"],
            described["card"],
        )
