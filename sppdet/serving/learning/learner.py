"""The incremental training: what a change touches is computed, the rest is kept.

The features of the examples stay in memory in half precision, with their Gram matrices. A changed
photograph loses its examples and gets new ones; the SVMs of the classes concerned are fitted again;
the changed photographs and a few others are searched for hard negatives. Box regression, folds and
calibration take longer and follow in steps between the changes
(:mod:`sppdet.serving.learning.folding`).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.heads.examples import Chosen, Examples
from sppdet.heads.linear import LinearScorer, LinearSvms
from sppdet.heads.path import score_regions
from sppdet.heads.regression import BoxRegression
from sppdet.heads.thresholds import UNKNOWN
from sppdet.serving.learning.lessons import (
    Lesson,
    Taught,
    hard_again,
    hardest,
    teach,
    training_view,
)
from sppdet.serving.prepared import PreparedPhotos
from sppdet.settings import MiningSettings, RegressionSettings, SelectionSettings, TrainSettings
from sppdet.training.images import PreparedImage
from sppdet.training.mining import fit_and_evict

FEWEST = 5
"""Objects from which a detector is trained."""

MINED = 6
"""Photographs besides the changed ones that are searched for hard negatives each time. With up to
twice this number of labelled photographs, this is done at once; with more, by
:meth:`Learner.search_others`."""

HARD = 15
"""Hard negatives of a class that a photograph gives each time."""

TOGETHER = 100
"""Changed photographs whose examples are taken at one time."""

EARLY = 4
"""With fewer labelled photographs the one in work gives negatives too: there are no others."""

MINING = MiningSettings(max_positives=1500, max_negatives=1200, initial_negatives=1000)


class Learner:
    """Learns from the photographs of a folder.

    Args:
        photos: prepares photographs.
        classes: the names of the classes; others need another learner.

    Attributes:
        lessons: the labels, by id of the photograph.
        examples: of the SVMs; None before the first photograph.
        regressed: the examples of box regression of each photograph.
        scorer: the SVMs; None before the first fit.
        settings: of the training.
        decided: calibration, thresholds and selection of the last folds.
        regression, folds: the last box regression, and the SVMs of the last folds.
        failures: photographs that cannot be read, a line each.
    """

    def __init__(self, photos: PreparedPhotos, classes: Sequence[str]) -> None:
        self.photos = photos
        self.classes = tuple(classes)
        self.lessons: dict[int, Lesson] = {}
        self.heads = LinearSvms()
        self.settings = TrainSettings(
            mining=MINING,
            regression=RegressionSettings(max_examples=800),
            detector=photos.settings,
            workers=1,
            mirror=False,
        )
        self.examples: Examples | None = None
        self.regressed: dict[int, Taught] = {}
        self.scorer: LinearScorer | None = None
        self.regression: BoxRegression | None = None
        self.selection: SelectionSettings = photos.settings.selection
        self.calibration: NDArray[np.float32] | None = None
        self.thresholds: tuple[float, ...] = (UNKNOWN,) * len(self.classes)
        self.folds: tuple[LinearScorer, ...] = ()
        self.card: dict[str, object] = {}
        self.failures: dict[int, str] = {}
        self._mined: dict[int, int] = {}
        self._rejected: dict[int, list[Chosen]] = {}
        self._time = 0
        self._stale: set[int] = set()

    @property
    def labelled(self) -> list[int]:
        """The photographs that are labelled, in the order in which they came."""
        return [index for index, one in self.lessons.items() if one.annotated]

    def objects(self) -> NDArray[np.int64]:
        """(K,): the objects of each class to learn from."""
        counts = np.zeros(len(self.classes), np.int64)
        for lesson in self.lessons.values():
            for name, _, difficult in lesson.objects:
                counts[self.classes.index(name)] += not difficult
        return counts

    @property
    def ready(self) -> bool:
        """Whether there is enough to learn from."""
        return bool(self.objects().sum() >= FEWEST)

    def change(self, lessons: dict[int, Lesson]) -> None:
        """Note the labels of photographs that changed; they are learned by :meth:`learn`."""
        for index, lesson in lessons.items():
            self._stale.add(index)
            if lesson.annotated or lesson.rejected:
                self.lessons[index] = lesson
            else:
                self.lessons.pop(index, None)

    def learn(self, in_work: int | None = None) -> bool:
        """Learn what changed.

        Args:
            in_work: the photograph that is being labelled. What is not yet marked in it is no
                background, so that it gives positives only, once there are some others.

        Returns:
            Whether there is a detector.
        """
        if not self.ready:
            return False
        changed, self._stale = sorted(self._stale), set()
        partial = in_work if len(self.labelled) >= EARLY else None
        concerned: set[int] = set()
        for start in range(0, len(changed), TOGETHER):
            if start:  # a folder with many labels: its easy negatives go before more come
                self.scorer = self._fit(concerned)
            concerned |= self._take(changed[start : start + TOGETHER], partial)
        assert self.examples is not None
        if partial is not None:
            self._stale.add(partial)  # its background is learned when it is done
        learnable = {k for k in range(len(self.classes)) if self.examples[k].learnable}
        if not learnable:
            return False
        known = self._fitted()
        self.scorer = self._fit((concerned | (learnable - known)) & learnable)
        rounds = 2 if len(self.labelled) <= MINED else 1
        for _ in range(rounds):
            own = [index for index in changed if index != partial]
            hard = self._mine(own, MINED if len(self.labelled) <= 2 * MINED else 0)
            self.scorer = self._fit(hard & learnable)
        return True

    def search_others(self) -> None:
        """Search photographs that did not change: the suggestions do not wait for it."""
        if self.scorer is not None and len(self.labelled) > 2 * MINED:
            self.scorer = self._fit(self._mine([], MINED) & self._fitted())

    def detector(self) -> Detector:
        """The detector as it is now.

        Raises:
            SppdetError: nothing was learned yet.
        """
        if self.scorer is None:
            raise SppdetError("there is no detector yet; label some objects first")
        scorer = self.scorer
        if self.calibration is not None:
            scorer = replace(scorer, calibration=self.calibration)
        return Detector(
            self.photos.extractor,
            scorer,
            self.classes,
            replace(self.photos.settings, selection=self.selection),
            self.regression,
            self.thresholds,
            self.card,
        )

    def view(self, index: int) -> PreparedImage | None:
        """A photograph with its roles; None where it cannot be read."""
        lesson = self.lessons[index]
        try:
            photo = self.photos.get(lesson.path)
        except (SppdetError, OSError) as error:
            self.failures[index] = str(error)
            return None
        self.failures.pop(index, None)
        return training_view(
            index, lesson, photo, self.photos.extractor, self.classes, self.settings.mining
        )

    def _take(self, changed: Sequence[int], partial: int | None) -> set[int]:
        """Exchange the examples of the changed photographs; the classes concerned."""
        count, concerned = len(self.classes), set()
        new: dict[int, Taught] = {}
        for index in changed:
            taught = self._taught(index)
            if taught is not None:
                new[index] = taught
        if self.examples is None:
            norms = [one.norms for one in new.values()]
            mean = float(np.concatenate(norms).mean()) if norms else 1.0
            scale = self.settings.mining.target_norm / max(mean, 1e-12)
            self.examples = Examples(self.photos.extractor.dimension, count, scale)
        for index in changed:
            self.regressed.pop(index, None)
            self._rejected.pop(index, None)
            self._mined.pop(index, None)
        self._rejected |= {k: one.rejected for k, one in new.items()}
        self.regressed |= {k: one for k, one in new.items() if self.lessons[k].annotated}
        for label in range(count):
            own = self.examples[label]
            keep = ~np.isin(own.images, np.array(changed, np.int64))
            pairs = [(1, one.positives[label]) for one in new.values()]
            pairs += [(-1, one.negatives[label]) for k, one in new.items() if k != partial]
            pairs += [(-1, one.rejected[label]) for one in new.values()]
            if not keep.all() or any(len(one) for _, one in pairs):
                concerned.add(label)
            own.keep(keep)
            own.add(pairs, self.examples.scale)
        for one in new.values():  # their features are in the examples now
            one.positives.clear()
            one.negatives.clear()
        return concerned

    def _taught(self, index: int) -> Taught | None:
        lesson = self.lessons.get(index)
        view = self.view(index) if lesson is not None else None
        if lesson is None or view is None:
            return None
        return teach(
            view,
            lesson,
            self.photos.get(lesson.path),
            self.photos.extractor,
            self.classes,
            self.settings.mining,
            self.settings.regression,
            len(self.labelled),
        )

    def _fitted(self) -> set[int]:
        if self.scorer is None:
            return set()
        return set(np.flatnonzero(np.isfinite(self.scorer.bias.numpy())).tolist())

    def _fit(self, labels: Collection[int]) -> LinearScorer:
        assert self.examples is not None
        if not labels and self.scorer is not None:
            return self.scorer
        scorer = fit_and_evict(
            self.heads, self.examples, sorted(labels), self.scorer, self.settings.mining
        )
        assert isinstance(scorer, LinearScorer)
        for label in range(len(self.classes)):  # all of its objects may be gone again
            if not self.examples[label].learnable:
                scorer.bias[label] = np.nan
        return scorer

    def _mine(self, changed: Iterable[int], most: int) -> set[int]:
        """Search the changed and at most ``most`` others for hard negatives; whose got some."""
        assert self.examples is not None
        assert self.scorer is not None
        own = [index for index in changed if index in self.lessons]
        own = [index for index in own if self.lessons[index].annotated][-4 * MINED :]
        others = [index for index in self.labelled if index not in own and index not in self._stale]
        others.sort(key=lambda index: self._mined.get(index, -1))
        self._time += 1
        least = self.heads.hard_score
        found: list[list[tuple[int, Chosen]]] = [[] for _ in self.classes]
        for index in [*own, *others[:most]]:
            view = self.view(index)
            self._mined[index] = self._time
            if view is None:
                continue
            scores = score_regions(view.regions, self.scorer)
            for label in range(len(self.classes)):
                known = self.examples[label].regions
                one = hardest(view, scores, label, known, least, HARD, self.settings.mining)
                found[label].append((-1, one))
        hard = set()
        for label, ones in enumerate(found):
            own_rejected = [chosen[label] for chosen in self._rejected.values()]
            again = hard_again(
                own_rejected, self.examples[label].regions, self.scorer, label, least
            )
            ones += [(-1, one) for one in again]
            if any(len(one) for _, one in ones):
                self.examples[label].add(ones, self.examples.scale)
                hard.add(label)
        return hard
