"""A detector on every image of a data set."""

from collections.abc import Callable, Sequence
from pathlib import Path

from sppdet.boxes import Boxes
from sppdet.detections import Detections
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.pipeline.stream import Pipeline
from sppdet.proposals.cache import ProposalCache


def detect_all(
    detector: Detector,
    images: Sequence[Path],
    workers: int | None = 1,
    progress: Callable[[], None] | None = None,
    cache: ProposalCache | None = None,
    boxes: Sequence[Boxes] | None = None,
) -> tuple[list[Detections], list[str]]:
    """Detect on image files, without a threshold; proposals come from the disk cache.

    Args:
        detector: what to run.
        images: files.
        workers: images at a time; None as for :class:`sppdet.pipeline.stream.Pipeline`.
        progress: called after each image.
        cache: of the proposals; by default the usual one.
        boxes: proposals of every image, (N, 4) each, in place of a search.

    Returns:
        One entry per image, empty for an image that cannot be read; and a line per such image.
    """
    cache = cache or ProposalCache()
    found: list[Detections] = []
    failures: list[str] = []
    with Pipeline(detector, workers, len(images)) as pipeline:

        def work(index: int) -> Detections | SppdetError:
            try:
                own = boxes[index] if boxes is not None else None
                return pipeline.detect(images[index], boxes=own, cache=cache)
            except SppdetError as error:
                return error

        for result in pipeline.map(work, range(len(images))):
            if isinstance(result, SppdetError):
                failures.append(str(result))
                result = Detections.none(detector.classes)
            found.append(result)
            if progress is not None:
                progress()
    return found, failures
