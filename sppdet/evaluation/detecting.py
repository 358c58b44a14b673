"""A detector on every image of a data set."""

from collections.abc import Callable, Sequence
from pathlib import Path

from sppdet.detections import Detections
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.images import read_image
from sppdet.panorama import is_panorama
from sppdet.proposals.cache import ProposalCache
from sppdet.runtime.threads import ordered_map


def detect_all(
    detector: Detector,
    images: Sequence[Path],
    workers: int = 1,
    progress: Callable[[], None] | None = None,
    cache: ProposalCache | None = None,
) -> tuple[list[Detections], list[str]]:
    """Detect on image files, without a threshold; proposals come from the disk cache.

    Args:
        detector: what to run.
        images: files.
        workers: images at a time.
        progress: called after each image.
        cache: of the proposals; by default the usual one.

    Returns:
        One entry per image, empty for an image that cannot be read; and a line per such image.
    """
    cache = cache or ProposalCache()
    settings = detector.settings

    def work(path: Path) -> Detections | SppdetError:
        try:
            image = read_image(path)
            if is_panorama(image):
                return detector.detect(image)
            boxes = cache.get(image, settings.proposals, settings.max_boxes)
            return detector.detect(image, None, boxes)
        except SppdetError as error:
            return error

    found: list[Detections] = []
    failures: list[str] = []
    for result in ordered_map(work, images, workers):
        if isinstance(result, SppdetError):
            failures.append(str(result))
            result = Detections.none(detector.classes)
        found.append(result)
        if progress is not None:
            progress()
    return found, failures
