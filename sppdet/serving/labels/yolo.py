"""YOLO text labels of a photograph, edited in place, and the class file."""

from collections.abc import Sequence
from pathlib import Path

from sppdet.datasets.files import Tree, read_bytes, read_text
from sppdet.datasets.writers.common import check_names
from sppdet.datasets.writers.yolo import ALLOWED, line
from sppdet.datasets.yolo import key_points, label_files
from sppdet.datasets.yolo_labels import LINE, is_pose, object_of_line
from sppdet.datasets.yolo_names import read_names
from sppdet.errors import SppdetError
from sppdet.runtime.files import write_text
from sppdet.serving.labels.base import Label, Size
from sppdet.serving.labels.per_image import FilePerImage, check_readable, inside
from sppdet.serving.labels.places import Places
from sppdet.serving.labels.removed import Change, Place, Removed
from sppdet.serving.labels.yolo_classes import longer, renamed, shorter


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
        if name not in self._names.classes:
            check_names([name], ALLOWED, "YAML")
            self._write(longer(self._names, name))

    def remove_class(self, name: str) -> None:
        """See :class:`sppdet.serving.labels.base.LabelFiles`: the last class only, since the others
        would get other numbers."""
        self._names = read_names(self._file)
        number = self._number(name)
        if number != max(self._names.by_number) or number == 0:
            raise SppdetError(
                f"{name}: YOLO labels number the classes, so that only the last one can be taken "
                "out; rename it"
            )
        self._write(shorter(self._names))

    def rename_class(self, old: str, new: str) -> None:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        self._names = read_names(self._file)
        check_names([new], ALLOWED, "YAML")
        self._write(renamed(self._names, self._number(old), new))

    def _write(self, text: str) -> None:
        write_text(self._file, text)
        self._names, self._read = read_names(self._file), read_bytes(self._file)

    def objects_of(self, name: str) -> int:
        """See :class:`sppdet.serving.labels.base.LabelFiles`."""
        self.refresh()
        numbers = {f"{k}" for k, known in self._names.by_number.items() if known == name}
        found = 0
        for path in self.written():
            lines = read_text(path).splitlines()
            found += sum(one.split(maxsplit=1)[0] in numbers for one in lines if one.strip())
        return found

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
