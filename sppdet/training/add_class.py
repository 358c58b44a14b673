"""New classes for a finished detector, which learns them without forgetting."""

from dataclasses import replace

from sppdet.datasets import Dataset
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.heads.linear import LinearSvms
from sppdet.settings import TrainSettings
from sppdet.training.classes import check_linear, event, join
from sppdet.training.images import Progress
from sppdet.training.train import TrainResult, train


def add_classes(
    detector: Detector,
    dataset: Dataset,
    *,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> TrainResult:
    """Learn the classes of a data set that a detector does not know yet.

    They are trained as in :func:`sppdet.training.train.train`, with the trunk, the features, the
    proposals and the selection of the detector: SVMs with hard negative mining, box regression,
    calibration and threshold on folds. Objects of other classes are background for them, whether
    the data set marks them or not. The weights, calibration, box regression and thresholds of the
    old classes stay the same bit for bit.

    Args:
        detector: with linear heads.
        dataset: images with objects of the new classes.
        seed: of the random choices.
        workers: images at a time.
        progress: told of every image of every pass.

    Returns:
        As of a training; the detector has the old classes, followed by the new ones.

    Raises:
        SppdetError: the data set has no new class with an object, the heads are not linear, or no
            image can be read.
    """
    check_linear(detector)
    new = new_classes(detector, dataset)
    selection = detector.settings.selection
    settings = TrainSettings(
        detector=detector.settings,
        seed=seed,
        workers=workers,
        box_regression=detector.regression is not None,
        one_class=selection.one_class_iou < 1,
        keep_examples=detector.kept is not None,
    )
    result = train(dataset.of_classes(new), detector.extractor, settings, progress, LinearSvms())
    own = {key: result.detector.card[key] for key in ("data", "folds", "settings")}
    happened = event("added", classes=list(new), **own)
    return replace(result, detector=join(detector, result.detector, [happened]))


def new_classes(detector: Detector, dataset: Dataset) -> tuple[str, ...]:
    """The classes of a data set that have an object, and that the detector does not know.

    Raises:
        SppdetError: there is none.
    """
    present = {int(label) for one in dataset.all_annotations() for label in one.labels}
    names = [name for label, name in enumerate(dataset.classes) if label in present]
    new = tuple(name for name in names if name not in detector.classes)
    if not new:
        listed = ", ".join(names) or "no object"
        raise SppdetError(
            f"{dataset.path}: has no new class: it has {listed}, and the detector knows "
            f"{', '.join(detector.classes)}"
        )
    return new
