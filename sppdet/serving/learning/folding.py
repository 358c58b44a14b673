"""The slow part of the training, in steps: box regression, folds, calibration, honest figures.

A photograph keeps its fold, so that the steps may lie between changes. What is found rests on
photographs that neither the SVMs nor the box regression of their fold have learned from; only
mining has looked at all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sppdet.datasets.base import Dataset
from sppdet.evaluation.voc import VocResult
from sppdet.heads.linear import LinearScorer
from sppdet.heads.regression import BoxRegression, RegressionExamples
from sppdet.serving.learning.learner import Learner
from sppdet.training.folds import card, decide
from sppdet.training.unseen import (
    FOLDS,
    Fold,
    Unseen,
    evaluate_unseen,
    likely,
    look,
    select_unseen,
)

FEWEST_PHOTOGRAPHS = 6
"""Labelled photographs from which folds say something."""

FEWEST_OBJECTS = 10
"""Objects of a class from which its average precision is told."""

LOOKED_AT = 60
"""Photographs that are looked at, in equal shares of the folds."""


@dataclass(frozen=True)
class Honest:
    """What the folds gave.

    Attributes:
        dataset: the photographs that were looked at.
        result: detections in them with their probabilities, matched.
        thresholds: probabilities, by class name.
    """

    dataset: Dataset
    result: VocResult
    thresholds: dict[str, float]

    def to_json(self) -> dict[str, Any] | None:
        """Mean and classes, of the classes with enough objects; None where none has."""
        told = [one for one in self.result.classes if one.truths >= FEWEST_OBJECTS]
        if not told:
            return None
        return {
            "mean": float(np.mean([one.ap_11 for one in told])),
            "classes": {one.name: {"ap": one.ap_11, "objects": one.truths} for one in told},
        }

    @property
    def enough(self) -> bool:
        """Whether every class that occurs has enough objects."""
        return all(one.truths >= FEWEST_OBJECTS for one in self.result.classes if one.truths)


def _regress(
    learner: Learner, folds: list[NDArray[np.int64]]
) -> Iterator[list[BoxRegression | None]]:
    """The regression of all photographs, then of each fold's others; empty lists on the way."""
    assert learner.examples is not None
    most, columns = learner.settings.regression.max_examples, []
    for label in range(len(learner.classes)):
        examples = RegressionExamples()
        ids = [index for index in learner.regressed if learner.regressed[index].regression]
        total = sum(len(learner.regressed[index].regression[label][0]) for index in ids)
        share = min(most / max(total, 1), 1.0)
        random = np.random.default_rng(label)
        for index in ids:
            features, proposals, truths = learner.regressed[index].regression[label]
            rows = np.flatnonzero(random.random(len(features)) < share)
            if len(rows):
                examples.add(features[torch.from_numpy(rows)], proposals[rows], truths[rows], index)
        ridge = learner.settings.regression.ridge
        columns.append(examples.fit(ridge, learner.examples.scale, 1, folds))
        yield []
    dimension = learner.photos.extractor.dimension
    yield [BoxRegression.of(one, dimension) for one in zip(*columns, strict=True)]


def fold(learner: Learner) -> Iterator[Honest | None]:
    """The steps; the first one searches for more hard negatives; the last one gives the figures,
    and the learner has regression, calibration, thresholds and selection then. No figures are given
    where there are too few photographs."""
    learner.search_others()
    yield None
    labelled = [index for index in learner.labelled if index not in learner.failures]
    if learner.examples is None or learner.scorer is None:
        return
    enough = len(labelled) >= FEWEST_PHOTOGRAPHS
    parts = [np.array(labelled[k::FOLDS], np.int64) for k in range(FOLDS)] if enough else []
    regressions: list[BoxRegression | None] = []
    for step in _regress(learner, parts):
        regressions = step
        yield None
    learner.regression = regressions[0]
    if not enough:
        return
    seen: list[Unseen] = []
    scorers: list[LinearScorer] = []
    records = []
    for number, part in enumerate(parts):
        scorer: LinearScorer | None = None
        others = learner.examples.without(part)
        for label in range(len(learner.classes)):
            scorer = learner.heads.fit(others, [label], scorer)
            yield None
        assert scorer is not None
        scorers.append(scorer)
        tried = Fold(part, scorer, regressions[1 + number])
        share = -(-LOOKED_AT // FOLDS)
        chosen = part[np.linspace(0, len(part) - 1, min(share, len(part))).astype(int)]
        for index in chosen.tolist():
            view = learner.view(index) if index in learner.lessons else None
            if view is None or not learner.lessons[index].annotated:
                continue
            seen.append(look(view, tried, learner.selection))
            records.append(learner.lessons[index].record(view.size))
            yield None
    if not seen:
        return
    decided = decide(seen, learner.heads, learner.scorer, learner.classes, learner.settings)
    dataset = Dataset(records[0].image.parent, "label", None, records, learner.classes)
    assert isinstance(decided.scorer, LinearScorer)
    learner.calibration = decided.scorer.calibration
    learner.thresholds = tuple(one.threshold for one in decided.thresholds)
    learner.selection = decided.selection
    learner.folds = tuple(scorers)
    learner.card = card(dataset, decided, len(labelled), learner.settings, FOLDS, len(seen))
    thresholds = dict(zip(learner.classes, learner.thresholds, strict=True))
    found = likely(select_unseen(seen, decided.scorer, decided.selection), decided.scorer)
    yield Honest(dataset, evaluate_unseen(seen, found, learner.classes), thresholds)
