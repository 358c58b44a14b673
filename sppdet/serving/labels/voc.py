"""VOC XML of a photograph, edited in place."""

import copy
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sppdet.boxes import as_boxes
from sppdet.datasets.base import Annotations
from sppdet.datasets.files import Tree, read_bytes
from sppdet.datasets.voc_xml import DECLARED, around_root, object_of, parsed
from sppdet.datasets.writers.common import Picture, check_names
from sppdet.datasets.writers.voc import ALLOWED, annotation, object_lines, voc_corners
from sppdet.errors import SppdetError
from sppdet.runtime.files import write_text
from sppdet.serving.labels.base import Label, Size
from sppdet.serving.labels.per_image import FilePerImage, inside
from sppdet.serving.labels.places import Places
from sppdet.serving.labels.removed import Change, Place, Removed

OWN = {"filename", "size", "segmented", "folder", "path", "source"}
"""Elements of a file without objects that say nothing about the objects."""

SHAPES = {"robndbox": "turned box", "polygon": "polygon"}
"""Elements of an object that do not hold when its box changes, and what the page calls them."""

CORNERS = ("xmin", "ymin", "xmax", "ymax")


class VocLabels(FilePerImage):
    """See :class:`sppdet.serving.labels.base.LabelFiles`. The classes are those that occur, in
    alphabetical order, then those that were added."""

    format = "voc"
    says_difficult = True

    def __init__(self, places: Places) -> None:
        super().__init__(places)
        self._counts: dict[Path, int] = {}
        names: set[str] = set()
        for image, path in places.known.items():
            try:
                objects = [one for _, one in _entries(_root(path, read_bytes(path)))]
            except SppdetError:  # opening the photograph says so
                continue
            self._counts[image] = len(objects)
            names |= {one.name for one in objects}
        self._classes = sorted(names)

    def classes(self) -> list[str]:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        return list(self._classes)

    def add_class(self, name: str) -> None:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        check_names([name], ALLOWED, "VOC")
        if name not in self._classes:
            self._classes.append(name)

    def objects_of(self, name: str) -> int:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        roots = (_root(path, read_bytes(path)) for path in self.written())
        return sum(one.name == name for root in roots for _, one in _entries(root))

    def remove_class(self, name: str) -> None:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        self._classes = [one for one in self._classes if one != name]

    def rename_class(self, old: str, new: str) -> None:
        """See :class:`sppdet.serving.labels.base.LabelFiles`: file by file, each whole; what an
        interruption leaves has the old name, and can be renamed again."""
        check_names([new], ALLOWED, "VOC")
        for path in self.written():
            content = read_bytes(path)
            root = _root(path, content)
            mine = [(entry, one) for entry, one in _entries(root) if one.name == old]
            for entry, one in mine:
                _change(entry, one, replace(one, name=new))
            if mine:
                write_text(path, _text(path, content, root))
        self._classes = [new if one == old else one for one in self._classes]

    def counts(self) -> dict[Path, int]:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        return dict(self._counts)

    def label_files(self, tree: Tree) -> list[Path]:
        """See :class:`FilePerImage`."""
        return tree.having(".xml")

    def objects_in(self, path: Path, content: bytes, size: Size) -> list[Label]:
        """See :class:`FilePerImage`."""
        found = (inside(one, size) for _, one in _entries(_root(path, content)))
        return [one for one in found if one is not None]

    def merged(
        self,
        path: Path,
        content: bytes | None,
        image: Path,
        size: Size,
        objects: Sequence[Label],
        change: Change,
    ) -> bytes:
        """See :class:`FilePerImage`."""
        if content is None:
            content = annotation(_picture(image, size), ()).encode()
        root = _root(path, content)
        old = [(entry, inside(one, size)) for entry, one in _entries(root)]
        known = [(entry, one) for entry, one in old if one is not None]
        found = change.match(objects, [one for _, one in known])
        gone = [pair for place, pair in enumerate(known) if place not in found]
        change.removed += _removed(root, gone)
        for entry, _ in gone:
            root.remove(entry)
        for place, removed in change.in_order():
            _put_back(root, removed, objects[place])
        for place, (one, index) in enumerate(zip(objects, found, strict=True)):
            if place in change.back:
                continue
            if index is None:
                _append(root, one)
            elif known[index][1] != one:
                _alter(root, *known[index], one, change)
        if len(root):
            root[-1].tail = "\n"
        return _text(path, content, root).encode()

    def bare(self, path: Path, content: bytes) -> bool:
        """See :class:`FilePerImage`."""
        before, after = around_root(path, content)
        alone = not before.removeprefix(DECLARED).strip()
        return alone and not after.strip() and all(one.tag in OWN for one in _root(path, content))


def _root(path: Path, content: bytes) -> ET.Element:
    root = parsed(path, content, keep_comments=True)
    if root.tag != "annotation":
        raise SppdetError(f"{path}: is not a VOC annotation (its root is <{root.tag}>)")
    return root


def _text(path: Path, content: bytes, root: ET.Element) -> str:
    """The file with another root element; what stands around it stays."""
    before, after = around_root(path, content)
    return before + ET.tostring(root, encoding="unicode") + (after or "\n")


def _entries(root: ET.Element) -> list[tuple[ET.Element, Label]]:
    """The elements of objects that can be read, with their objects; the others are left alone."""
    entries = []
    for entry in root.findall("object"):
        try:
            one = object_of(entry)
        except ValueError:
            continue
        if np.isfinite(one.box).all():
            entries.append((entry, Label(one.name, one.box, one.difficult)))
    return entries


def _picture(image: Path, size: Size) -> Picture:
    none = np.zeros(0, bool)
    nothing = Annotations(as_boxes([]), none.astype(np.int64), none, none)
    return Picture(image, image.name, size, nothing, 0)


def _names(root: ET.Element) -> list[int]:
    """A name of each element, by which it is found again: the class and box of an object."""
    names = []
    for one in root:
        corners = one.find("bndbox")
        said = [one.find("name"), corners] if corners is not None else [one]
        texts = [ET.tostring(part, encoding="unicode").strip() for part in said if part is not None]
        names.append(hash(tuple(texts)))
    return names


def _removed(root: ET.Element, gone: list[tuple[ET.Element, Label]]) -> list[Removed]:
    """What is lost with these elements, with the white space around them."""
    names, children = _names(root) if gone else [], list(root)
    removed = []
    for entry, one in gone:
        index = children.index(entry)
        lead = children[index - 1].tail if index else root.text
        removed.append(Removed(one, (entry, lead), Place.at(index, names)))
    return removed


def _put_back(root: ET.Element, removed: Removed, one: Label) -> None:
    entry, lead = copy.deepcopy(removed.content)
    index = removed.place.among(_names(root))
    if index and not (root[index - 1].tail or "").strip():
        root[index - 1].tail = lead
    elif not index and not (root.text or "").strip():
        root.text = lead
    if index < len(root) and not (entry.tail or "").strip():
        entry.tail = lead
    root.insert(index, entry)
    if removed.label.difficult != one.difficult:
        _change(entry, removed.label, Label(one.name, removed.label.box, one.difficult))


def _append(root: ET.Element, one: Label) -> None:
    lines = object_lines(one.name, list(one.box), one.difficult)
    if len(root):
        root[-1].tail = "\n  "
    else:
        root.text = "\n  "
    root.append(ET.fromstring("\n".join(lines).strip()))


def _alter(root: ET.Element, entry: ET.Element, old: Label, new: Label, change: Change) -> None:
    """Bring an element to the new object, and keep what it loses with its box."""
    before, [removed] = copy.deepcopy(entry), _removed(root, [(entry, old)])
    _change(entry, old, new)
    if old.box == new.box:
        return
    for tag, shape in SHAPES.items():
        if before.find(tag) is not None:
            change.loses(shape, old)
    again = copy.deepcopy(entry)
    _change(again, new, old)
    if ET.tostring(again) != ET.tostring(before):
        change.removed.append(replace(removed, content=(before, removed.content[1])))


def _change(entry: ET.Element, old: Label | None, new: Label) -> None:
    """Bring an element to the new object; only what differs is touched."""
    fresh = ET.fromstring("\n".join(object_lines(new.name, list(new.box), new.difficult)).strip())
    assert old is not None
    if old.name != new.name:
        _replace(entry, fresh, "name")
    if old.difficult != new.difficult:
        _replace(entry, fresh, "difficult")
    if old.box != new.box:
        for shape in [one for tag in SHAPES for one in entry.findall(tag)]:
            entry.remove(shape)
        corners = entry.find("bndbox")
        if corners is None:
            _replace(entry, fresh, "bndbox")
            return
        for tag, value in zip(CORNERS, voc_corners(list(new.box)), strict=True):
            element = corners.find(tag)
            assert element is not None  # or the object could not have been read
            element.text = f"{value:.9g}"


def _replace(entry: ET.Element, fresh: ET.Element, tag: str) -> None:
    old, new = entry.find(tag), fresh.find(tag)
    assert new is not None
    if old is None:
        entry.append(new)
        return
    old.text = new.text
    old.attrib.update(new.attrib)
