"""Label files of which each belongs to one photograph."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sppdet.datasets.files import Tree, read_bytes
from sppdet.errors import SppdetError
from sppdet.runtime.files import atomic_path
from sppdet.serving.labels.base import Label, PhotoLabels, Size, changed, revision_of
from sppdet.serving.labels.places import Places
from sppdet.serving.labels.removed import Change, Memory, Shell


class FilePerImage(ABC):
    """Reads and writes the file of one photograph; a format says how its content is understood."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self._lock = threading.Lock()
        self._memory = Memory()

    @abstractmethod
    def label_files(self, tree: Tree) -> list[Path]:
        """The label files of a tree."""

    @abstractmethod
    def objects_in(self, path: Path, content: bytes, size: Size) -> list[Label]:
        """The objects that a file's content describes."""

    @abstractmethod
    def merged(
        self,
        path: Path,
        content: bytes | None,
        image: Path,
        size: Size,
        objects: Sequence[Label],
        change: Change,
    ) -> bytes:
        """The content with these objects in the place of its own; what comes back in the change is
        put in its place, and what is lost is added to it."""

    @abstractmethod
    def bare(self, path: Path, content: bytes) -> bool:
        """Whether content without objects says nothing else that would be lost with the file."""

    def refresh(self) -> None:  # noqa: B027
        """Read what all files share where another program has changed it."""

    def shared(self, content: bytes) -> bytes:
        """What a content rests on that all files share; it is part of the revision."""
        return b""

    def written(self) -> Iterator[Path]:
        """The label files that are there."""
        for image in self.places.images:
            with suppress(SppdetError):  # the file of another photograph
                path = self.places.of(image)
                if path.exists():
                    yield path

    def look_again(self, tree: Tree) -> list[Path]:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        places = Places(tree, self.label_files(tree), self.places.suffix)
        with self._lock:
            self.places = places
        return places.images

    def read(self, image: Path, size: Size) -> PhotoLabels:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        path = self.places.of(image)
        self.refresh()
        return self._said(path, _content(path), size)

    def write(
        self,
        image: Path,
        size: Size,
        objects: Sequence[Label],
        background: bool,
        revision: str,
    ) -> PhotoLabels:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        path = self.places.of(image)
        with self._lock:
            self.refresh()
            content = _content(path)
            if self._revision(content) != revision:
                raise changed(path)
            change = self._memory.change(image)
            base = change.shell.content if content is None and change.shell else content
            new = self.merged(path, base, image, size, objects, change)
            if not objects and not background and (content is None or self.bare(path, new)):
                path.unlink(missing_ok=True)
                change.left = change.shell if content is None else Shell(new)
                self._memory.keep(image, change)
                return self._said(path, None, size)
            if new != content:
                with atomic_path(path) as temporary:
                    temporary.write_bytes(new)
                    if self._revision(_content(path)) != revision:
                        raise changed(path)
            self._memory.keep(image, change)
            return replace(self._said(path, new, size), lost=tuple(change.lost))

    def _said(self, path: Path, content: bytes | None, size: Size) -> PhotoLabels:
        objects = [] if content is None else self.objects_in(path, content, size)
        return PhotoLabels(tuple(objects), content is not None, self._revision(content))

    def _revision(self, content: bytes | None) -> str:
        return revision_of(None if content is None else content + self.shared(content))


def _content(path: Path) -> bytes | None:
    return read_bytes(path) if path.exists() else None


def inside(label: Label, size: Size) -> Label | None:
    """The object cut to its photograph; None where nothing of it is left."""
    x1, y1, x2, y2 = label.box
    width, height = size
    x1, x2 = min(max(x1, 0.0), width), min(max(x2, 0.0), width)
    y1, y2 = min(max(y1, 0.0), height), min(max(y2, 0.0), height)
    if not (x2 - x1 > 0 and y2 - y1 > 0):
        return None
    box = (round(x1, 4), round(y1, 4), round(x2, 4), round(y2, 4))  # fractions are not exact
    return Label(label.name, box, label.difficult)


def check_readable(path: Path, text: bytes) -> str:
    """The text of a file in UTF-8, which is how it is written again.

    Raises:
        SppdetError: it is in another encoding.
    """
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SppdetError(f"{path}: is not UTF-8, so it is not changed; convert it first") from None
