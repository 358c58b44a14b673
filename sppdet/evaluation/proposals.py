"""How many objects the proposals of a data set reach."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sppdet.datasets.base import Dataset
from sppdet.errors import SppdetError
from sppdet.images import read_image
from sppdet.proposals import Settings, settings_of
from sppdet.proposals.cache import ProposalCache
from sppdet.proposals.recall import NUMBERS, measure_recall
from sppdet.runtime.threads import ordered_map

IOUS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
"""Least IoUs of the recall's curve."""

FINE = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""Numbers of proposals of the recall's curve."""

Entry = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]


def evaluate_proposals(
    dataset: Dataset,
    method: str | Settings = "fast",
    iou: float = 0.5,
    max_boxes: int = 2000,
    workers: int = 1,
    progress: Callable[[], None] | None = None,
    cache: ProposalCache | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Recall, mean best overlap and average best overlap per class against the number of proposals.

    Difficult objects and crowds are left out. Proposals come from the disk cache.

    Args:
        dataset: images and objects.
        method: of :func:`sppdet.proposals.propose`.
        iou: for the recall; that at 0.7 is always given as well.
        max_boxes: proposals per image.
        workers: images at a time.
        progress: called after each image.
        cache: of the proposals; by default the usual one.

    Returns:
        ``{"method", "numbers": (K,), "recall": {IOU: (K,)}, "mean_best_overlap": (K,),
        "mean_average_best_overlap": (K,), "average_best_overlap": {CLASS: (K,)}, "curves"}``, and
        a line for each image that cannot be read (its objects are left out). The curves are those
        of :func:`sppdet.evaluation.recall_figure.draw_recall`: ``recall_against_iou`` at ``ious``,
        with all proposals; ``recall_at_0.5`` and ``average_recall`` at ``numbers``.

    Raises:
        SppdetError: unknown method, or no object to reach.
    """
    cache, settings = cache or ProposalCache(), settings_of(method)
    failures: list[str] = []

    def search(index: int) -> Entry | SppdetError:
        entry = dataset.annotations(index)
        counted = ~(entry.difficult | entry.crowd)
        try:
            image = read_image(dataset.images[index])
        except SppdetError as error:
            return error
        found = cache.get(image, settings, max_boxes)
        return found, entry.boxes[counted], entry.labels[counted]

    def entries() -> Iterator[Entry]:
        for result in ordered_map(search, range(len(dataset.images)), workers):
            if progress is not None:
                progress()
            if isinstance(result, SppdetError):
                failures.append(str(result))
            else:
                yield result

    numbers = [*(number for number in NUMBERS if number < max_boxes), max_boxes]
    fine = sorted({number for number in FINE if number < max_boxes} | set(numbers))
    every = measure_recall(entries(), fine)
    measured = every.at(numbers)
    if not measured.labels.size:
        raise SppdetError(f"{dataset.path}: no image that can be read has an object to propose")
    return {
        "method": method if isinstance(method, str) else repr(method),
        "numbers": list(measured.numbers),
        "recall": {f"{t:g}": measured.recall(t).tolist() for t in sorted({iou, 0.7})},
        "mean_best_overlap": measured.mean_best_overlap().tolist(),
        "mean_average_best_overlap": measured.mean_average_best_overlap().tolist(),
        "average_best_overlap": {
            dataset.classes[label]: values.tolist()
            for label, values in measured.average_best_overlap().items()
        },
        "curves": {
            "ious": list(IOUS),
            "recall_against_iou": [float(measured.recall(t)[-1]) for t in IOUS],
            "numbers": fine,
            "recall_at_0.5": every.recall(0.5).tolist(),
            "average_recall": every.average_recall().tolist(),
        },
    }, failures
