"""One file per detector: safetensors with JSON metadata, nothing executable."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch
import torch

from sppdet import __version__
from sppdet.errors import SppdetError
from sppdet.features.rcnn import RcnnRegionFeatures
from sppdet.features.regions import RegionExtractor
from sppdet.features.spp import SppRegionFeatures
from sppdet.runtime.files import atomic_path
from sppdet.settings import RcnnSettings, SelectionSettings, SppSettings
from sppdet.trunks import Layer, Preprocessing, Trunk, build_trunk, load_trunk, packaged_weights
from sppdet.trunks.weights import Weights

if TYPE_CHECKING:
    from sppdet.detector import Detector

FORMAT = 2
"""Version of the file format; it grows when older and newer versions cannot read the same files."""


def save(detector: "Detector", path: str | os.PathLike[str]) -> None:
    """Write ``detector`` to ``path``.

    Metadata ``sppdet`` is a JSON object: format, version, classes, trunk (name, origin, digest,
    preprocessing), extractor, settings. Tensors: ``svm.weight``, ``svm.bias``, ``calibration``,
    ``box.weight``, ``box.bias``, and ``trunk.*``, unless the trunk's weights come with the package.

    Raises:
        SppdetError: the file cannot be written.
    """
    trunk, heads = detector.extractor.trunk, detector.heads
    tensors = {
        "svm.weight": heads.svm_weight,
        "svm.bias": heads.svm_bias,
        "calibration": torch.from_numpy(heads.calibration),
    }
    if heads.box_weight is not None and heads.box_bias is not None:
        tensors |= {"box.weight": heads.box_weight, "box.bias": heads.box_bias}
    if not _is_packaged(trunk):
        tensors |= {f"trunk.{name}": tensor for name, tensor in trunk.state().items()}
    description = {
        "format": FORMAT,
        "version": __version__,
        "classes": detector.classes,
        "trunk": {
            "name": trunk.name,
            "origin": trunk.origin,
            "digest": trunk.digest,
            "preprocessing": trunk.preprocessing.to_json(),
        },
        "extractor": detector.extractor.to_json(),
        "settings": asdict(detector.settings),
    }
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        try:
            safetensors.torch.save_file(contiguous, temporary, {"sppdet": json.dumps(description)})
        except safetensors.SafetensorError as error:
            raise OSError(str(error)) from error


def load(path: str | os.PathLike[str], device: str | torch.device) -> "Detector":
    """Read a detector from ``path`` onto ``device``.

    Raises:
        SppdetError: the file is missing, damaged, no detector, or of a newer format.
    """
    from sppdet.detector import Detector, DetectorSettings, LinearHeads

    path = Path(path)
    if not path.is_file():
        raise SppdetError(f"{path}: no such model; tools/train.py makes one")
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        description = json.loads(metadata["sppdet"])
        if description["format"] > FORMAT:
            raise SppdetError(
                f"{path}: was written by sppdet {description['version']}; update sppdet to read it"
            )
        if description["format"] < FORMAT:
            raise SppdetError(
                f"{path}: was written by an older sppdet, {description['version']}; train it again"
            )
        layer = description["extractor"].get("layer", "pooled")
        trunk = _trunk(description["trunk"], tensors, device, layer)
        extractor = _extractor(description, trunk)
        heads = LinearHeads(
            svm_weight=tensors["svm.weight"].float(),
            svm_bias=tensors["svm.bias"].float(),
            calibration=tensors["calibration"].float().numpy(),
            box_weight=tensors["box.weight"].float() if "box.weight" in tensors else None,
            box_bias=tensors["box.bias"].float() if "box.bias" in tensors else None,
        )
        if heads.svm_weight.shape != (len(description["classes"]), extractor.dimension):
            raise ValueError(f"its SVMs have the shape {tuple(heads.svm_weight.shape)}")
        values = dict(description["settings"])
        selection = SelectionSettings(**values.pop("selection"))
        settings = DetectorSettings(**values, selection=selection)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SppdetError(
            f"{path}: is not a detector that tools/train.py wrote, or is damaged "
            f"({type(error).__name__}: {reason})"
        ) from None
    return Detector(extractor, heads, tuple(description["classes"]), settings)


def _trunk(
    described: dict[str, Any],
    tensors: dict[str, torch.Tensor],
    device: str | torch.device,
    layer: Layer,
) -> Trunk:
    own = {
        name.removeprefix("trunk."): tensor
        for name, tensor in tensors.items()
        if name.startswith("trunk.")
    }
    if own:
        preprocessing = Preprocessing.from_json(described["preprocessing"])
        weights = Weights(own, preprocessing, described["origin"])
        return build_trunk(described["name"], weights, device, layer)
    trunk = load_trunk(described["name"], None, device)
    if trunk.digest != described["digest"]:
        raise ValueError(
            "it was trained on other trunk weights than this sppdet ships; train again"
        )
    return trunk


def _extractor(description: dict[str, Any], trunk: Trunk) -> RegionExtractor:
    values = dict(description["extractor"])
    method = values.pop("method")
    values["levels"] = tuple(values["levels"])
    if method == "rcnn":
        return RcnnRegionFeatures(trunk, RcnnSettings(**values))
    if method == "spp":
        values["scales"] = tuple(values["scales"])
        return SppRegionFeatures(trunk, SppSettings(**values))
    raise ValueError(f"its method {method} is unknown")


def _is_packaged(trunk: Trunk) -> bool:
    return (
        packaged_weights(trunk.name) is not None and load_trunk(trunk.name).digest == trunk.digest
    )
