"""What a labelling session keeps beside the labels: a few small files that can be deleted.

They lie in the folder of caches, by the folder that is labelled: the classes that no label has yet,
and the boxes that were rejected.
"""

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

from sppdet.errors import SppdetError
from sppdet.runtime.cache import cache_dir
from sppdet.runtime.files import write_text

MOST_REJECTED = 50
"""Rejected boxes that are kept of a photograph, the last ones."""


def state_folder(root: Path) -> Path:
    """Where the state of a folder is kept."""
    name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    return cache_dir() / "labelling" / name


class State:
    """The state of one folder.

    Attributes:
        folder: where the files are; the detector of the training lies there too.
    """

    def __init__(self, root: Path) -> None:
        self.folder = state_folder(root)
        self._lock = threading.Lock()
        read = _read(self.folder / "state.json")
        self._classes = [str(one) for one in read.get("classes", [])]
        self._rejected: dict[str, list[Any]] = dict(read.get("rejected", {}))
        self.problem: str | None = None

    @property
    def classes(self) -> list[str]:
        """Classes that were added, in the order of their addition."""
        return list(self._classes)

    def add_class(self, name: str) -> None:
        """Remember a class."""
        with self._lock:
            if name not in self._classes:
                self._classes.append(name)
                self._write()

    def change_class(self, old: str, new: str | None) -> None:
        """Rename a class, or forget it and its rejected boxes."""
        with self._lock:
            names = [new if one == old else one for one in self._classes]
            self._classes = [one for one in names if one is not None]
            for photo, pairs in list(self._rejected.items()):
                named = [[new if label == old else label, box] for label, box in pairs]
                self._rejected[photo] = [pair for pair in named if pair[0] is not None]
                if not self._rejected[photo]:
                    del self._rejected[photo]
            self._write()

    def rejected(self, name: str) -> list[tuple[str, tuple[float, ...]]]:
        """The rejected boxes of a photograph: class and box."""
        return [(label, tuple(box)) for label, box in self._rejected.get(name, ())]

    def reject(self, name: str, boxes: list[tuple[str, tuple[float, ...]]]) -> None:
        """Remember the rejected boxes of a photograph in the place of those that are known."""
        with self._lock:
            if boxes == self.rejected(name):
                return
            self._rejected[name] = [[label, list(box)] for label, box in boxes[-MOST_REJECTED:]]
            if not boxes:
                del self._rejected[name]
            self._write()

    def _write(self) -> None:
        content = {"classes": self._classes, "rejected": self._rejected}
        try:
            write_text(self.folder / "state.json", json.dumps(content))
        except SppdetError as error:  # nothing of it is needed
            self.problem = str(error)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
        classes, rejected = content.get("classes", []), content.get("rejected", {})
        pairs = [pair for pairs in rejected.values() for pair in pairs]
        if isinstance(classes, list) and all(
            isinstance(label, str) and len(box) == 4 and all(float(one) >= 0 for one in box)
            for label, box in pairs
        ):
            return dict(content)
    except (OSError, ValueError, AttributeError, TypeError):
        pass
    return {}
