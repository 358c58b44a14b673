"""A detector of a file on every image of a data set, for the commands that evaluate."""

from pathlib import Path

from sppdet.cli.common import choose_device, images_at_a_time
from sppdet.cli.progress import console, progress_bar
from sppdet.datasets import Dataset
from sppdet.detections import Detections
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.evaluation.detecting import detect_all
from sppdet.proposals.cache import ProposalCache


def run_model(
    path: Path, dataset: Dataset, device: str | None, workers: int | None
) -> tuple[list[Detections], list[str], dict[str, float]]:
    """The detections of every image, the failures, and the thresholds by class.

    Args:
        path: of the detector.
        dataset: whose images it runs on.
        device: as given on the command line.
        workers: images at a time, as given.

    Raises:
        SppdetError: the file is no detector, or shares no class with the data.
    """
    where = choose_device(device)
    cache = ProposalCache()
    detector = Detector.load(path, where)
    _check_classes(path, detector.classes, dataset)
    count = images_at_a_time(where, workers) if where.type == "cpu" else workers
    with progress_bar() as bar:
        task = bar.add_task("detecting", total=len(dataset.images))
        found, failures = detect_all(
            detector, dataset.images, count, lambda: bar.advance(task), cache
        )
    for line in cache.disk.summary("proposals"):
        bar.console.print(line, markup=False, soft_wrap=True)
    return found, failures, dict(zip(detector.classes, detector.thresholds, strict=True))


def _check_classes(model: Path, known: tuple[str, ...], dataset: Dataset) -> None:
    """Say which classes only the model or only the data has.

    Raises:
        SppdetError: they share none.
    """
    if not set(known) & set(dataset.classes):
        raise SppdetError(
            f"{model}: finds {_some(known)}, but the data have {_some(dataset.classes)}; "
            "no class is the same"
        )
    only_data = [name for name in dataset.classes if name not in known]
    only_model = [name for name in known if name not in dataset.classes]
    if only_data:
        console.print(
            f"note: the model does not know {_some(only_data)}: AP 0", markup=False, soft_wrap=True
        )
    if only_model:
        console.print(
            f"note: the data have no {_some(only_model)}: left out", markup=False, soft_wrap=True
        )


def _some(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
