"""What all label files share: the objects of a photograph, and which old object a new one is."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from sppdet.boxes import as_boxes, iou
from sppdet.datasets.files import Tree
from sppdet.errors import SppdetError

SAME_PLACE = 0.5
"""IoU from which an object of another class is an old object that was given a new class."""

Size = tuple[int, int]
"""(width, height) in pixels, upright."""


@dataclass(frozen=True)
class Label:
    """One object: the name of its class, and its box in pixels, xyxy, 0-based, half-open."""

    name: str
    box: tuple[float, float, float, float]
    difficult: bool = False


@dataclass(frozen=True)
class PhotoLabels:
    """What the files say about one photograph.

    Attributes:
        objects: in the order of the file.
        annotated: whether the files say anything; without objects it is background then.
        revision: a name of what they say.
        lost: after a change, the shapes that its boxes do not fit any more and that were taken out,
            such as "the mask of pear".
    """

    objects: tuple[Label, ...]
    annotated: bool
    revision: str
    lost: tuple[str, ...] = field(default=(), compare=False)


class ChangedElsewhere(SppdetError):
    """The files say something else about a photograph than the revision on which a change rests."""


class LabelFiles(Protocol):
    """The label files of a folder, in one format.

    Attributes:
        format: "voc", "yolo" or "coco".
        says_difficult: whether the format has a place for difficult objects.
    """

    @property
    def format(self) -> str: ...

    @property
    def says_difficult(self) -> bool: ...

    def classes(self) -> list[str]:
        """The names of the classes, in the order of the files."""
        ...

    def add_class(self, name: str) -> None:
        """Add a class.

        Raises:
            SppdetError: the format cannot hold the name, or the file cannot be written.
        """
        ...

    def objects_of(self, name: str) -> int:
        """The number of objects of a class in all files, as they are now.

        Raises:
            SppdetError: a file cannot be read.
        """
        ...

    def remove_class(self, name: str) -> None:
        """Remove a class without objects.

        Raises:
            SppdetError: the format cannot do without it, or the file cannot be written.
        """
        ...

    def rename_class(self, old: str, new: str) -> None:
        """Give a class a name that no class has.

        Raises:
            SppdetError: the format cannot hold the name, or a file cannot be read or written.
        """
        ...

    def counts(self) -> dict[Path, int]:
        """The number of objects of each photograph that is annotated."""
        ...

    def look_again(self, tree: Tree) -> list[Path]:
        """Photographs came or went; those that can be labelled now.

        Raises:
            SppdetError: a file cannot be read.
        """
        ...

    def read(self, image: Path, size: Size) -> PhotoLabels:
        """What the files say about a photograph now.

        Raises:
            SppdetError: the file cannot be read.
        """
        ...

    def write(
        self,
        image: Path,
        size: Size,
        objects: Sequence[Label],
        background: bool,
        revision: str,
    ) -> PhotoLabels:
        """Replace the objects of a photograph, whole or not at all.

        Args:
            image: the photograph.
            size: its size.
            objects: all of its objects.
            background: without objects: whether it is annotated as background, or not at all.
            revision: the state on which the change rests.

        Returns:
            What the files say then.

        Raises:
            ChangedElsewhere: they say something else than ``revision``.
            SppdetError: the file cannot be read or written.
        """
        ...


def revision_of(content: bytes | None) -> str:
    """A name of a file's content; "none" where there is no file."""
    return "none" if content is None else hashlib.sha256(content).hexdigest()[:16]


def changed(path: Path) -> ChangedElsewhere:
    """The error of a change that rests on another revision."""
    return ChangedElsewhere(f"{path.name}: was changed by another page or program")


def matched(new: Sequence[Label], old: Sequence[Label]) -> list[int | None]:
    """Which old object each new one is, so that its other fields stay; None for one that is new.

    First come equal objects, then those of the same class by their IoU, then those of another class
    with an IoU of at least :data:`SAME_PLACE`. Where one old object and one new object of a class
    are left, it was moved to another place. No old object is taken twice.

    Examples:
        >>> old = [Label("pear", (0, 0, 10, 10)), Label("apple", (20, 0, 30, 10))]
        >>> matched([Label("apple", (20, 0, 31, 10)), Label("apple", (50, 0, 60, 10))], old)
        [1, None]
        >>> matched([Label("apple", (50, 0, 60, 10)), Label("pear", (0, 0, 10, 10))], old)
        [1, 0]
    """
    found: list[int | None] = [None] * len(new)
    free = set(range(len(old)))
    for place, one in enumerate(new):
        equal = [index for index in sorted(free) if old[index] == one]
        if equal:
            found[place] = equal[0]
            free.discard(equal[0])
    overlap = iou(as_boxes([one.box for one in new]), as_boxes([one.box for one in old]))
    for same_class, least in ((True, 1e-6), (False, SAME_PLACE)):
        order = np.argsort(-overlap, axis=None, kind="stable") if overlap.size else ()
        for flat in order:
            place, index = divmod(int(flat), len(old))
            if overlap[place, index] < least:
                break
            if found[place] is not None or index not in free:
                continue
            if same_class and old[index].name != new[place].name:
                continue
            found[place] = index
            free.discard(index)
    for name in {old[index].name for index in free}:
        left = [index for index in free if old[index].name == name]
        new_ones = [k for k, one in enumerate(new) if one.name == name and found[k] is None]
        if len(left) == len(new_ones) == 1:
            found[new_ones[0]] = left[0]
    return found
