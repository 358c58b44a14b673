"""The classes of a finished detector: fewer, another name, or those of two detectors in one.

Linear heads have an SVM, a logistic function, a box regression and a threshold for each class, and
no class depends on another. Classes are taken out by choosing rows, and detectors are put together
by joining rows: what stays is the same bit for bit.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from typing import Any

import numpy as np
import torch

from sppdet import __version__
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.heads.base import Scorer
from sppdet.heads.connected import LayeredSvms
from sppdet.heads.kept import KeptExamples
from sppdet.heads.linear import LinearScorer
from sppdet.heads.regression import BoxRegression


def remove_classes(detector: Detector, names: Sequence[str]) -> Detector:
    """The detector without some classes.

    Raises:
        SppdetError: a class is unknown, none would be left, or the heads are a softmax, whose
            classes depend on each other.
    """
    for name in names:
        _known(detector, name)
    labels = [label for label, name in enumerate(detector.classes) if name not in names]
    if not labels:
        raise SppdetError("no class would be left; keep at least one")
    removed = [name for name in detector.classes if name in names]
    card = copy.deepcopy(detector.card)
    for one in (card, *card.get("history", ())):
        if one.get("folds"):
            one["folds"] = _folds_of(one["folds"], labels, detector)
    return Detector(
        detector.extractor,
        _rows(detector.scorer, labels),
        tuple(detector.classes[label] for label in labels),
        detector.settings,
        _regression_rows(detector.regression, labels),
        [detector.thresholds[label] for label in labels],
        _with_event(card, event("removed", classes=removed)),
        detector.kept.of_classes(labels) if detector.kept is not None else None,
    )


def rename_class(detector: Detector, old: str, new: str) -> Detector:
    """The detector with another name for a class.

    Raises:
        SppdetError: ``old`` is unknown, or ``new`` is empty or in use.
    """
    _known(detector, old)
    if not new.strip():
        raise SppdetError("the new name of a class is empty; give it a name")
    if new in detector.classes:
        raise SppdetError(
            f"the detector has a class {new!r} already; remove that one first, or choose another "
            "name"
        )
    card = copy.deepcopy(detector.card)
    for one in (card, *card.get("history", ())):
        if one.get("folds"):
            classes = one["folds"]["classes"]
            one["folds"]["classes"] = {
                new if name == old else name: value for name, value in classes.items()
            }
    return Detector(
        detector.extractor,
        detector.scorer,
        tuple(new if name == old else name for name in detector.classes),
        detector.settings,
        detector.regression,
        detector.thresholds,
        _with_event(card, event("renamed", old=old, new=new)),
        detector.kept,
    )


def merge_detectors(first: Detector, second: Detector) -> Detector:
    """One detector with the classes of two; trunk, features and settings are those of both.

    Raises:
        SppdetError: they have a class in common, the heads are not linear, or trunk, features or
            settings differ; the message says in what.
    """
    shared = [name for name in second.classes if name in first.classes]
    if shared:
        raise SppdetError(
            f"both have the class {shared[0]}; rename it in one with sppdet rename-class, or take "
            "it out with sppdet remove-class"
        )
    differing = _differences(first, second)
    if differing:
        raise SppdetError(
            f"they do not agree: {'; '.join(differing)}; train both with the same trunk and options"
        )
    own = {key: second.card[key] for key in ("data", "folds", "settings") if key in second.card}
    happened = event("merged", classes=list(second.classes), **own)
    return join(first, second, [happened, *second.card.get("history", ())])


def join(first: Detector, second: Detector, events: Sequence[Mapping[str, Any]]) -> Detector:
    """The rows of both detectors, those of ``first`` first; everything else is that of ``first``.

    Args:
        first, second: of one trunk and the same features.
        events: for the history of the card.

    Raises:
        SppdetError: the heads are not linear.
    """
    one, other = _linear(first.scorer), _linear(second.scorer)
    device = one.weight.device
    scorer = LinearScorer(
        torch.cat([one.weight, other.weight.to(device)]),
        torch.cat([one.bias, other.bias.to(device)]),
        np.concatenate([one.calibration, other.calibration]),
    )
    return Detector(
        first.extractor,
        scorer,
        first.classes + second.classes,
        first.settings,
        _joined_regression(first, second, device),
        first.thresholds + second.thresholds,
        _with_event(first.card, *events),
        _joined_examples(first, second),
    )


def event(what: str, **more: Any) -> dict[str, Any]:
    """An entry of the history of a card: what happened, when, and with which version."""
    return {"what": what, "date": date.today().isoformat(), "version": __version__, **more}


def check_linear(detector: Detector) -> None:
    """Refuse a detector to which no class can be added.

    Raises:
        SppdetError: its heads are not linear SVMs on the region features.
    """
    _linear(detector.scorer)


def _known(detector: Detector, name: str) -> None:
    if name not in detector.classes:
        raise SppdetError(
            f"the detector has no class {name!r}; it knows {', '.join(detector.classes)}"
        )


def _linear(scorer: Scorer) -> LinearScorer:
    if not isinstance(scorer, LinearScorer):
        raise SppdetError(
            f"its heads are {scorer.name!r}, which share layers between the classes; only linear "
            "SVMs (train --heads svm) learn a class alone"
        )
    return scorer


def _rows(scorer: Scorer, labels: list[int]) -> Scorer:
    """The scorer of some classes."""
    if isinstance(scorer, LayeredSvms):
        svms = _rows(scorer.svms, labels)
        assert isinstance(svms, LinearScorer)
        return replace(scorer, svms=svms)
    linear = _linear(scorer)
    return LinearScorer(
        linear.weight[labels].clone(), linear.bias[labels].clone(), linear.calibration[labels]
    )


def _regression_rows(regression: BoxRegression | None, labels: list[int]) -> BoxRegression | None:
    if regression is None:
        return None
    rows = regression.tensors()
    weight, bias = rows["box.weight"][labels], rows["box.bias"][labels]
    return replace(regression, weight=weight.flatten(0, 1), bias=bias.flatten())


def _joined_regression(
    first: Detector, second: Detector, device: torch.device
) -> BoxRegression | None:
    """Both regressions; zeros, which move no box, for a detector without."""
    if first.regression is None and second.regression is None:
        return None
    weights, biases = [], []
    for one in (first, second):
        count, regression = len(one.classes), one.regression
        if regression is None:
            weights.append(torch.zeros(4 * count, one.extractor.dimension, device=device))
            biases.append(torch.zeros(4 * count, device=device))
        else:
            weights.append(regression.weight.to(device))
            biases.append(regression.bias.to(device))
    return BoxRegression(torch.cat(weights), torch.cat(biases))


def _joined_examples(first: Detector, second: Detector) -> KeptExamples | None:
    """The kept examples of both; those of one, if only one keeps any."""
    if first.kept is None and second.kept is None:
        return None
    none = KeptExamples.none(first.extractor.dimension)
    return (first.kept or none).joined(second.kept or none, len(first.classes))


def _differences(first: Detector, second: Detector) -> list[str]:
    """What of trunk, features and settings is not the same, in words."""
    one, other = first.extractor.trunk, second.extractor.trunk
    if (one.name, one.layer) != (other.name, other.layer):
        return [f"the trunks are {one.name} and {other.name}"]
    if one.digest != other.digest:
        return [f"the trunks {one.name} have different weights"]
    if one.geometry != other.geometry or one.preprocessing != other.preprocessing:
        return [f"the trunks {one.name} have another geometry or preprocessing"]
    pairs = (
        (first.extractor.to_json(), second.extractor.to_json()),
        (_flat(asdict(first.settings)), _flat(asdict(second.settings))),
    )
    return [
        f"{key} is {_said(a.get(key))} in one and {_said(b.get(key))} in the other"
        for a, b in pairs
        for key in {**a, **b}
        if a.get(key) != b.get(key)
    ]


def _said(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    selection = settings.pop("selection")
    return {**settings, **selection}


def _folds_of(folds: Mapping[str, Any], labels: list[int], detector: Detector) -> dict[str, Any]:
    """The figures of the classes that stay, and their means."""
    kept = {detector.classes[label] for label in labels}
    classes = {name: one for name, one in folds["classes"].items() if name in kept}
    means = {}
    for key in ("map_11", "map_area"):
        values = [one[key.replace("map", "ap")] for one in classes.values()]
        known = [value for value in values if value is not None]
        means[key] = float(np.mean(known)) if known else None
    return {**folds, **means, "classes": classes}


def _with_event(card: Mapping[str, Any], *events: Mapping[str, Any]) -> dict[str, Any]:
    return {**card, "history": [*card.get("history", ()), *map(dict, events)]}
