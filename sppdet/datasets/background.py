"""When an image without annotations is background: the one rule for every reader.

An image is background, an image without objects, when something says so: its annotation file is
empty, or a list of the data set names it. An image that has no annotation file is background only
where at least half of the images of its folder have one. Labelling tools write no file for an image
in which nothing is marked, so the rest of a labelled folder are images without objects. A folder in
which most images have no file is not labelled yet, or its labels are elsewhere: its unmarked
objects would be learned as background.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sppdet.datasets.base import Problem
from sppdet.errors import SppdetError
from sppdet.runtime.words import counted, verb

SHARE = 0.5
"""Share of a folder's images that have annotations, from which the others are background."""

Pair = tuple[Path, Path | None]


def keep_background(
    path: Path,
    pairs: Sequence[Pair],
    always: bool,
    problems: list[Problem],
    notes: list[str],
) -> list[Pair]:
    """The images that are read: those with annotations, and those that are background.

    Args:
        path: the data set, for messages.
        pairs: images with their annotation file, or None.
        always: every image without annotations is background (``--background``).
        problems: folders whose images are left out are added.
        notes: the number of images taken as background is added.

    Raises:
        SppdetError: there are images, and all are left out.
    """
    with_file = Counter(image.parent for image, label in pairs if label is not None)
    without = Counter(image.parent for image, label in pairs if label is None)
    dropped = {
        folder
        for folder, count in without.items()
        if not always and with_file[folder] < SHARE * (with_file[folder] + count)
    }
    for folder in sorted(dropped):
        total = with_file[folder] + without[folder]
        problems.append(
            Problem(
                "unlabelled images",
                folder,
                f"{without[folder]} of {counted(total, 'image')} "
                f"{verb(without[folder], 'has', 'have')} no annotations; "
                f"{verb(without[folder], 'it is', 'they are')} left out "
                "(--background takes them as images without objects)",
            )
        )
    kept = [pair for pair in pairs if pair[1] is not None or pair[0].parent not in dropped]
    if pairs and not kept:
        raise SppdetError(
            f"{path}: none of {counted(len(pairs), 'image')} has annotations; "
            "--background takes them as images without objects"
        )
    count = sum(label is None for _, label in kept)
    if count:
        some = f"{count} of {counted(len(kept), 'image')} {verb(count, 'has', 'have')}"
        notes.append(f"{some} no annotation file: background")
    return kept
