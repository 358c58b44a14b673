"""Mean AP of both methods with equal training."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from sppdet.benchmark.contenders import Contender
from sppdet.datasets import Dataset
from sppdet.evaluation.detecting import detect_all
from sppdet.evaluation.intervals import Comparison, Interval, bootstrap, compare
from sppdet.evaluation.voc import VocResult, evaluate_voc
from sppdet.settings import DetectorSettings, TrainSettings
from sppdet.training.images import Progress
from sppdet.training.train import train


@dataclass(frozen=True)
class Accuracy:
    """Attributes:
    method, scales: of the contender.
    boxes: proposals per image, in training and in testing.
    map_11, map_area: VOC mean AP at IoU 0.5.
    interval_11: 95 % bootstrap interval of ``map_11``.
    training_seconds: of the whole training, in this run.
    against_rcnn: the difference in ``map_11``; None for R-CNN.
    """

    method: str
    scales: tuple[int, ...]
    boxes: int
    map_11: float
    map_area: float
    interval_11: Interval
    training_seconds: float
    against_rcnn: Comparison | None

    def to_json(self) -> dict[str, Any]:
        """The attributes."""
        return asdict(self)


def measure_accuracy(
    training: Dataset,
    test: Dataset,
    contenders: list[Contender],
    boxes: int,
    workers: int,
    seed: int = 0,
    progress: Callable[[str], Progress] | None = None,
) -> list[Accuracy]:
    """Train and test every contender on the same images, not mirrored, and the same proposals.

    Args:
        training, test: two splits.
        contenders: the others are compared with the first.
        boxes: proposals per image.
        workers: images at a time.
        progress: makes, from the title of a contender, the function that receives its progress.
    """
    results: list[Accuracy] = []
    first: VocResult | None = None
    for contender in contenders:
        told = progress(contender.title) if progress is not None else None
        settings = TrainSettings(
            detector=DetectorSettings(max_boxes=boxes), seed=seed, workers=workers, mirror=False
        )
        start = time.perf_counter()
        trained = train(training, contender.extractor, settings, told)
        seconds = time.perf_counter() - start
        trained.images.clear()
        done = 0

        def step() -> None:
            nonlocal done
            done += 1
            if told is not None:  # noqa: B023
                told("testing", done, len(test.images))  # noqa: B023

        found, _ = detect_all(trained.detector, test.images, workers, step)
        figures = evaluate_voc(found, test.all_annotations(), test.classes)
        count = len(test.images)
        results.append(
            Accuracy(
                method=contender.method,
                scales=contender.scales,
                boxes=boxes,
                map_11=figures.map_11 or 0.0,
                map_area=figures.map_area or 0.0,
                interval_11=bootstrap(figures, count)["map_11"],
                training_seconds=seconds,
                against_rcnn=compare(first, figures, count)["map_11"] if first else None,
            )
        )
        first = first or figures
    return results
