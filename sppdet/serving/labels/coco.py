"""COCO JSON, edited in place: one file for many photographs."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sppdet.datasets.files import Tree
from sppdet.errors import SppdetError
from sppdet.serving.labels.base import Label, PhotoLabels, Size, changed
from sppdet.serving.labels.coco_file import CocoFile
from sppdet.serving.labels.removed import Memory


class CocoLabels:
    """See :class:`sppdet.serving.labels.base.LabelFiles`. A photograph that no file lists is added
    to the file that lists its neighbours."""

    format = "coco"
    says_difficult = True

    def __init__(self, tree: Tree, files: Sequence[Path]) -> None:
        self._lock = threading.Lock()
        self._memory = Memory()
        self._files = [CocoFile(tree, file, self._memory) for file in files]
        self._root = tree.root

    def classes(self) -> list[str]:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        names: dict[str, None] = {}
        for file in self._files:
            names.update(dict.fromkeys(file.categories))
        return list(names)

    def add_class(self, name: str) -> None:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        with self._lock:
            for file in self._files:
                file.refresh()
                if name not in file.categories:
                    file.add_category(name)
                    file.save()

    def objects_of(self, name: str) -> int:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        with self._lock:
            return sum(file.objects_of(name) for file in self._files)

    def remove_class(self, name: str) -> None:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        with self._lock:
            for file in self._files:
                file.change_category(name, None)

    def rename_class(self, old: str, new: str) -> None:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        with self._lock:
            for file in self._files:
                file.change_category(old, new)

    def counts(self) -> dict[Path, int]:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        found: dict[Path, int] = {}
        for file in self._files:
            for image, key in file.listed.items():
                found[image] = len(file.of_image.get(key, ()))
        return found

    def look_again(self, tree: Tree) -> list[Path]:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        with self._lock:
            for file in self._files:
                file.look_again(tree)
        return tree.images

    def read(self, image: Path, size: Size) -> PhotoLabels:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        with self._lock:
            file = self._file_of(image)
            file.refresh()
            return file.said(image, size)

    def write(
        self,
        image: Path,
        size: Size,
        objects: Sequence[Label],
        background: bool,
        revision: str,
    ) -> PhotoLabels:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        with self._lock:
            file = self._file_of(image)
            file.refresh()
            if file.said(image, size).revision != revision:
                raise changed(file.path)
            change = self._memory.change(image)
            file.replace(image, size, objects, background, change)
            file.save()
            self._memory.keep(image, change)
            return replace(file.said(image, size), lost=tuple(change.lost))

    def _file_of(self, image: Path) -> CocoFile:
        """The file that lists a photograph, or to which it is to be added."""
        for file in self._files:
            if image in file.listed:
                return file
        near = [file for file in self._files if image.parent in file.folders]
        if len(near) == 1 or len(self._files) == 1:
            return near[0] if near else self._files[0]
        raise SppdetError(
            f"{image.name}: no annotation file of {self._root} lists it; "
            "add it to the images of one of them"
        )
