"""A folder to label: its photographs, and its label files of any format."""

from pathlib import Path

from sppdet.datasets.files import Tree
from sppdet.datasets.formats import TABLE
from sppdet.datasets.yolo import label_files
from sppdet.datasets.yolo_names import find_names
from sppdet.errors import SppdetError
from sppdet.serving.labels.base import LabelFiles
from sppdet.serving.labels.coco import CocoLabels
from sppdet.serving.labels.places import Places
from sppdet.serving.labels.voc import VocLabels
from sppdet.serving.labels.yolo import YoloLabels
from sppdet.serving.photos import natural_key


class PhotoFolder:
    """Photographs and label files; no photograph is decoded.

    Attributes:
        root: the folder.
        images: the photographs in natural order of their relative paths, then those that came
            later; a photograph's id is its place.
        names: these paths, with ``/``.
        order: the ids of the photographs that are there, in natural order of their paths.
        left_out: pictures of the folder that are none of them: their labels would be those of
            another photograph of the same name, or they lie among the labels.
        files: the label files. A folder without labels gets VOC XML beside the photographs.
    """

    def __init__(self, path: Path) -> None:
        """Look through the folder.

        Raises:
            SppdetError: it is not a folder, has no photographs, or its labels cannot be edited.
        """
        if path.is_file():
            raise SppdetError(f"{path}: is a file; give the folder with the photographs")
        tree = Tree(path)
        if not tree.images:
            raise SppdetError(f"{path}: has no photographs (.jpg, .png, .webp, .bmp, .tif)")
        self._path = path
        self._seen = tree.images
        self.root = tree.root
        self.files, images = _label_files(tree)
        named = sorted(((tree.shown(image), image) for image in images), key=_by_name)
        self.names = [name for name, _ in named]
        self.images = [image for _, image in named]
        self.order = list(range(len(self.images)))
        shown = set(self.images)
        left_out = [tree.shown(image) for image in tree.images if image not in shown]
        self.left_out = sorted(left_out, key=natural_key)

    def look_again(self) -> tuple[list[int], list[int]]:
        """Look through the folder again: the ids of photographs that came, and of those that went.

        One that comes back has the id that it had.

        Raises:
            SppdetError: the folder, or its labels, cannot be read.
        """
        tree = Tree(self._path)
        if tree.images == self._seen or tree.root != self.root:
            return [], []
        present = dict.fromkeys(self.files.look_again(tree))
        known = {image: index for index, image in enumerate(self.images)}
        for image in present.keys() - known.keys():
            known[image] = len(self.images)
            self.names.append(tree.shown(image))
            self.images.append(image)
        before, now = set(self.order), {known[image] for image in present}
        self.order = sorted(now, key=lambda index: natural_key(self.names[index]))
        self._seen = tree.images
        return sorted(now - before), sorted(before - now)


def _by_name(entry: tuple[str, Path]) -> tuple[tuple[int, int, str], ...]:
    return natural_key(entry[0])


def _label_files(tree: Tree) -> tuple[LabelFiles, list[Path]]:
    """The label files, and the photographs that are no pictures among the labels."""
    for row in TABLE.values():
        parts = row.parts(tree)
        if not parts:
            continue
        if row.name == "coco":
            return CocoLabels(tree, list(dict.fromkeys(parts.values()))), tree.images
        if row.name == "yolo":
            return _yolo(tree)
        if row.name in ("voc", "folder"):
            return _voc(tree)
        raise SppdetError(
            f"{tree.path}: has labels that are not edited in place ({row.what}); "
            "sppdet convert makes VOC, YOLO or COCO of them"
        )
    near = [reason for row in TABLE.values() if (reason := row.nearly(tree))]
    if near:
        raise SppdetError(f"{tree.path}: has labels that cannot be read: {'; '.join(near)}")
    if find_names(tree) is not None:
        return _yolo(tree)
    return _voc(tree)


def _voc(tree: Tree) -> tuple[LabelFiles, list[Path]]:
    places = Places(tree, tree.having(".xml"), ".xml")
    return VocLabels(places), places.images


def _yolo(tree: Tree) -> tuple[LabelFiles, list[Path]]:
    class_file = find_names(tree)
    assert class_file is not None  # or the format would not be YOLO
    places = Places(tree, label_files(tree), ".txt")
    return YoloLabels(places, class_file), places.images
