"""YOLO text labels of a photograph, edited in place, and the class file."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from sppdet.datasets.files import Tree, read_bytes, read_text
from sppdet.datasets.writers.common import check_names
from sppdet.datasets.writers.yolo import ALLOWED, line
from sppdet.datasets.yolo import key_points, label_files
from sppdet.datasets.yolo_labels import LINE, is_pose, object_of_line
from sppdet.datasets.yolo_names import YAML, Names, read_names
from sppdet.errors import SppdetError
from sppdet.runtime.files import write_text
from sppdet.serving.labels.base import Label, Size
from sppdet.serving.labels.per_image import FilePerImage, check_readable, inside
from sppdet.serving.labels.places import Places
from sppdet.serving.labels.removed import Change, Place, Removed


class YoloLabels(FilePerImage):
    """See :class:`sppdet.serving.labels.base.LabelFiles`. Lines of objects that do not change stay
    as they are, with their polygons; a changed box keeps its confidence."""

    format = "yolo"
    says_difficult = False

    def __init__(self, places: Places, class_file: Path) -> None:
        super().__init__(places)
        self._file = class_file
        self._names = read_names(class_file)
        self._read = read_bytes(class_file)

    def refresh(self) -> None:
        """See :class:`FilePerImage`: a number may be another class now."""
        content = read_bytes(self._file)
        if content != self._read:
            self._names, self._read = read_names(self._file), content

    def shared(self, content: bytes) -> bytes:
        """See :class:`FilePerImage`: the names of the numbers in the lines."""
        first = {one.split(maxsplit=1)[0] for one in content.splitlines() if one.strip()}
        used = [number for number in self._names.by_number if f"{number}".encode() in first]
        names = [(number, self._names.by_number[number]) for number in sorted(used)]
        return repr(names).encode("utf-8", "surrogatepass")

    def classes(self) -> list[str]:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        return self._names.classes

    def add_class(self, name: str) -> None:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        self._names = read_names(self._file)  # another program may have added some
        if name in self._names.classes:
            return
        check_names([name], ALLOWED, "YAML")
        if self._file.suffix.casefold() in YAML:
            write_text(self._file, _longer_yaml(self._names, name))
        else:
            if name.strip() != name or "\n" in name or "\r" in name:
                raise SppdetError(f"the class {name!r} cannot be a line of {self._file.name}")
            text = check_readable(self._file, read_bytes(self._file))
            write_text(self._file, text.rstrip("\r\n") + f"\n{name}\n")
        self._names = read_names(self._file)

    def counts(self) -> dict[Path, int]:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        found = {}
        for image, path in self.places.known.items():
            try:
                lines = read_text(path).splitlines()
                found[image] = sum(LINE.fullmatch(one) is not None for one in lines)
            except SppdetError:  # opening the photograph says so
                continue
        return found

    def label_files(self, tree: Tree) -> list[Path]:
        """See :class:`FilePerImage`."""
        return label_files(tree)

    def objects_in(self, path: Path, content: bytes, size: Size) -> list[Label]:
        """See :class:`FilePerImage`."""
        return [one for _, one in self._entries(check_readable(path, content), size)]

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
        text = check_readable(path, content or b"")
        known = self._entries(text, size)
        found = change.match(objects, [one for _, one in known])
        of_line = {number: place for place, (number, _) in enumerate(known)}
        lines = []
        end = "\r\n" if "\r\n" in text else "\n"
        names = [one.strip() for one in text.splitlines()]
        for number, whole in enumerate(text.splitlines(keepends=True)):
            old = whole.rstrip("\r\n")
            own_end = whole[len(old) :] or end
            place = of_line.get(number)
            if place is None:
                lines.append(old + own_end)  # an empty line, or one that cannot be read
            elif place in found:
                one, new = known[place][1], objects[found.index(place)]
                lines.append(self._changed(old, one, new, size) + own_end)
                if self._loses(old, one, new, size, change):
                    there = Place.at(number, names)
                    change.removed.append(Removed(one, old + own_end, there))
            else:
                there = Place.at(number, names)
                change.removed.append(Removed(known[place][1], old + own_end, there))
        for place, removed in change.in_order():
            index = removed.place.among([one.strip() for one in lines])
            lines.insert(index, self._numbered(removed.content, objects[place].name))
        lines += [
            self._line(one, size) + end
            for place, (one, index) in enumerate(zip(objects, found, strict=True))
            if index is None and place not in change.back
        ]
        return "".join(lines).encode()

    def bare(self, path: Path, content: bytes) -> bool:
        """See :class:`FilePerImage`."""
        return not content.strip()

    def _entries(self, text: str, size: Size) -> list[tuple[int, Label]]:
        """Numbers of the lines that can be read, and their objects."""
        points = key_points(self._names.setup)
        entries = []
        for number, one in enumerate(text.splitlines()):
            try:
                found = object_of_line(one, size, self._names.by_number, points)
            except (ValueError, OverflowError):
                continue
            label = inside(Label(found.name, found.box), size) if found is not None else None
            if label is not None:
                entries.append((number, label))
        return entries

    def _changed(self, text: str, old: Label, new: Label, size: Size) -> str:
        if old.box != new.box:
            _, confidence = self._beside_the_box(text)
            return " ".join([self._line(new, size), *confidence])
        if old.name != new.name:
            return " ".join([str(self._number(new.name)), *text.split()[1:]])
        return text

    def _loses(self, text: str, old: Label, new: Label, size: Size, change: Change) -> bool:
        """Whether a line whose box changes says something that the box does not say again."""
        if old.box == new.box:
            return False
        shape, _ = self._beside_the_box(text)
        if shape:
            change.loses(shape, old)
        return self._changed(self._changed(text, old, new, size), new, old, size) != text

    def _beside_the_box(self, text: str) -> tuple[str, list[str]]:
        """The shape in a line, or "", and its confidence, which is at the end if there is one."""
        words = text.split()[1:]
        points = key_points(self._names.setup)
        if len(words) > 5 and is_pose([float(word) for word in words], points):
            return "key points", []
        return "polygon" if len(words) > 5 else "", words[len(words) - len(words) % 2 :]

    def _numbered(self, text: str, name: str) -> str:
        """A line that was removed, with the number that its class has now."""
        number, rest = text.split(maxsplit=1)
        if number.isdecimal() and self._names.by_number.get(int(number)) == name:
            return text
        return f"{self._number(name)} {rest}"

    def _line(self, one: Label, size: Size) -> str:
        return line(self._number(one.name), list(one.box), size).rstrip("\n")

    def _number(self, name: str) -> int:
        for number, known in sorted(self._names.by_number.items()):
            if known == name:
                return number
        raise SppdetError(f"{self._file}: does not name the class {name}; add it first")


def _longer_yaml(names: Names, name: str) -> str:
    """The YAML text with one more class; comments and everything else stay where they can."""
    text = check_readable(names.file, read_bytes(names.file))
    number = max(names.by_number) + 1
    wanted = {**names.by_number, number: name}
    plan = _edited(text, names, number, name)
    if plan is not None and _names_in(plan) == wanted:
        return plan
    content = yaml.safe_load(text)
    content["names"] = wanted
    if "nc" in content:
        content["nc"] = number + 1
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False)


def _edited(text: str, names: Names, number: int, name: str) -> str | None:
    """The text with the class written behind the last one; None for other layouts than a list or a
    dictionary of numbers."""
    root = yaml.compose(text, yaml.SafeLoader)
    entries = {key.value: value for key, value in root.value} if root is not None else {}
    node = entries.get("names")
    if not isinstance(node, yaml.MappingNode | yaml.SequenceNode) or not node.value:
        return None
    quoted = yaml.safe_dump(name, allow_unicode=True, width=10**6).splitlines()[0]
    keyed = f"{number}: {quoted}" if isinstance(node, yaml.MappingNode) else quoted
    last = node.value[-1]
    first_mark = (last[0] if isinstance(last, tuple) else last).start_mark
    end = (last[1] if isinstance(last, tuple) else last).end_mark.index
    if node.flow_style:
        plan = f"{text[:end]}, {keyed}{text[end:]}"
    else:
        begin = text.rfind("\n", 0, first_mark.index) + 1
        lead = text[begin : first_mark.index]
        newline = text.find("\n", end)
        newline = len(text) if newline < 0 else newline
        plan = f"{text[:newline]}\n{lead}{keyed}{text[newline:]}"
    count = entries.get("nc")
    if count is not None:
        shift = len(plan) - len(text) if count.start_mark.index > end else 0
        start, stop = count.start_mark.index + shift, count.end_mark.index + shift
        plan = f"{plan[:start]}{number + 1}{plan[stop:]}"
    return plan


def _names_in(text: str) -> dict[int, str] | None:
    try:
        found = yaml.load(text, yaml.BaseLoader)["names"]
        pairs = enumerate(found) if isinstance(found, list) else found.items()
        return {int(key): value for key, value in pairs if value}
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError):
        return None
