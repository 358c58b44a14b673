"""Where the label file of a photograph lies, or is to lie."""

import os
from collections import Counter, defaultdict
from pathlib import Path

from sppdet.datasets.files import Tree
from sppdet.datasets.names import IMAGE_FOLDERS, LABEL_FOLDERS
from sppdet.datasets.pairing import pair
from sppdet.errors import SppdetError


class Places:
    """The label files of a tree's photographs, for formats with a file for each.

    Args:
        tree: the folder.
        labels: the label files that are there.
        suffix: of new ones. They lie where those of the photographs of the same folder lie, then
            where a folder of labels stands beside that of the images, then beside the photograph.

    Attributes:
        images: the photographs.
        known: the label file of each photograph that has one.
        suffix: of new label files.
    """

    def __init__(self, tree: Tree, labels: list[Path], suffix: str) -> None:
        found = pair(tree, labels, []).found
        self.images = [image for image, _ in found]
        self.known = {image: label for image, label in found if label is not None}
        self.suffix = suffix
        self._root = tree.root
        folders: defaultdict[Path, Counter[Path]] = defaultdict(Counter)
        for image, label in self.known.items():
            folders[image.parent][label.parent] += 1
        self._folders = {image: count.most_common(1)[0][0] for image, count in folders.items()}
        self._owners: dict[Path, Path] = {}
        for image in self.images:
            self._owners.setdefault(self._place(image), image)

    def of(self, image: Path) -> Path:
        """The label file of a photograph, whether it is there or not.

        Raises:
            SppdetError: it is that of another photograph with the same name.
        """
        place = self._place(image)
        owner = self._owners.get(place, image)
        if owner != image:
            raise SppdetError(
                f"{image.name}: {place.name} belongs to {owner.name}; give one of them another name"
            )
        return place

    def _place(self, image: Path) -> Path:
        if image in self.known:
            return self.known[image]
        if image.parent not in self._folders:
            self._folders[image.parent] = self._new_folder(image.parent)
        return self._folders[image.parent] / f"{image.stem}{self.suffix}"

    def _new_folder(self, folder: Path) -> Path:
        """The folder for the first label of a folder of photographs."""
        inner = folder.relative_to(self._root).parts
        for level in reversed(range(len(inner))):
            if inner[level].casefold() not in IMAGE_FOLDERS:
                continue
            above = self._root.joinpath(*inner[:level])
            beside = sorted(
                entry.name
                for entry in os.scandir(above)
                if entry.name.casefold() in LABEL_FOLDERS and entry.is_dir()
            )
            if beside:
                return above.joinpath(beside[0], *inner[level + 1 :])
        return folder
