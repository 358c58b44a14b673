"""One file of COCO JSON, edited in place."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sppdet.boxes import to_xywh
from sppdet.datasets.coco_json import Id, as_id, is_box
from sppdet.datasets.files import Tree, read_bytes
from sppdet.datasets.listed import images_near, split_of
from sppdet.datasets.locate import Locator
from sppdet.errors import SppdetError
from sppdet.runtime.files import atomic_path
from sppdet.serving.labels.base import Label, PhotoLabels, Size, changed, revision_of
from sppdet.serving.labels.per_image import inside
from sppdet.serving.labels.removed import Change, Memory, Place, Removed, Shell

SHAPES = {"segmentation": "mask", "keypoints": "key points", "num_keypoints": ""}
"""Fields of an annotation that do not hold when its box changes, and what the page calls them."""


class CocoFile:
    """One annotation file, kept in memory and read again when another program has written it.

    Attributes:
        categories: the id of each class.
        listed: the id of each photograph that is listed and exists.
        of_image: the annotations of each photograph's id.
        folders: those of the photographs.
    """

    def __init__(self, tree: Tree, path: Path, memory: Memory) -> None:
        self.path = path
        self._memory = memory
        self._tree = tree
        self._digest = ""
        self.refresh()

    def refresh(self) -> None:
        """Read the file where it is not what was read or written last."""
        content = read_bytes(self.path)
        digest = revision_of(content)
        if digest == self._digest:
            return
        try:
            self._content: dict[str, Any] = json.loads(content.removeprefix(b"\xef\xbb\xbf"))
            lists = [self._content[name] for name in ("images", "annotations", "categories")]
            if not all(isinstance(one, list) for one in lists):
                raise TypeError("images, annotations and categories are not lists")
            self._index()
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise SppdetError(f"{self.path}: is not readable COCO JSON ({error})") from None
        indented = re.match(rb"\s*[\[{]\r?\n([ \t]*)", content)
        self._indent = len(indented[1]) or None if indented else None
        self._digest = digest

    def look_again(self, tree: Tree) -> None:
        """Find the photographs again, of which some came or went."""
        self._tree, self._digest = tree, ""
        self.refresh()

    def _index(self) -> None:
        content = self._content
        self.categories: dict[str, Id] = {}
        self._names: dict[Id, str] = {}
        for entry in content["categories"]:
            key, name = as_id(entry["id"]), str(entry["name"])
            self.categories.setdefault(name, key)
            self._names[key] = name
        self._images = {as_id(entry["id"]): entry for entry in content["images"]}
        by_name = {str(entry["file_name"]): key for key, entry in self._images.items()}
        near = images_near(self._tree, self.path, split_of(self._tree, self.path))
        found = Locator(near).find_all(by_name, self.path.parent)
        self.listed = {image: by_name[name] for name, image in found.items() if image is not None}
        self.folders = {image.parent for image in self.listed}
        self._base = _base_of(found) or self.path.parent
        self.of_image: dict[Id, list[dict[str, Any]]] = {}
        for entry in content["annotations"]:
            if isinstance(entry, dict) and "image_id" in entry:
                self.of_image.setdefault(as_id(entry["image_id"]), []).append(entry)

    def said(self, image: Path, size: Size) -> PhotoLabels:
        """What the file says about a photograph."""
        key = self.listed.get(image)
        if key is None:
            return PhotoLabels((), False, "none")
        own = self.of_image.get(key, [])
        objects = tuple(one for _, one in self._entries(own, size))
        text = json.dumps([self._images[key], own], sort_keys=True, default=str)
        return PhotoLabels(objects, True, revision_of(text.encode()))

    def _entries(
        self, annotations: Sequence[dict[str, Any]], size: Size
    ) -> list[tuple[dict[str, Any], Label]]:
        entries = []
        for entry in annotations:
            try:
                name = self._names[as_id(entry["category_id"])]
            except (KeyError, ValueError):
                continue
            if not is_box(entry.get("bbox")):
                continue
            x, y, width, height = (float(value) for value in entry["bbox"])
            difficult = bool(entry.get("difficult", 0)) or bool(entry.get("iscrowd", 0))
            one = inside(Label(name, (x, y, x + width, y + height), difficult), size)
            if one is not None:
                entries.append((entry, one))
        return entries

    def add_category(self, name: str) -> None:
        """Add a class."""
        key = _next(self._names)
        self._content["categories"].append({"id": key, "name": name})
        self.categories[name] = key
        self._names[key] = name

    def objects_of(self, name: str) -> int:
        """The number of annotations of a class, also of photographs that are not there."""
        self.refresh()
        own = {key for key, known in self._names.items() if known == name}
        entries = [one for one in self._content["annotations"] if isinstance(one, dict)]
        return sum(as_id(one["category_id"]) in own for one in entries if "category_id" in one)

    def change_category(self, name: str, new: str | None) -> None:
        """Rename a class, or take it out."""
        self.refresh()
        if name not in self.categories:
            return
        entries = self._content["categories"]
        if new is None:
            entries[:] = [one for one in entries if str(one["name"]) != name]
        for entry in entries:
            if str(entry["name"]) == name:
                entry["name"] = new
        self._index()
        self.save()

    def replace(
        self,
        image: Path,
        size: Size,
        objects: Sequence[Label],
        background: bool,
        change: Change,
    ) -> None:
        """Put these objects in the place of a photograph's own; what comes back in the change gets
        its entry and its place again, and what is lost is added to it."""
        key = self.listed.get(image)
        if key is None and not objects and not background:
            change.left = change.shell
            return
        for one in objects:  # a class that only another file of the folder names
            if one.name not in self.categories:
                self.add_category(one.name)
        if key is None:
            key = self._list(image, size, change.shell)
        own = self.of_image.get(key, [])
        known = self._entries(own, size)
        found = change.match(objects, [one for _, one in known])
        lost = [pair for place, pair in enumerate(known) if place not in found]
        gone = {id(entry) for entry, _ in lost}
        everything = self._content["annotations"]
        change.removed += _removed(everything, lost)
        reserved = _ids([one.content for one in self._memory.removed()])
        next_id = _next(_ids(everything) + reserved)
        kept = [entry for entry in everything if id(entry) not in gone]
        mine = [entry for entry in own if id(entry) not in gone]
        names = _names(kept) if change.back else []
        for place, removed in change.in_order():
            mine.append(self._returned(removed, objects[place], key))
            if mine[-1].get("id") in names:  # another program has given it away
                mine[-1]["id"], next_id = next_id, next_id + 1
            there = removed.place.among(names)
            kept.insert(there, mine[-1])
            names.insert(there, mine[-1].get("id"))
        new: list[dict[str, Any]] = []
        for place, (one, index) in enumerate(zip(objects, found, strict=True)):
            if place in change.back:
                continue
            if index is None:
                new.append({"id": next_id + len(new), "image_id": self._images[key]["id"]})
                self._change(new[-1], None, one)
            elif known[index][1] != one:
                self._alter(*known[index], one, change)
        self._content["annotations"] = [*kept, *new]
        owned = {id(entry) for entry in mine}
        self.of_image[key] = [entry for entry in kept if id(entry) in owned] + new
        bare = self._images[key].keys() <= {"id", "file_name", "width", "height"}
        if not self.of_image[key] and not background and bare:
            entry, entries = self._images.pop(key), self._content["images"]
            place = next(index for index, one in enumerate(entries) if one is entry)
            change.left = Shell(entry, Place.at(place, _names(entries)))
            del entries[place]
            del self.listed[image], self.of_image[key]

    def _returned(self, removed: Removed, one: Label, key: Id) -> dict[str, Any]:
        """The entry of an object that was removed."""
        entry = {**removed.content, "image_id": self._images[key]["id"]}
        if self._names.get(as_id(entry["category_id"])) != one.name:
            entry["category_id"] = self.categories[one.name]
        known = removed.label
        self._change(entry, known, Label(known.name, known.box, one.difficult))
        return entry

    def _alter(self, entry: dict[str, Any], old: Label, new: Label, change: Change) -> None:
        """Bring an entry to the new object, and keep what it loses with its box."""
        before = dict(entry)
        [removed] = _removed(self._content["annotations"], [(entry, old)])
        self._change(entry, old, new)
        if old.box == new.box:
            return
        for field, shape in SHAPES.items():
            if shape and before.get(field):
                change.loses(shape, old)
        again = dict(entry)
        self._change(again, new, old)
        if list(again.items()) != list(before.items()):
            change.removed.append(replace(removed, content=before))

    def _change(self, entry: dict[str, Any], old: Label | None, new: Label) -> None:
        if old is None or old.name != new.name:
            entry["category_id"] = self.categories[new.name]
        if old is None or old.box != new.box:
            x, y, width, height = to_xywh(new.box)
            entry["bbox"] = [x, y, width, height]
            entry["area"] = width * height
            for name in SHAPES:
                entry.pop(name, None)
        if old is None:
            entry["iscrowd"] = 0
        if (old is not None and old.difficult) != new.difficult:
            entry["difficult"] = int(new.difficult)
            if not new.difficult:
                entry["iscrowd"] = 0

    def _list(self, image: Path, size: Size, shell: Shell | None) -> Id:
        """Add a photograph; one that was taken out gets its entry and its place again."""
        entries = self._content["images"]
        if shell is not None and shell.place is not None:
            key = as_id(shell.content["id"])
            if key not in self._images:
                self._images[key] = dict(shell.content)
                entries.insert(shell.place.among(_names(entries)), self._images[key])
                self.listed[image] = key
                return key
        reserved = [as_id(one.content["id"]) for one in self._memory.shells()]
        key = _next([*self._images, *reserved])
        base = self._base if self._base in image.parents else self.path.parent
        known = image.relative_to(base) if base in image.parents else Path(image.name)
        entry = {"id": key, "file_name": known.as_posix(), "width": size[0], "height": size[1]}
        entries.append(entry)
        self._images[key] = entry
        self.listed[image] = key
        return key

    def save(self) -> None:
        """Write the file, unless another program has written it since it was read."""
        text = json.dumps(self._content, indent=self._indent, ensure_ascii=False) + "\n"
        content = text.encode("utf-8", "surrogatepass")
        before, self._digest = self._digest, ""  # read again if anything fails
        with atomic_path(self.path) as temporary:
            temporary.write_bytes(content)
            if revision_of(read_bytes(self.path)) != before:
                raise changed(self.path)
        self._digest = revision_of(content)


def _base_of(found: dict[str, Path | None]) -> Path | None:
    """The folder to which the file's names of photographs are relative."""
    for name, image in found.items():
        parts = Path(name).parts
        if image is not None and image.parts[-len(parts) :] == parts:
            return image.parents[len(parts) - 1]
    return None


def _names(entries: Sequence[Any]) -> list[Any]:
    """A name of each entry, by which it is found again."""
    ids = (entry.get("id") if isinstance(entry, dict) else None for entry in entries)
    return [one if isinstance(one, int | str) else ("at", place) for place, one in enumerate(ids)]


def _removed(everything: Sequence[Any], lost: list[tuple[dict[str, Any], Label]]) -> list[Removed]:
    """What is lost with these entries."""
    names = _names(everything) if lost else []
    index_of = {id(entry): index for index, entry in enumerate(everything)} if lost else {}
    return [Removed(one, entry, Place.at(index_of[id(entry)], names)) for entry, one in lost]


def _ids(entries: Sequence[Any]) -> list[Any]:
    return [entry.get("id") for entry in entries if isinstance(entry, dict)]


def _next(ids: Any) -> int:
    return max((key for key in ids if isinstance(key, int)), default=0) + 1
