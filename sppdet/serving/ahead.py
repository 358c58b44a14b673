"""Work done ahead, in one thread: proposals, maps and suggestions of the photographs to come."""

import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sppdet.boxes import Boxes
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.heads.path import find, score_regions
from sppdet.runtime.memory import give_back_freed_memory
from sppdet.serving.learning.exchange import Learned
from sppdet.serving.prepared import PreparedPhoto, PreparedPhotos, Recent
from sppdet.serving.uncertainty import COUNTED, fold_probabilities, uncertainty

NEAR = 4
"""Photographs behind the present one that are prepared."""

POOL = 150
"""Photographs without labels, chosen at random, among which the most uncertain ones are found."""

LEAST = 0.05
"""Probability from which a detection counts for the uncertainty of its photograph."""


@dataclass(frozen=True)
class Suggestion:
    """What a detector finds in a photograph.

    Attributes:
        generation: of the detector; 0 without one.
        boxes: for the page: label, box and score, the likeliest first.
        uncertainty: how much the labels of the photograph teach, see
            :func:`sppdet.serving.uncertainty.uncertainty`.
    """

    generation: int
    boxes: list[dict[str, Any]]
    uncertainty: float


@dataclass(frozen=True)
class Choices:
    """The proposals of a photograph, of which a click takes one.

    Attributes:
        generation: of the detector.
        boxes: (N, 4), in the order of the search.
        scores: (N,), for each the probability of its likeliest class.
    """

    generation: int
    boxes: Boxes
    scores: NDArray[np.float32]


class Ahead:
    """Suggestions of all photographs, computed when they are asked for or before.

    Args:
        images: the photographs.
        photos: prepares them.
    """

    def __init__(self, images: Sequence[Path], photos: PreparedPhotos) -> None:
        self._images = images
        self._photos = photos
        self._detector: tuple[int, Learned | None] = (0, None)
        self._found: dict[int, Suggestion] = {}
        self._choices: Recent[Choices] = Recent(8)
        self._failed: set[int] = set()
        self._present = 0
        self._unlabelled: list[int] = list(range(len(images)))
        self._prepared: set[int] = set()
        self._pool = np.random.default_rng(0).permutation(len(images)).tolist()
        self._wake = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="ahead", daemon=True)

    def start(self) -> None:
        """Begin to work ahead."""
        self._thread.start()

    def stop(self) -> None:
        """End the work after the present photograph."""
        with self._wake:
            self._stopped = True
            self._wake.notify_all()

    def look_at(self, index: int, unlabelled: list[int]) -> None:
        """The page shows a photograph; the ones to come are prepared first.

        ``unlabelled`` has those behind it first.
        """
        with self._wake:
            self._pool += range(len(self._pool), len(self._images))  # those that came
            self._present, self._unlabelled = index, unlabelled
            self._wake.notify_all()

    @property
    def generation(self) -> int:
        """The number of the present detector; 0 without one."""
        return self._detector[0]

    @property
    def detector(self) -> Detector | None:
        """The present detector."""
        learned = self._detector[1]
        return None if learned is None else learned.detector

    def use(self, generation: int, learned: Learned) -> None:
        """Take another detector, and its folds."""
        with self._wake:
            self._detector = (generation, learned)
            self._wake.notify_all()

    def suggested(self, index: int) -> bool:
        """Whether something was found in a photograph."""
        found = self._found.get(index)
        return found is not None and bool(found.boxes)

    def uncertainty(self) -> dict[int, float]:
        """The uncertainty of the photographs that were looked at, by id."""
        return {index: one.uncertainty for index, one in list(self._found.items())}

    @torch.inference_mode()
    def suggestion(self, index: int) -> Suggestion:
        """What the present detector finds in a photograph.

        Raises:
            SppdetError, OSError: it cannot be read.
        """
        generation, learned = self._detector
        if learned is None:
            return Suggestion(0, [], 0.0)
        detector = learned.detector
        known = self._found.get(index)
        if known is not None and known.generation == generation:
            return known
        photo = self._photos.get(self._images[index])
        self._prepared.add(index)
        boxes, labels, likely, of_folds = detections(self._photos, learned, photo, LEAST)
        worth = likely >= np.asarray(detector.thresholds, np.float32)[labels]
        places = boxes[worth].astype(np.float64).round(2).tolist()
        shown = [
            {"label": detector.classes[label], "box": box, "score": round(score, 4)}
            for box, label, score in zip(
                places, labels[worth].tolist(), likely[worth].tolist(), strict=True
            )
        ]
        found = Suggestion(generation, shown, uncertainty(likely, of_folds))
        self._found[index] = found
        return found

    @torch.inference_mode()
    def choices(self, index: int) -> Choices | None:
        """The proposals of a photograph as the present detector sees them; None without one.

        Raises:
            SppdetError, OSError: the photograph cannot be read.
        """
        generation, learned = self._detector
        if learned is None:
            return None
        known = self._choices.get(index)
        if known is not None and known.generation == generation:
            return known
        photo = self._photos.get(self._images[index])
        boxes, scores = scored_proposals(self._photos, learned.detector, photo)
        found = Choices(generation, boxes, scores)
        self._choices.put(index, found)
        return found

    def _work(self) -> None:
        with suppress(OSError, AttributeError):
            if sys.platform == "linux":  # of this thread alone
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
        while True:
            with self._wake:
                job = self._job()
                while job is None and not self._stopped:
                    self._wake.wait()
                    job = self._job()
                if self._stopped or job is None:
                    return
            try:
                self._do(job)
            except (SppdetError, OSError, MemoryError):
                self._failed.add(job)
            give_back_freed_memory()

    def _do(self, index: int) -> None:
        if self._detector[1] is not None:
            self.suggestion(index)
        elif index in self._near():
            self._photos.proposals(self._images[index])  # at once, the maps afterwards
            self._photos.get(self._images[index])
            self._prepared.add(index)
        else:
            self._photos.get(self._images[index])
            self._prepared.add(index)

    def _near(self) -> list[int]:
        """The present photograph and those to come, by name and by uncertainty."""
        behind = [index for index in self._unlabelled if index != self._present][:NEAR]
        known = [index for index in self._unlabelled if index in self._found]
        known.sort(key=lambda index: -self._found[index].uncertainty)
        return list(dict.fromkeys([self._present, *behind, *known[:NEAR]]))

    def _job(self) -> int | None:
        """The photograph to work on next; None when all is done."""
        generation = self._detector[0]
        waiting = set(self._unlabelled)
        pool = [index for index in self._pool if index in waiting][:POOL]

        def due(index: int) -> bool:
            if index in self._failed:
                return False
            if generation == 0:
                return index not in self._prepared
            known = self._found.get(index)
            return known is None or known.generation < generation

        near = [index for index in self._near() if index < len(self._images) and due(index)]
        if near:
            return near[0]
        open_ones = [index for index in pool if due(index)]
        if not open_ones:
            return None
        return min(open_ones, key=lambda i: self._found[i].generation if i in self._found else -1)


def detections(
    photos: PreparedPhotos, learned: Learned, photo: PreparedPhoto, least: float
) -> tuple[Boxes, NDArray[np.int64], NDArray[np.float32], NDArray[np.float32] | None]:
    """What a detector finds among the proposals of a prepared photograph.

    Returns:
        Boxes (N, 4), labels (N,) and probabilities (N,) of at least ``least``, the likeliest first;
        and what the folds say of the first ones.
    """
    boxes, detector = photo.proposals, learned.detector
    scorer = detector.scorer
    regions = photo.regions(photos.extractor, boxes)
    limits = np.full(len(detector.classes), least, np.float32)
    selection = detector.settings.selection
    found = find(regions, boxes, photo.size, scorer, detector.regression, selection, limits)
    likely = scorer.probabilities(found.scores, found.labels)
    order = np.argsort(-likely, kind="stable")
    first = order[:COUNTED]
    of_folds = fold_probabilities(
        regions, found.rows[first], found.labels[first], scorer, learned.folds
    )
    return found.boxes[order], found.labels[order], likely[order], of_folds


def scored_proposals(
    photos: PreparedPhotos, detector: Detector, photo: PreparedPhoto
) -> tuple[Boxes, NDArray[np.float32]]:
    """The proposals (N, 4) and the probability (N,) of the likeliest class of each.

    Those of a probability of at least :data:`LEAST` are moved by the box regression of that class.
    """
    boxes = photo.proposals
    if not len(boxes):
        return boxes, np.zeros(0, np.float32)
    regions = photo.regions(photos.extractor, boxes)
    scores = score_regions(regions, detector.scorer)[regions.keys]
    likely = np.stack(
        [
            np.nan_to_num(detector.scorer.probabilities(column, np.full(len(column), label)))
            for label, column in enumerate(scores.T)
        ]
    )
    best, labels = likely.max(axis=0), likely.argmax(axis=0)
    rows = np.flatnonzero(best >= LEAST)
    if detector.regression is not None and len(rows):
        moved = detector.regression.move(regions, boxes, labels[rows], rows, photo.size)
        boxes = boxes.copy()
        boxes[rows] = moved
    return boxes, best
