"""What a photograph teaches: its examples, chosen once, from its prepared maps."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.boxes import Boxes, as_boxes
from sppdet.datasets.base import Annotations, RawObject, Record
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.examples import Chosen
from sppdet.heads.linear import LinearScorer
from sppdet.serving.prepared import PreparedPhoto
from sppdet.settings import MiningSettings, RegressionSettings
from sppdet.training.first_examples import Quotas, first_examples, take
from sppdet.training.images import PreparedImage, View
from sppdet.training.roles import assign_roles, region_roles, training_boxes

POSITIVES = (2, 24)
"""Positives of a class that a photograph gives, the fewest and the most."""

NEGATIVES = (4, 40)
"""Random negatives of a class that a photograph gives, the fewest and the most."""

REGRESSED = (1, 12)
"""Examples of box regression of a class that a photograph gives, the fewest and the most."""


@dataclass(frozen=True)
class Lesson:
    """The labels of one photograph.

    Attributes:
        path: its file.
        objects: class, box and whether it is difficult.
        annotated: whether it is labelled; what is not an object is background then.
        rejected: boxes that are not of their class.
    """

    path: Path
    objects: list[tuple[str, tuple[float, ...], bool]]
    annotated: bool
    rejected: list[tuple[str, tuple[float, ...]]]

    @staticmethod
    def from_json(content: dict[str, Any]) -> "Lesson":
        """What :meth:`to_json` gave."""
        return Lesson(
            Path(content["path"]),
            [(name, tuple(box), difficult) for name, box, difficult in content["objects"]],
            content["annotated"],
            [(name, tuple(box)) for name, box in content["rejected"]],
        )

    def to_json(self) -> dict[str, Any]:
        """For the other process."""
        return {
            "path": str(self.path),
            "objects": self.objects,
            "annotated": self.annotated,
            "rejected": self.rejected,
        }

    def of(self, classes: Collection[str]) -> bool:
        """Whether all of its objects are of these classes."""
        return all(name in classes for name, _, _ in self.objects)

    def annotations(self, classes: Sequence[str]) -> Annotations:
        """The objects as training wants them."""
        labels = np.array([classes.index(name) for name, _, _ in self.objects], np.int64)
        difficult = np.array([flag for _, _, flag in self.objects], bool)
        boxes = as_boxes([box for _, box, _ in self.objects])
        return Annotations(boxes, labels, difficult, np.zeros(len(boxes), bool))

    def record(self, size: tuple[int, int]) -> Record:
        """The photograph as a data set has it."""
        objects = [
            RawObject(name, (box[0], box[1], box[2], box[3]), difficult)
            for name, box, difficult in self.objects
        ]
        return Record(self.path, self.path, size, objects)


@dataclass(frozen=True)
class Taught:
    """The examples of one photograph, an entry for each class.

    Attributes:
        norms: L2 norms of the features of some proposals.
        positives, negatives: of the SVMs.
        rejected: the rejected boxes, negatives too.
        regression: features (M, D) float16, proposals (M, 4) and their ground truth (M, 4).
    """

    norms: NDArray[np.float32]
    positives: list[Chosen]
    negatives: list[Chosen]
    rejected: list[Chosen]
    regression: list[tuple[Tensor, Boxes, Boxes]]


def training_view(
    index: int,
    lesson: Lesson,
    photo: PreparedPhoto,
    extractor: SppRegionFeatures,
    classes: Sequence[str],
    mining: MiningSettings,
) -> PreparedImage:
    """A photograph with the roles of its boxes."""
    annotations = lesson.annotations(classes)
    boxes = training_boxes(annotations, photo.proposals)
    roles = assign_roles(annotations, boxes, len(classes), mining.negative_iou)
    regions = photo.regions(extractor, boxes)
    return PreparedImage(View(index), index, photo.size, boxes, regions, roles, annotations)


def teach(
    view: PreparedImage,
    lesson: Lesson,
    photo: PreparedPhoto,
    extractor: SppRegionFeatures,
    classes: Sequence[str],
    mining: MiningSettings,
    regression: RegressionSettings,
    photographs: int,
) -> Taught:
    """The examples of a photograph.

    Args:
        view: of :func:`training_view`.
        lesson, photo: the labels and the maps.
        extractor, classes, mining, regression: as the detector has them.
        photographs: how many are labelled; the more, the fewer examples each gives.
    """
    count = len(classes)
    quotas = Quotas(
        positives=_share(mining.max_positives, photographs, POSITIVES),
        negatives=_share(mining.initial_negatives, photographs, NEGATIVES),
        regressed=_share(regression.max_examples, photographs, REGRESSED),
        images=1,
        images_with=np.ones(count, np.int64),
        positive_iou=mining.positive_iou,
        regression_iou=regression.minimum_iou,
        seed=0,
    )
    first = first_examples(view, quotas)
    rejected = rejections(view.number, lesson, photo, extractor, classes)
    norms = first.norms.numpy()
    if lesson.annotated:
        return Taught(norms, first.positives, first.negatives, rejected, first.regression)
    none = [_none(one) for one in first.positives]
    return Taught(norms, none, [*none], rejected, [])


def rejections(
    number: int,
    lesson: Lesson,
    photo: PreparedPhoto,
    extractor: SppRegionFeatures,
    classes: Sequence[str],
) -> list[Chosen]:
    """The rejected boxes of a photograph as negatives of their classes."""
    boxes = as_boxes([box for _, box in lesson.rejected])
    regions = photo.regions(extractor, boxes)
    roles = np.zeros((regions.count, len(classes)), np.int8)
    result = []
    for name in classes:
        mine = [row for row, (label, _) in enumerate(lesson.rejected) if label == name]
        keys = np.unique(regions.keys[np.array(mine, np.int64)])
        features = regions.features(keys).half()
        # Numbers behind those of the proposals' regions, of which there are far fewer.
        numbers = (number << 32) + (1 << 31) + keys
        result.append(Chosen(features, roles[keys], numbers, number))
    return result


def hardest(
    view: PreparedImage,
    scores: NDArray[np.float32],
    label: int,
    known: NDArray[np.int64],
    least: float,
    most: int,
    mining: MiningSettings,
) -> Chosen:
    """The negatives of a class that score above ``least`` and are no examples yet, the hardest."""
    roles = region_roles(view.roles, view.regions.keys, view.regions.count, mining.positive_iou)
    hard = np.flatnonzero((roles[:, label] == -1) & (scores[:, label] > least))
    hard = hard[~np.isin((view.number << 32) + hard, known)]
    best = np.argsort(-scores[hard, label], kind="stable")[:most]
    return take(view, np.sort(hard[best]), roles)


def _share(all_of_them: int, photographs: int, limits: tuple[int, int]) -> int:
    return min(max(all_of_them // max(photographs, 1), limits[0]), limits[1])


def _none(one: Chosen) -> Chosen:
    return Chosen(one.features[:0], one.roles[:0], one.regions[:0], one.image)


def hard_ones(chosen: Chosen, scores: NDArray[np.float32], least: float) -> Chosen:
    """Those of some regions whose scores exceed ``least``."""
    rows = np.flatnonzero(scores > least)
    features = chosen.features[torch.from_numpy(rows)]
    return Chosen(features, chosen.roles[rows], chosen.regions[rows], chosen.image)


def hard_again(
    rejected: Iterable[Chosen],
    known: NDArray[np.int64],
    scorer: LinearScorer,
    label: int,
    least: float,
) -> Iterator[Chosen]:
    """Rejected boxes that were dropped as easy negatives of a class and are hard again.

    Args:
        rejected: those of each photograph.
        known: the regions of the class's examples.
        scorer: the SVMs.
        label: of the class.
        least: score from which a negative is hard.
    """
    for one in rejected:
        if len(one) and not np.isin(one.regions, known).all():
            scores = scorer.score(one.features.float())[:, label].numpy()
            scores = np.where(np.isin(one.regions, known), -np.inf, scores)
            yield hard_ones(one, scores, least)
