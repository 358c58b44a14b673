"""One labelling session: the photographs, their labels, and what follows from a change."""

import json
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sppdet.boxes import as_boxes, iou
from sppdet.datasets.base import MOST_OBJECTS
from sppdet.errors import SppdetError
from sppdet.images import image_size
from sppdet.serving.answers import Refused
from sppdet.serving.classes import ClassList
from sppdet.serving.folder import PhotoFolder
from sppdet.serving.labels.base import (
    ChangedElsewhere,
    Label,
    PhotoLabels,
    Size,
    changed,
    revision_of,
)
from sppdet.serving.state import State

CONTRADICTED = 0.5
"""IoU with an object of its class from which a rejected box is no longer a negative."""


@dataclass(frozen=True)
class Photo:
    """A photograph with its labels, and the boxes that were rejected in it."""

    id: int
    path: Path
    size: Size
    labels: PhotoLabels
    rejected: list[tuple[str, tuple[float, ...]]]

    @property
    def revision(self) -> str:
        """A name of the labels and of the rejected boxes."""
        return _with_rejected(self.labels.revision, self.rejected)


class Session:
    """The labels of a folder, as its routes see them.

    Attributes:
        folder: photographs and label files.
        state: what is kept beside the labels.
        counts: the number of objects of each photograph that is annotated, by id.
        on_change: called with the id of a photograph whose labels changed.
    """

    def __init__(self, folder: PhotoFolder) -> None:
        self.folder = folder
        self.state = State(folder.root)
        known = folder.files.counts()
        self.counts = {
            index: known[image] for index, image in enumerate(folder.images) if image in known
        }
        self._classes = ClassList(folder.files, self.state)
        self._sizes: dict[int, Size] = {}
        self._revisions: dict[int, str] = {}
        self._lock = threading.Lock()
        self._putting = threading.Lock()
        self._random = random.Random(0)
        self.on_change: Callable[[int], None] = lambda index: None

    @property
    def classes(self) -> list[str]:
        """The classes; a class keeps its place in a session."""
        return self._classes.names

    def check(self, index: int) -> int:
        """The id of a photograph.

        Raises:
            Refused: there is none of this id, or it went away.
        """
        if not 0 <= index < len(self.folder.images):
            raise Refused(404, f"there is no photograph {index}")
        if not self.folder.images[index].exists():
            raise Refused(404, f"{self.folder.names[index]}: is not in the folder any more")
        return index

    def arrive(self, index: int) -> None:
        """A photograph came into the folder, perhaps with labels."""
        with suppress(SppdetError, OSError):
            self._note(index, self.folder.files.read(self.folder.images[index], self.size(index)))
        self.on_change(index)

    def leave(self, index: int) -> None:
        """A photograph went away."""
        with self._lock:
            for known in (self.counts, self._sizes, self._revisions):
                known.pop(index, None)
        self.on_change(index)

    def size(self, index: int) -> Size:
        """The size of a photograph, upright.

        Raises:
            SppdetError: it cannot be read.
        """
        if index not in self._sizes:
            self._sizes[index] = image_size(self.folder.images[index])
        return self._sizes[index]

    def photo(self, index: int) -> Photo:
        """A photograph as the files describe it now.

        Raises:
            SppdetError: it, or its labels, cannot be read.
        """
        path, size = self.folder.images[index], self.size(index)
        labels = self.folder.files.read(path, size)
        known = self._revisions.get(index, labels.revision)
        self._note(index, labels)
        if known != labels.revision:  # another program has changed it
            self.on_change(index)
        return Photo(index, path, size, labels, self.state.rejected(self.folder.names[index]))

    def to_json(self, photo: Photo) -> dict[str, Any]:
        """A photograph as the page gets it."""
        labels = photo.labels
        return {
            "id": photo.id,
            "name": self.folder.names[photo.id],
            "width": photo.size[0],
            "height": photo.size[1],
            "revision": photo.revision,
            "background": labels.annotated and not labels.objects,
            "objects": [
                {"label": one.name, "box": list(one.box), "difficult": one.difficult}
                for one in labels.objects
            ],
            "rejected": [{"label": label, "box": list(box)} for label, box in photo.rejected],
        }

    def put(self, index: int, content: dict[str, Any]) -> dict[str, Any]:
        """Replace the labels of a photograph by those of the page; what the page is told.

        Raises:
            Refused: 409 where the files, or the rejected boxes that it replaces, changed since the
                page's revision; 400 where the content makes no sense.
        """
        size = self.size(index)
        objects = [self._label(one, size) for one in _list(content, "objects")]
        rejected = None  # those that are known stay
        if "rejected" in content:
            rejected = [self._label(one, size) for one in _list(content, "rejected")]
        background = content.get("background", False)
        revision = content.get("revision")
        if not isinstance(background, bool) or not isinstance(revision, str):
            raise Refused(400, "give revision, a text, and background, true or false")
        files = self.folder.files
        if not files.says_difficult and any(one.difficult for one in objects):
            raise Refused(400, f"{files.format} labels have no place for difficult objects")
        image = self.folder.images[index]
        of_labels, _, _ = revision.partition(".")
        try:
            with self._putting:  # or another page's rejected boxes, or classes, come between
                for one in (*objects, *(rejected or ())):
                    self._classes.check(one.name)
                if rejected is not None and revision != self._revision(index, of_labels):
                    raise changed(image)
                labels = files.write(image, size, objects, background and not objects, of_labels)
                self._reject(index, rejected, labels.objects)
                revision = self._revision(index, labels.revision)
        except ChangedElsewhere as error:
            current = self.to_json(self.photo(index))
            raise Refused(409, str(error), current=current) from None
        self._note(index, labels)
        self.on_change(index)
        background = labels.annotated and not labels.objects
        return {"revision": revision, "background": background, "lost": list(labels.lost)}

    def add_class(self, name: Any) -> list[str]:
        """See :meth:`ClassList.add`."""
        return self._classes.add(name)

    def remove_class(self, name: Any) -> list[str]:
        """See :meth:`ClassList.remove`."""
        with self._putting:
            return self._classes.remove(name)

    def rename_class(self, name: Any, new: Any) -> list[str]:
        """See :meth:`ClassList.rename`."""
        with self._putting:
            names = self._classes.rename(name, new)
        for index in list(self.counts):
            self.on_change(index)
        return names

    def unlabelled(self, after: int = -1) -> list[int]:
        """The ids of the photographs that are not annotated, by name: first those behind one."""
        order = self.folder.order
        place = order.index(after) + 1 if after in order else 0
        return [one for one in (*order[place:], *order[:place]) if one not in self.counts]

    def next(self, after: int, order: str, uncertainty: dict[int, float]) -> int | None:
        """The next photograph to label.

        Args:
            after: the present one, which is not offered while there is another.
            order: "name": the next one of the strip, then from its start; "random"; or
                "uncertain": the greatest uncertainty, and by name where nothing is known.
            uncertainty: by id, of photographs that were looked at.
        """
        open_ones = [index for index in self.unlabelled(after) if index != after]
        if not open_ones:
            return None
        if order == "random":
            return self._random.choice(sorted(open_ones))
        known = [index for index in open_ones if index in uncertainty]
        if order == "uncertain" and known:
            return max(known, key=lambda index: (uncertainty[index], -index))
        return open_ones[0]

    def _note(self, index: int, labels: PhotoLabels) -> None:
        with self._lock:
            self._revisions[index] = labels.revision
            if labels.annotated:
                self.counts[index] = len(labels.objects)
            else:
                self.counts.pop(index, None)
        self._classes.note(one.name for one in labels.objects)  # of another program, perhaps

    def _revision(self, index: int, of_labels: str) -> str:
        """The revision of a photograph whose labels have this one."""
        return _with_rejected(of_labels, self.state.rejected(self.folder.names[index]))

    def _reject(self, index: int, new: list[Label] | None, objects: tuple[Label, ...]) -> None:
        name = self.folder.names[index]
        boxes = dict.fromkeys(self.state.rejected(name))
        if new is not None:
            boxes = dict.fromkeys((one.name, one.box) for one in new)
        kept = []
        for label, box in boxes:
            same = as_boxes([one.box for one in objects if one.name == label])
            if not (iou(as_boxes([box]), same) >= CONTRADICTED).any():
                kept.append((label, box))
        self.state.reject(name, kept)

    def _label(self, entry: Any, size: Size) -> Label:
        """An object of a request, cut to its photograph."""
        if not isinstance(entry, dict) or entry.get("label") not in self._classes.names:
            raise Refused(400, "an object has no class that is known; add the class first")
        difficult = entry.get("difficult", False)
        try:
            corners = entry["box"]
            box = np.array([float(value) for value in corners if isinstance(corners, list)])
        except (KeyError, TypeError, ValueError, OverflowError):
            box = np.zeros(0)
        if box.shape != (4,) or not np.isfinite(box).all() or not isinstance(difficult, bool):
            raise Refused(400, "an object needs a box of four numbers, x1, y1, x2, y2")
        width, height = size
        box = np.clip(box, 0, [width, height, width, height])
        if not (box[2] - box[0] > 1 and box[3] - box[1] > 1):
            raise Refused(400, "a box is at most 1 pixel wide or high inside the photograph")
        x1, y1, x2, y2 = box.tolist()
        return Label(entry["label"], (x1, y1, x2, y2), difficult)


def _with_rejected(of_labels: str, rejected: list[tuple[str, tuple[float, ...]]]) -> str:
    if not rejected:
        return of_labels
    return f"{of_labels}.{revision_of(json.dumps(rejected).encode())}"


def _list(content: dict[str, Any], name: str, default: list[Any] | None = None) -> list[Any]:
    value = content.get(name, default)
    if not isinstance(value, list) or len(value) > MOST_OBJECTS:
        raise Refused(400, f"give {name}, a list of at most {MOST_OBJECTS}")
    return value
