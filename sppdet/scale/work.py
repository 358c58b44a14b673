"""The work on the images of one shard, in one process."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from sppdet.pipeline.stream import Pipeline
from sppdet.scale.parts import Part, ShardFolder
from sppdet.scale.places import Place
from sppdet.scale.rows import Record, detect_one

PART_IMAGES = 1000
"""Images of a part, at most. With 13 photographs per second a part is written every 77 seconds,
which is the work that a kill loses."""


@dataclass
class Totals:
    """What a run has done, and what was done before.

    Attributes:
        images: that are done without error, all in all.
        skipped: images that were done before this run, with and without error.
        new: images of this run.
        failed: why images failed, by image; of earlier runs too.
        detections: how many of each class, all in all.
    """

    images: int = 0
    skipped: int = 0
    new: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    detections: dict[str, int] = field(default_factory=dict)

    def add(self, part: Part, before: bool = False) -> None:
        """Count a part, which this run, or one before it, has written."""
        number = len(part.images)
        self.images += number - len(part.failed)
        self.skipped += number if before else 0
        self.new += 0 if before else number
        self.failed |= part.failed
        for label, count in part.detections.items():
            self.detections[label] = self.detections.get(label, 0) + count


def count_before(done: Mapping[str, Part]) -> Totals:
    """The totals of the parts that are there, see :meth:`ShardFolder.begin`."""
    totals = Totals()
    for part in {part.name: part for part in done.values()}.values():
        totals.add(part, before=True)
    return totals


def parts_of(images: Sequence[str], size: int) -> list[list[str]]:
    """Images in parts of at most ``size``, in order."""
    return [list(images[start : start + size]) for start in range(0, len(images), size)]


def write_parts(
    pipeline: Pipeline,
    folder: ShardFolder,
    source: Place,
    images: Mapping[str, str],
    size: int,
    advance: Callable[[], object] = lambda: None,
) -> Iterator[Part]:
    """Detect on images, and write a part whenever ``size`` of them are done.

    Args:
        pipeline: of the detector.
        folder: where parts go.
        source: the folder of images.
        images: those that are to do: for each its name in ``source``.
        size: images of a part.
        advance: called after each image.

    Yields:
        Each part, when it is written.

    Raises:
        SppdetError: a part cannot be written.
    """

    def work(image: str) -> Record:
        return detect_one(pipeline, folder.setting, image, lambda: source.read(images[image]))

    results = pipeline.map(work, images)
    while True:
        records = []
        for record in islice(results, size):
            records.append(record)
            advance()
        if not records:
            return
        yield folder.write(records)
