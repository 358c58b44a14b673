"""The average precision of a detector, or of its detections, on a data set."""

import warnings
from collections.abc import Callable, Sequence

import torch

from sppdet.datasets import Dataset
from sppdet.detections import Detections
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.evaluation.detecting import detect_all
from sppdet.evaluation.voc import VocResult, evaluate_voc
from sppdet.runtime.words import counted, verb


def evaluate(
    detector: Detector | Sequence[Detections],
    dataset: Dataset,
    *,
    iou: float = 0.5,
    workers: int = 1,
    progress: Callable[[], None] | None = None,
) -> VocResult:
    """PASCAL VOC average precision per class and its mean, by 11 points and by area.

    A detection is a true positive when its IoU with an object of its class is at least ``iou`` and
    no detection with a higher score has found that object. Difficult objects and crowds do not
    count. Classes are matched by name.

    Args:
        detector: a detector, which runs on every image of the data set without a threshold; or
            detections that exist already, one :class:`Detections` per image in the data set's
            order.
        dataset: what :func:`sppdet.datasets.read_dataset` returns.
        iou: least IoU of a true positive, in (0, 1].
        workers: images at a time, for a detector. On a CPU, more than one worker share the threads
            of torch among them.
        progress: called after each image, for a detector.

    Returns:
        The figures; ``result.map_11`` and ``result.map_area`` are the means. An image that cannot
        be read counts as an image without detections, and a warning names the first one.

    Raises:
        SppdetError: the data set has no objects, or it has no class that the detector knows.
        TypeError: ``dataset`` is not a data set.
        ValueError: ``iou`` or ``workers`` is out of range, or there is not one entry of detections
            per image.
    """
    if not isinstance(dataset, Dataset):
        raise TypeError(f"dataset is {type(dataset).__name__}: give what read_dataset(path) gives")
    if not 0 < iou <= 1:
        raise ValueError(f"iou is {iou}: give a number above 0, at most 1")
    if workers < 1:
        raise ValueError(f"workers is {workers}: give 1 or more")
    annotations = dataset.all_annotations()
    if not any(len(entry) for entry in annotations):
        raise SppdetError(f"{dataset.path}: has no annotated object to evaluate against")
    if isinstance(detector, Detector):
        if not set(detector.classes) & set(dataset.classes):
            raise SppdetError(
                f"{dataset.path}: has the classes {', '.join(dataset.classes)}, but the detector "
                f"knows {', '.join(detector.classes)}; no class is the same"
            )
        found = _detect(detector, dataset, workers, progress)
    else:
        found = list(detector)
        if len(found) != len(dataset):
            raise ValueError(
                f"there {verb(len(found))} {counted(len(found), 'entry', 'entries')} of detections "
                f"for {counted(len(dataset), 'image')}: give one per image, in the order of "
                "dataset.images"
            )
    return evaluate_voc(found, annotations, dataset.classes, iou)


def _detect(
    detector: Detector,
    dataset: Dataset,
    workers: int,
    progress: Callable[[], None] | None,
) -> list[Detections]:
    """Detections of every image, with the threads of torch shared out among the workers."""
    threads = torch.get_num_threads()
    try:
        if workers > 1:
            torch.set_num_threads(max(threads // workers, 1))
        found, failures = detect_all(detector, dataset.images, workers, progress)
    finally:
        torch.set_num_threads(threads)
    if failures:
        warnings.warn(
            f"{len(failures)} of {counted(len(dataset), 'image')} could not be read: {failures[0]}",
            stacklevel=3,
        )
    return found
