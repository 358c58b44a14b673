"""The recall of the annotated objects against the number of proposals."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import iou

NUMBERS = (100, 500, 1000, 2000)


@dataclass(frozen=True)
class Recall:
    """Overlap of every object with its best proposal, at several numbers of proposals.

    numbers: (K,) the numbers of proposals.
    overlaps: (K, N) float32, for N objects: row k has the greatest IoU with one of the first
        numbers[k] proposals of the object's image; 0 without proposals.
    labels: (N,) int64, the objects' classes.
    """

    numbers: tuple[int, ...]
    overlaps: NDArray[np.float32]
    labels: NDArray[np.int64]

    def at(self, numbers: Sequence[int]) -> "Recall":
        """The same for some of the numbers of proposals."""
        rows = [self.numbers.index(number) for number in numbers]
        return Recall(tuple(numbers), self.overlaps[rows], self.labels)

    def recall(self, threshold: float = 0.5) -> NDArray[np.float64]:
        """(K,) share of the objects with an overlap of at least ``threshold``; NaN without any."""
        return _mean(self.overlaps >= threshold)

    def average_recall(self) -> NDArray[np.float64]:
        """(K,) twice the area under the recall from IoU 0.5 to 1, in 0 to 1 (Hosang et al., 2016,
        section 5.4): the mean of 2 max(overlap - 0.5, 0); NaN without objects."""
        return _mean(2 * np.maximum(self.overlaps - 0.5, 0))

    def mean_best_overlap(self) -> NDArray[np.float64]:
        """(K,) mean over all objects; NaN without any."""
        return _mean(self.overlaps)

    def average_best_overlap(self) -> dict[int, NDArray[np.float64]]:
        """(K,) mean over the objects of each class (Uijlings et al., section 5)."""
        return {
            int(label): _mean(self.overlaps[:, self.labels == label])
            for label in np.unique(self.labels)
        }

    def mean_average_best_overlap(self) -> NDArray[np.float64]:
        """(K,) mean of the classes' average best overlaps (MABO in the paper); NaN without any."""
        per_class = list(self.average_best_overlap().values())
        return np.mean(per_class, axis=0) if per_class else np.full(len(self.numbers), np.nan)


def measure_recall(
    images: Iterable[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]],
    numbers: Sequence[int] = NUMBERS,
) -> Recall:
    """Compare proposals with annotations.

    Args:
        images: for each image its proposals (P, 4), best first, its objects' boxes (M, 4) and their
            labels (M,), both in the same pixels. Leave out crowds, and difficult objects if the
            protocol does.
        numbers: numbers of proposals at which to measure.
    """
    overlaps, labels = [np.zeros((len(numbers), 0), np.float32)], [np.zeros(0, np.int64)]
    for proposals, truths, classes in images:
        best = np.zeros((len(numbers), len(truths)), np.float32)
        pairwise = iou(truths, proposals)
        for row, number in enumerate(numbers):
            best[row] = pairwise[:, :number].max(axis=1, initial=0)
        overlaps.append(best)
        labels.append(np.asarray(classes, np.int64))
    return Recall(tuple(numbers), np.concatenate(overlaps, axis=1), np.concatenate(labels))


def _mean(values: NDArray[np.generic]) -> NDArray[np.float64]:
    if values.shape[1] == 0:
        return np.full(len(values), np.nan)
    return values.mean(axis=1, dtype=np.float64)
