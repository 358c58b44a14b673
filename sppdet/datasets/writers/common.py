"""What the writers share: names of images, their links or copies, and what a format cannot say."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sppdet.datasets.base import Annotations, Dataset
from sppdet.datasets.image_names import relative_names
from sppdet.errors import SppdetError
from sppdet.images import image_size
from sppdet.runtime.files import atomic_path

FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\ud800-\udfff\\:*?"<>|]|^\s+|\s+$')
"""What cannot stand in a name of a file on some system, or not in a line of a list; bytes of a name
that are not valid UTF-8 are lone surrogates."""


@dataclass(frozen=True)
class Picture:
    """One image to write.

    Attributes:
        source: the image file.
        name: its path below the folder of its part, with ``/``.
        size: (width, height) in pixels, upright.
        objects: boxes and labels.
        id: its id in COCO JSON.
    """

    source: Path
    name: str
    size: tuple[int, int]
    objects: Annotations
    id: int

    @property
    def stem(self) -> str:
        """The name without suffix."""
        return self.name.rsplit(".", 1)[0]


def pictures(dataset: Dataset, notes: list[str]) -> list[Picture]:
    """The images of a data set with names that are different also without their suffixes.

    An image that cannot be read is left out, with a note; so is a name that changes.
    """
    names = relative_names(dataset.images)
    ids = dataset.image_ids or []
    keep = all(isinstance(key, int) for key in ids) and len(set(ids)) == len(dataset.images)
    taken: set[str] = set()
    found = []
    for index, image in enumerate(dataset.images):
        try:
            size = image_size(image)
        except SppdetError as error:
            notes.append(f"{error}; left out")
            continue
        inner = names[index]
        name = _free("/".join(FORBIDDEN.sub("_", part) for part in inner.split("/")), taken)
        if name != inner:
            notes.append(f"{image}: is written as {name}")
        entry = dataset.annotations(index)
        found.append(Picture(image, name, size, entry, ids[index] if keep else index + 1))
    return found


def _free(name: str, taken: set[str]) -> str:
    """``a.png`` beside ``a.jpg`` becomes ``a-png.png``: formats that know only stems keep both."""
    stem, _, suffix = name.rpartition(".")
    if stem.casefold() in taken:
        stem = f"{stem}-{suffix}"
    first, number = stem, 2
    while stem.casefold() in taken:
        stem, number = f"{first}-{number}", number + 1
    taken.add(stem.casefold())
    return f"{stem}.{suffix}"


def part_name(split: str) -> str:
    """The name of a part as that of a file or folder."""
    return FORBIDDEN.sub("_", split).replace("/", "_").strip(".") or "part"


def place(picture: Picture, target: Path, copy: bool) -> None:
    """Put an image at its new place: a symbolic link, or a copy where asked or where links fail.

    Raises:
        SppdetError: neither can be made.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not copy:
            try:
                target.symlink_to(picture.source.resolve())
                return
            except OSError:  # a file system or a user without links
                pass
        with atomic_path(target) as temporary:
            shutil.copyfile(picture.source, temporary)
    except OSError as error:
        raise SppdetError(f"{target}: cannot be written ({error.strerror or error})") from None


def become(count: int, kind: str) -> str:
    """What happens to objects whose flag a format cannot say."""
    if count == 1:
        return f"1 such object becomes an {kind} one".replace("an d", "a d")
    return f"{count} such objects become {kind} ones"


def check_names(classes: Sequence[str], allowed: re.Pattern[str], format: str) -> None:
    """Refuse class names that a format cannot hold.

    Raises:
        SppdetError: with the name and a format that holds it.
    """
    for name in classes:
        if not name.strip():
            raise SppdetError("a class has a name of spaces only; give it a name")
        if not allowed.fullmatch(name):
            raise SppdetError(
                f"the class {name!r} has a character that {format} cannot hold; write coco instead"
            )


def flag_notes(parts: Sequence[Dataset], format: str, flags: Sequence[str]) -> list[str]:
    """How many difficult objects and crowds become ordinary objects in a format without flags."""
    notes = []
    for flag in flags:
        count = sum(int(getattr(one, flag).sum()) for d in parts for one in d.all_annotations())
        if count:
            notes.append(f"{format} cannot say {flag}: {become(count, 'ordinary')}")
    return notes
