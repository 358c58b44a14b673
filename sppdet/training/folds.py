"""What the folds decide: the calibration, the thresholds, one class per object; and the card.

Everything here rests on detections in images that neither the SVMs nor the box regression of that
fold have learned from. Only mining has looked at all images.
"""

import hashlib
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from sppdet import __version__
from sppdet.datasets import Dataset
from sppdet.evaluation.voc import VocResult
from sppdet.heads.base import Recipe, Scorer
from sppdet.heads.selection import one_class_per_object
from sppdet.heads.thresholds import BestF1, best_f1, mean_f1
from sppdet.settings import SelectionSettings, TrainSettings
from sppdet.training.unseen import Unseen, evaluate_unseen, judged, select_unseen

ONE_CLASS_IOU = 0.6
"""IoU from which two detections of different classes are of one object."""

FEW = 20
"""With fewer objects than this a class's figures say little."""


@dataclass(frozen=True)
class Decided:
    """Attributes:
    scorer: with calibrated probabilities.
    selection: with or without lower scores of groups and suppression across classes.
    thresholds: one per class.
    result: the figures of the folds.
    """

    scorer: Scorer
    selection: SelectionSettings
    thresholds: tuple[BestF1, ...]
    result: VocResult


def decide(
    seen: list[Unseen],
    heads: Recipe,
    scorer: Scorer,
    classes: tuple[str, ...],
    settings: TrainSettings,
) -> Decided:
    """Calibrate the scorer, choose the thresholds, and how detections are selected.

    The scores of boxes that hold several objects go down where that does not lower the mean area
    AP, if ``settings.lower_groups`` does not decide it.
    Suppression across classes is chosen where it raises the mean of the classes' best F1. With
    ``settings.one_class``, or a ``one_class_iou`` below 1 in the selection, it is used in any case.
    """
    given = settings.detector.selection
    asked = settings.one_class or (settings.one_class is None and given.one_class_iou < 1)
    plain = replace(given, one_class_iou=1.0)
    if settings.lower_groups is False:
        plain = replace(plain, group_penalty=0.0)
    found = select_unseen(seen, scorer, plain)
    result = evaluate_unseen(seen, found, classes)
    if settings.lower_groups is None and plain.group_penalty > 0:
        level = replace(plain, group_penalty=0.0)
        others = select_unseen(seen, scorer, level)
        without = evaluate_unseen(seen, others, classes)
        if (without.map_area or 0) > (result.map_area or 0):
            plain, found, result = level, others, without
    scorer = heads.calibrate(scorer, judged(result))
    choice = Decided(scorer, plain, _thresholds(result, scorer), result)
    if settings.one_class is False or len(classes) < 2:
        return choice
    most = given.one_class_iou if given.one_class_iou < 1 else ONE_CLASS_IOU
    strict = replace(plain, one_class_iou=most)
    found = [one_class_per_object(one, scorer, strict.one_class_iou) for one in found]
    result = evaluate_unseen(seen, found, classes)
    other = Decided(scorer, strict, _thresholds(result, scorer), result)
    better = mean_f1(other.thresholds) > mean_f1(choice.thresholds)
    return other if asked or better else choice


def _thresholds(result: VocResult, scorer: Scorer) -> tuple[BestF1, ...]:
    return tuple(
        best_f1(
            scorer.probabilities(one.scores.astype(np.float32), np.full(len(one.scores), label)),
            one.hits,
            one.truths,
        )
        for label, one in enumerate(result.classes)
    )


def card(
    dataset: Dataset,
    decided: Decided,
    images: int,
    settings: TrainSettings,
    folds: int,
    boxed: int,
) -> dict[str, Any]:
    """What is to be known about a training, as JSON; ``sppdet info`` prints it.

    Args:
        images: number of the images that were read.
        folds: number of the folds.
        boxed: number of images of the folds that were looked at.
    """
    result = decided.result
    deciding = asdict(settings)
    for name in ("workers", "store_bytes"):  # equal seeds give equal files, whatever these are
        del deciding[name]
    return {
        "version": __version__,
        "date": date.today().isoformat(),
        "data": {
            "name": dataset.path.name,
            "digest": data_digest(dataset),
            "images": images,
            "objects": int(sum(len(dataset.annotations(i)) for i in range(len(dataset.images)))),
        },
        "settings": deciding,
        "folds": {
            "folds": folds,
            "images": boxed,
            "iou": result.iou,
            "map_11": result.map_11,
            "map_area": result.map_area,
            "classes": {
                one.name: {
                    "objects": one.truths,
                    "ap_11": one.ap_11,
                    "ap_area": one.ap_area,
                    "threshold": round(best.threshold, 4),
                    "f1": round(best.f1, 4),
                }
                for one, best in zip(result.classes, decided.thresholds, strict=True)
            },
        },
    }


def data_digest(dataset: Dataset) -> str:
    """A name of the annotations, and of the names and sizes of the images' files."""
    digest = hashlib.sha256("\0".join(dataset.classes).encode())
    for index, path in enumerate(dataset.images):
        annotations = dataset.annotations(index)
        size = path.stat().st_size if path.is_file() else -1
        digest.update(f"{path.name} {size}".encode("utf-8", "surrogateescape"))
        digest.update(np.ascontiguousarray(annotations.boxes, np.float32).tobytes())
        digest.update(np.ascontiguousarray(annotations.labels, np.int64).tobytes())
        for flags in (annotations.difficult, annotations.crowd):
            if flags.any():  # data without such objects keep the name that earlier versions gave
                digest.update(np.packbits(flags).tobytes())
    return digest.hexdigest()[:16]
