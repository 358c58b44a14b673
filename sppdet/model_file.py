"""One file per detector: safetensors with JSON metadata, nothing executable."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sppdet import __version__
from sppdet.errors import SppdetError
from sppdet.features.rcnn import RcnnRegionFeatures
from sppdet.features.regions import LATER, RegionExtractor
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads import selection_file
from sppdet.heads.base import Recipe, Scorer
from sppdet.heads.connected import Connected, ConnectedSvms, LayeredSvms, SoftmaxScorer
from sppdet.heads.kept import KeptExamples
from sppdet.heads.linear import LinearSvms
from sppdet.heads.regression import BoxRegression
from sppdet.proposals import settings_of
from sppdet.runtime.tensor_files import broken, damage_of, load_tensors, make, save_tensors
from sppdet.settings import DetectorSettings, RcnnSettings, SppSettings
from sppdet.trunks import MapGeometry, Preprocessing, Trunk, build_trunk, load_trunk
from sppdet.trunks.loading import comes_installed
from sppdet.trunks.specs import TIMM
from sppdet.trunks.timm_stage import restore_timm
from sppdet.trunks.weights import Weights

FORMAT = 5
"""Version of the file format; it grows when an older version cannot read a newer file."""

OLDEST = 2
"""The oldest format that can be read: version 0.1.0 writes it."""

EARLIER_TRUNKS = {"lite0": ("lite0-stage5",)}
"""What a trunk's name meant in earlier versions."""

RECIPES: tuple[Recipe, ...] = (LinearSvms(), Connected(), ConnectedSvms())
"""The heads that read a scorer when no others are given."""

UNTRAINED = ("svm.bias",)  # NaN for a class that could not be trained
LARGEST_LEVEL, LARGEST_SIDE = 64, 20_000
"""Bins per side of a pyramid, and pixels, that a file may ask for."""


class Model(NamedTuple):
    """What a file holds; see :class:`sppdet.detector.Detector`."""

    extractor: RegionExtractor
    scorer: Scorer
    classes: tuple[str, ...]
    settings: DetectorSettings
    regression: BoxRegression | None
    thresholds: Sequence[float] | None = None
    card: Mapping[str, Any] = {}
    kept: KeptExamples | None = None


def save(path: str | os.PathLike[str], model: Model) -> None:
    """Write a model.

    Metadata ``sppdet`` is a JSON object: format, version, classes, trunk (name, layer, origin,
    digest, preprocessing, geometry), extractor, heads, settings, thresholds, card, kept. Tensors:
    the scorer's (``svm.weight``, ``svm.bias``, ``calibration``, ``connected.*``, ``softmax.*``),
    ``box.weight``, ``box.bias``, ``kept.*`` (:mod:`sppdet.heads.kept`), and ``trunk.*`` for a trunk
    whose weights are not those that are installed. A trunk of one's own is not written: only its
    digest is.

    Raises:
        SppdetError: the file cannot be written, or it could not be read again.
    """
    trunk = model.extractor.trunk
    tensors = dict(model.scorer.tensors())
    wrong = [
        name
        for name, tensor in tensors.items()
        if not isinstance(tensor, Tensor) or name.startswith(("trunk.", "box.", "kept."))
    ]
    if wrong or not tensors:
        raise SppdetError(
            f"{path}: is not written: the {model.scorer.name} heads must give tensors whose names "
            f"do not start with trunk., box. or kept.{f', not {wrong[0]}' if wrong else ''}"
        )
    if model.regression is not None:
        tensors |= model.regression.tensors()
    tensors |= model.kept.tensors() if model.kept is not None else {}
    if trunk.rebuildable and not _is_installed(trunk):
        tensors |= {f"trunk.{name}": tensor for name, tensor in trunk.state().items()}
    seen, selected = model.extractor.to_json(), selection_file.to_json(model.settings.selection)
    later = LATER.keys() & seen.keys() or selection_file.LATER.keys() & selected.keys()
    description = {
        "format": FORMAT if later else 4,
        "version": __version__,
        "classes": model.classes,
        "trunk": {
            "name": trunk.name,
            "layer": trunk.layer,
            "origin": trunk.origin,
            "digest": trunk.digest,
            "preprocessing": trunk.preprocessing.to_json(),
            "geometry": asdict(trunk.geometry),
        },
        "extractor": seen,
        "heads": model.scorer.name,
        "settings": asdict(model.settings) | {"selection": selected},
        "thresholds": model.thresholds,
        "card": dict(model.card),
        "kept": model.kept.images if model.kept is not None else None,
    }
    tensors = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
    try:
        text = json.dumps(description)
        own = None if trunk.rebuildable else trunk
        known = any(one.name == model.scorer.name for one in RECIPES)
        scorer = None if known else model.scorer
        _assemble(json.loads(text), tensors, own or "cpu", None, scorer)
        if infinite := broken(tensors, UNTRAINED):
            raise ValueError(f"{infinite} has values that are not finite")
    except (KeyError, TypeError, ValueError) as error:
        raise SppdetError(
            f"{path}: is not written, because the detector could not be loaded again ({error})"
        ) from None
    save_tensors(path, tensors, {"sppdet": text})


def load(
    path: str | os.PathLike[str],
    device: str | torch.device | None = None,
    trunk: Trunk | None = None,
    heads: Recipe | None = None,
) -> Model:
    """Read a model; the arguments are those of :meth:`sppdet.detector.Detector.load`.

    Raises:
        SppdetError: the file is missing, damaged, not a detector or of a newer format, or it wants
            a trunk or heads that are not given.
    """
    path = Path(path)
    if trunk is not None and not isinstance(trunk, Trunk):
        raise TypeError(f"trunk is {trunk!r:.80}: give what make_trunk or load_trunk gives")
    if heads is not None and (isinstance(heads, type) or not hasattr(heads, "restore")):
        raise TypeError(f"heads is {heads!r:.80}: give an object with the methods of Heads")
    if path.is_dir():
        raise SppdetError(f"{path}: is a folder, not a model file")
    if not path.is_file():
        raise SppdetError(f"{path}: no such model; tools/train.py makes one")
    with damage_of(path, "a detector that tools/train.py wrote"):
        tensors, metadata = load_tensors(path, UNTRAINED)
        description = json.loads(metadata["sppdet"])
        version = description["version"]
        if description["format"] > FORMAT:
            raise SppdetError(f"{path}: was written by sppdet {version}; update sppdet to read it")
        if description["format"] < OLDEST:
            raise SppdetError(f"{path}: was written by an older sppdet, {version}; train it again")
        where = trunk or device or default_device()
        return _assemble(description, tensors, where, heads)


def default_device() -> torch.device:
    """A GPU when there is one, the CPU otherwise."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _assemble(
    description: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    trunk: Trunk | str | torch.device,
    heads: Recipe | None,
    scorer: Scorer | None = None,
) -> Model:
    """The model that a file describes.

    Args:
        trunk: a trunk of one's own, or the device for the trunk that the file names.
        heads: read the scorer; None means those of :data:`RECIPES`.
        scorer: is taken as it is.

    Raises:
        KeyError, TypeError, ValueError: the description and the tensors do not fit together.
        SppdetError: the model wants another trunk or other heads.
    """
    values = dict(description["extractor"])
    described = {"layer": values.pop("layer", "pooled"), **description["trunk"]}  # format 2
    extractor = _extractor(values, _trunk(described, tensors, trunk))
    name = description.get("heads", "linear")
    if scorer is None:
        able = (heads,) if heads is not None else RECIPES
        heads = next((one for one in able if one.name == name), None)
        if heads is None:
            raise SppdetError(f"its heads are {name!r}; give them: Detector.load(path, heads=...)")
        scorer = heads.restore(tensors)
    layers = scorer.layers if isinstance(scorer, SoftmaxScorer | LayeredSvms) else None
    regression = BoxRegression.restore(tensors, layers)
    classes = tuple(description["classes"])
    if scorer.classes != len(classes) or not all(isinstance(one, str) for one in classes):
        raise ValueError(f"names of classes: {len(classes)}, scores: {scorer.classes}")
    if len(set(classes)) < len(classes):
        raise ValueError("two classes have the same name")
    inputs = layers.inputs if layers is not None else extractor.dimension
    if inputs != extractor.dimension:
        raise ValueError(f"fc6 is for {inputs} values, a feature has {extractor.dimension}")
    length = layers.length if layers is not None else extractor.dimension
    for key in ("svm.weight", "box.weight"):
        if key in tensors and tensors[key].shape[-1] != length:
            raise ValueError(
                f"{key} is for {tensors[key].shape[-1]} values, a feature has {length}"
            )
    settings = dict(description["settings"])
    selection = selection_file.from_json(settings.pop("selection"))
    chosen = make(DetectorSettings, {**settings, "selection": selection})
    settings_of(chosen.proposals)
    if not 1 <= chosen.max_boxes <= selection_file.MOST:
        raise ValueError(f"its number of boxes is {chosen.max_boxes}")
    least = description.get("thresholds")  # format 4
    if least is not None and not (
        len(least) == len(classes) and 0 <= min(least) <= max(least) <= 1
    ):
        raise ValueError(f"its thresholds are {least}")
    card = dict(description.get("card", {}))
    names, dimension = description.get("kept"), extractor.dimension
    kept = KeptExamples.restore(tensors, names, len(classes), dimension)
    return Model(extractor, scorer, classes, chosen, regression, least, card, kept)


def _trunk(
    described: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    given: Trunk | str | torch.device,
) -> Trunk:
    """The trunk of a file: the one given, the file's own, or one whose weights are installed."""
    name, digest = described["name"], described["digest"]
    if isinstance(given, Trunk):
        same = {
            "weights": given.digest == digest,
            "preprocessing": given.preprocessing.to_json() == described["preprocessing"],
            "geometry": asdict(given.geometry) == described.get("geometry", asdict(given.geometry)),
        }
        other = [what for what, equal in same.items() if not equal]
        if other:
            raise SppdetError(
                f"was trained on another trunk ({name}) than the one given: its "
                f"{' and '.join(other)} differ"
            )
        return given
    own = {
        key.removeprefix("trunk."): tensor
        for key, tensor in tensors.items()
        if key.startswith("trunk.")
    }
    if own:
        preprocessing = Preprocessing.from_json(described["preprocessing"])
        weights = Weights(own, preprocessing, described["origin"])
        if name.startswith(TIMM):
            return restore_timm(name, weights, MapGeometry(**described["geometry"]), given)
        return build_trunk(name, weights, given, described["layer"])
    if not comes_installed(name):
        raise SppdetError(
            f"its trunk {name!r} is none of sppdet's; give it: Detector.load(path, trunk=...)"
        )
    for candidate in (name, *EARLIER_TRUNKS.get(name, ())):
        trunk = load_trunk(candidate, None, given)
        if trunk.digest == digest:
            return trunk
    raise ValueError("it was trained on other trunk weights than this sppdet ships")


def _extractor(values: dict[str, Any], trunk: Trunk) -> RegionExtractor:
    method = values.pop("method")
    if method == "rcnn":
        crops = make(RcnnSettings, values)
        _check_sizes("levels", crops.levels, LARGEST_LEVEL)
        _check_sizes("size and context", (crops.size, crops.context), LARGEST_SIDE)
        return RcnnRegionFeatures(trunk, crops)
    if method == "spp":
        settings = make(SppSettings, values)
        _check_sizes("levels", settings.levels, LARGEST_LEVEL)
        _check_sizes("scales", (*settings.scales, settings.longest_side), LARGEST_SIDE)
        return SppRegionFeatures(trunk, settings)
    raise ValueError(f"its method {method!r} is unknown")


def _check_sizes(name: str, values: tuple[int, ...], largest: int) -> None:
    """A damaged file must not ask for more memory than there is."""
    if len(values) > LARGEST_LEVEL or max(values) > largest:
        raise ValueError(f"its {name} are {values!s:.60}, at most {largest} is possible")


def _is_installed(trunk: Trunk) -> bool:
    """Whether these weights, rather than others of the same name, come with an installation."""
    if not comes_installed(trunk.name):
        return False
    try:
        return load_trunk(trunk.name).digest == trunk.digest
    except SppdetError:  # their package is missing, but the trunk has them from a file
        return False
