"""The models of ``sppdet evaluate``: their detections, and what the JSON says about them."""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sppdet.cli.splits import test_split
from sppdet.errors import SppdetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sppdet.boxes import Boxes
    from sppdet.datasets import Dataset
    from sppdet.detections import Detections
    from sppdet.detector import Detector

MODEL_SUFFIX = ".safetensors"
"""A file of this kind after ``--compare`` is a model; others are results."""

MEASURES = {
    "ap_11": "PASCAL VOC 2007: mean of the best precisions at recall 0, 0.1, ..., 1",
    "ap_area": "PASCAL VOC 2010: area under the precision-recall curve",
    "map_11, map_area": "means of the classes that have objects; difficult objects and crowds do "
    "not count",
}
"""Which average precision is which."""


class Choices(NamedTuple):
    """Options that decide how models see images; ``boxes`` are proposals for each of them."""

    device: str | None = None
    precision: str = "float32"
    workers: int | None = None
    levels: str | None = None
    pooling: str | None = None
    mapping: str | None = None
    boxes: "Sequence[Boxes] | None" = None


class Run(NamedTuple):
    """What a model found.

    Attributes:
        found: the detections of every image.
        failures: a line for each image that cannot be read.
        thresholds: by class.
        about: the model, for the JSON.
    """

    found: "list[Detections]"
    failures: list[str]
    thresholds: dict[str, float]
    about: dict[str, Any]


def test_data(
    data: Path, split: str | None, format: str | None, background: bool
) -> "tuple[Dataset, str | None]":
    """The labelled images to evaluate on, of which the user is told, and their split.

    Raises:
        SppdetError: they cannot be read, or have no annotated object.
    """
    from sppdet.cli.progress import tell_dataset
    from sppdet.datasets import read_dataset

    chosen = split or test_split(data, format)
    dataset = read_dataset(data, chosen, format=format, background=background)
    tell_dataset(dataset)
    if not any(len(entry) for entry in dataset.all_annotations()):
        raise SppdetError(f"{data}: has no annotated object to evaluate against")
    return dataset, chosen


def run_model(path: Path, dataset: "Dataset", choices: Choices) -> Run:
    """Detect on every image of a data set, without a threshold.

    Raises:
        SppdetError: the file is not a model, an option does not suit it, or it shares no class with
            the data.
    """
    from sppdet.cli.common import choose_device, images_at_a_time, load_detector
    from sppdet.cli.progress import progress_bar
    from sppdet.cli.region_options import with_choices
    from sppdet.evaluation.detecting import detect_all
    from sppdet.proposals.cache import ProposalCache

    where = choose_device(choices.device)
    cache = ProposalCache()
    detector = load_detector(path, where, choices.precision)
    detector = with_choices(detector, choices.levels, choices.pooling, choices.mapping)
    _check_classes(path, detector.classes, dataset)
    count = choices.workers
    if where.type == "cpu":
        count = images_at_a_time(where, choices.workers)
    with progress_bar() as bar:
        task = bar.add_task("detecting", total=len(dataset.images))
        found, failures = detect_all(
            detector, dataset.images, count, lambda: bar.advance(task), cache, choices.boxes
        )
    for line in cache.disk.summary("proposals"):
        bar.console.print(line, markup=False, soft_wrap=True)
    thresholds = dict(zip(detector.classes, detector.thresholds, strict=True))
    return Run(found, failures, thresholds, _about(path, detector))


def check_models(paths: "Sequence[Path]") -> None:
    """Read all models before the first one works for long, and say which are the same.

    Raises:
        SppdetError: one cannot be read.
    """
    from sppdet.cli.progress import console
    from sppdet.detector import Detector

    digests: dict[str, Path] = {}
    for path in paths:
        Detector.load(path, "cpu")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest in digests:
            same = f"note: {path} is the same model as {digests[digest]}"
            console.print(same, markup=False, soft_wrap=True)
        digests.setdefault(digest, path)


def _about(path: Path, detector: "Detector") -> dict[str, Any]:
    trunk, card = detector.extractor.trunk, detector.card
    return {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "seed": card.get("settings", {}).get("seed"),
        "trained_on": card.get("data"),
        "trunk": {"name": trunk.name, "layer": trunk.layer, "digest": trunk.digest},
        "features": _features(detector),
        "heads": detector.scorer.name,
        "box_regression": detector.regression is not None
        or detector.scorer.name.startswith("connected"),
        "settings": asdict(detector.settings),
    }


def _features(detector: "Detector") -> dict[str, Any]:
    """All settings of the features, those too that a model file leaves out."""
    from sppdet.features.spp import SppRegionFeatures

    known = detector.extractor.to_json()
    defaults = {"pooling": "max"}
    if isinstance(detector.extractor, SppRegionFeatures):
        defaults["mapping"] = "paper"
    return {**defaults, **known}


def about(
    dataset: "Dataset", split: str | None, iou: float, intervals: int, model: dict[str, Any] | None
) -> dict[str, Any]:
    """What the figures are: which AP, of which model on which data.

    Args:
        dataset: that was evaluated.
        split: its part; None for all.
        iou: least IoU of a true positive.
        intervals: bootstrap samples.
        model: :attr:`Run.about`; None for results.
    """
    from sppdet import __version__
    from sppdet.training.folds import data_digest

    return {
        "version": __version__,
        "measures": MEASURES,
        "iou": iou,
        "bootstrap": {"samples": intervals, "seed": 0} if intervals else None,
        "data": {
            "name": dataset.path.name,
            "split": split,
            "images": len(dataset.images),
            "digest": data_digest(dataset),
        },
        "model": model,
    }


def is_model(path: Path | None) -> bool:
    """Whether the file after ``--compare`` is a model rather than results."""
    return path is not None and path.suffix.lower() == MODEL_SUFFIX


def _check_classes(model: Path, known: tuple[str, ...], dataset: "Dataset") -> None:
    """Say which classes only the model or only the data has.

    Raises:
        SppdetError: they share none.
    """
    if not set(known) & set(dataset.classes):
        raise SppdetError(
            f"{model}: finds {_some(known)}, but the data have {_some(dataset.classes)}; "
            "no class is the same"
        )
    from sppdet.cli.progress import console

    only_data = [name for name in dataset.classes if name not in known]
    only_model = [name for name in known if name not in dataset.classes]
    if only_data:
        console.print(
            f"note: the model does not know {_some(only_data)}: AP 0", markup=False, soft_wrap=True
        )
    if only_model:
        console.print(
            f"note: the data have no {_some(only_model)}: left out", markup=False, soft_wrap=True
        )


def _some(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
