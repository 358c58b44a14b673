"""What the folds of a training say about the labels of images that they have not learned from."""

from dataclasses import replace
from functools import partial

import numpy as np

from sppdet.boxes import iou
from sppdet.detections import Detections
from sppdet.evaluation.suspects import Evidence
from sppdet.features.streaming import stream
from sppdet.heads.base import Scorer
from sppdet.heads.path import find_candidates
from sppdet.heads.selection import Scored, select
from sppdet.settings import SelectionSettings
from sppdet.training.images import PreparedImage, View
from sppdet.training.train import TrainResult
from sppdet.training.unseen import Fold

LEAST = 0.02
"""Detections with less probability are no evidence, and would take memory."""

LABELLED = 0.5
"""IoU with a label from which a box is no missing one."""


def look_at_labels(result: TrainResult) -> list[Evidence]:
    """Detect on every image with what the others teach, and score the labelled boxes likewise.

    Args:
        result: of a training whose folds cover all images, as those of SVMs do; its images are not
            cleared yet.

    Returns:
        One entry per image that can be read, in the order of the data set. Probabilities are those
        of the detector's calibration. An object may be found as several classes.
    """
    detector = result.detector
    total, done = sum(len(fold.images) for fold in result.folds), 0
    evidence = []
    for fold in result.folds:
        views = [View(index) for index in fold.images.tolist()]
        work = partial(
            look,
            fold=fold,
            scorer=detector.scorer,
            classes=detector.classes,
            settings=detector.settings.selection,
        )
        found = result.images.each("suspects", views, work, done, total)
        evidence += [one for _, one in found if one is not None]
        done += len(views)
    return sorted(evidence, key=lambda one: one.image)


def look(
    image: PreparedImage,
    fold: Fold,
    scorer: Scorer,
    classes: tuple[str, ...],
    settings: SelectionSettings,
) -> Evidence:
    """What a fold finds in one image, and how it scores the labelled boxes.

    Args:
        image: prepared; its first boxes are the labelled ones.
        fold: what the other images teach.
        scorer: gives the probabilities; its scores are on the scale of the fold's.
        classes: names, in the order of the scores.
        settings: of the selection; suppression across classes is left out.
    """
    labelled = np.arange(len(image.annotations))
    plain = replace(settings, one_class_iou=1.0)
    candidates = find_candidates(
        image.regions,
        image.boxes,
        image.size,
        fold.scorer,
        fold.regression,
        plain,
        rows=np.arange(len(labelled), len(image.boxes)),
    )
    on_labels = iou(candidates.boxes, image.annotations.boxes).max(axis=1, initial=0)
    free = candidates.take(np.flatnonzero(on_labels < LABELLED))

    def detected(boxes: Scored) -> Detections:
        chosen = select(boxes, scorer, plain)
        likely = scorer.probabilities(chosen.scores, chosen.labels)
        keep = np.flatnonzero(likely >= LEAST)
        return Detections(chosen.boxes[keep], chosen.labels[keep], likely[keep], classes)

    keys = image.regions.keys[labelled]
    scores = stream(image.regions, keys, fold.scorer.score, len(classes))
    every = np.tile(np.arange(len(classes)), len(labelled))
    own = np.nan_to_num(scorer.probabilities(scores.reshape(-1), every).reshape(scores.shape))
    return Evidence(image.view.index, image.annotations, detected(candidates), detected(free), own)
