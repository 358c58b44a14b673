"""What the formats share that have an annotation file for each image."""

from collections.abc import Callable, Sequence
from pathlib import Path

from sppdet.datasets.background import Pair, keep_background
from sppdet.datasets.base import Dataset, Problem, RawObject, Record
from sppdet.datasets.files import Tree
from sppdet.errors import SppdetError
from sppdet.images import image_size

Size = tuple[int, int]
"""(width, height) in pixels."""

Read = Callable[[Path, Size | None], tuple[Size | None, list[RawObject]]]
"""Reads an annotation file, given the size in the image's header: the size that the file states, or
None, and its objects. It raises SppdetError where the file cannot be read."""


def read_pairs(
    tree: Tree,
    format: str,
    pairs: Sequence[Pair],
    split: str | None,
    classes: Sequence[str] | None,
    read: Read,
    problems: list[Problem],
    background: bool,
    needs_size: bool = False,
) -> Dataset:
    """Read images with their annotation files.

    Args:
        tree: the data set.
        format: its name.
        pairs: each image with its annotation file, or None.
        split: the name of the part.
        classes: the classes; None takes all that occur, sorted.
        read: the reader of one annotation file.
        problems: to which everything that is wrong is added.
        background: every image without annotation file is background.
        needs_size: the boxes are fractions; an image that cannot be read is left out.

    Raises:
        SppdetError: no image is left.
    """
    notes = list(dict.fromkeys(tree.notes))
    kept = keep_background(tree.path, pairs, background, problems, notes)
    records = []
    for image, label in kept:
        size = header_size(image, problems)
        if needs_size and size is None:
            if not image.is_file():
                problems.append(Problem("missing image", image, "does not exist, left out"))
            continue
        if label is None:
            records.append(Record(image, image, size, []))
            continue
        try:
            told, objects = read(label, size)
        except SppdetError as error:
            message = str(error).removeprefix(f"{label}: ")
            problems.append(
                Problem("unreadable annotation", label, f"{message}; its image is left out")
            )
            continue
        if size is not None and told is not None and told != size:
            problems.append(wrong_size(label, told, size))
        records.append(Record(image, label, size or told, objects))
    return Dataset(tree.path, format, split, records, classes, problems, notes=notes)


def header_size(image: Path, problems: list[Problem]) -> Size | None:
    """The size of an image from its header; None where it is missing, or unreadable: a problem."""
    if not image.is_file():
        return None
    try:
        return image_size(image)
    except SppdetError as error:
        message = str(error).removeprefix(f"{image}: ")
        problems.append(Problem("unreadable image", image, message))
        return None


def wrong_size(file: Path, told: Size, size: Size, image: str = "the image") -> Problem:
    """An annotation that states another size than the image's header."""
    text = f"says {told[0]} x {told[1]}, but {image} is {size[0]} x {size[1]}"
    return Problem("wrong size", file, text)


def stated_size(width: object, height: object) -> Size | None:
    """A size as a file states it; None where it is absent, 0, or no number."""
    try:
        size = (int(float(width)), int(float(height)))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return size if min(size) > 0 else None


def lonely_problems(tree: Tree, lonely: Sequence[Path]) -> list[Problem]:
    """Annotation files without an image, a problem each."""
    return [
        Problem("missing image", file, "has no image of this name, left out") for file in lonely
    ]
