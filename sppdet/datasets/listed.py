"""What the formats share in which one file names many images."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sppdet.datasets.base import Dataset, Problem, RawObject, Record
from sppdet.datasets.files import Tree
from sppdet.datasets.locate import Locator, missing_place
from sppdet.datasets.names import ROLES
from sppdet.datasets.per_image import Size, header_size, wrong_size
from sppdet.errors import SppdetError
from sppdet.runtime.words import counted, verb

REPORTED = 20
"""Missing images that are named; the others are counted."""

WORDS = re.compile(
    r"(^|[_\-.])(instances|annotations?|coco|labels?|default|result|data|dataset|bbox|boxes|createml"
    r"|via|project|export|region|csv|json|oidv6)(?=$|[_\-.])",
    re.I,
)
"""Words in the name of a file that do not name a part of the data set."""


@dataclass
class Listed:
    """One image as an annotation file describes it.

    Attributes:
        name: of the image, as the file has it.
        size: as the file states it, or None.
        objects: with boxes in pixels, or in parts of ``unit``.
        unit: None: pixels; otherwise the number that stands for the image's whole width or height,
            1 for fractions, 100 for percent.
        subset: the part of the data set that the file says the image belongs to, or "".
    """

    name: str
    size: Size | None = None
    objects: list[RawObject] = field(default_factory=list)
    unit: float | None = None
    subset: str = ""


@dataclass(frozen=True)
class Part:
    """An annotation file, or the images of one subset in it."""

    file: Path
    subset: str = ""


ReadFile = Callable[[Path, list[Problem]], list[Listed]]
"""Reads an annotation file; problems are added to the list. It raises SppdetError."""


def split_of(tree: Tree, file: Path) -> str:
    """The part that an annotation file describes, by its name or by its folder; "" if neither
    tells."""
    name = WORDS.sub("", file.stem).strip("_-.")
    if name and (tree.file is None or name != file.stem):
        return name
    folders = [one for one in tree.folders(file) if one.casefold() not in ROLES]
    return folders[-1] if folders and not name else name


def named_parts(tree: Tree, files: Sequence[Path]) -> dict[str, Path]:
    """Annotation files by the name of their part; the only one may have the name ""."""
    named: dict[str, Path] = {}
    for file in files:
        name = split_of(tree, file)
        if name in named or (not name and len(files) > 1):
            name = tree.shown(file)
        named[name] = file
    return named


def parts_of(
    tree: Tree, files: Sequence[Path], read_file: ReadFile | None = None
) -> dict[str, Part]:
    """The parts by name: the files, or the subsets that a single file names.

    Args:
        tree: the data set.
        files: the annotation files.
        read_file: for formats whose files name subsets.
    """
    if len(files) != 1 or read_file is None:
        return {name: Part(file) for name, file in named_parts(tree, files).items()}
    subsets = dict.fromkeys(entry.subset for entry in read_file(files[0], []))
    if len(subsets) > 1 or any(subsets):
        return {name or "other": Part(files[0], name or "other") for name in subsets}
    return {"": Part(files[0])}


def read_listed(
    tree: Tree,
    format: str,
    chosen: Sequence[Part],
    split: str | None,
    classes: Sequence[str] | None,
    read_file: ReadFile,
) -> Dataset:
    """Read the images that annotation files name; the classes are those that occur, sorted.

    Raises:
        SppdetError: a file cannot be read, or none of the images that it names exists.
    """
    problems: list[Problem] = []
    records: dict[Path, Record] = {}
    for part in chosen:
        entries = read_file(part.file, problems)
        if part.subset:
            entries = [entry for entry in entries if (entry.subset or "other") == part.subset]
        name = split or split_of(tree, part.file)
        for record in records_of(tree, part.file, name, entries, problems):
            if record.image in records:
                other = records[record.image].source
                text = f"names {record.image.name}, which {tree.shown(other)} names too; left out"
                problems.append(Problem("two annotations", part.file, text))
            records.setdefault(record.image, record)
    notes = list(tree.notes)
    unnamed = set(tree.images) - records.keys()
    if unnamed and split is None:
        count = f"{len(unnamed)} of {counted(len(tree.images), 'image')}"
        notes.append(f"{count} {verb(len(unnamed))} not named in the annotations: left out")
    kept = list(records.values())
    return Dataset(tree.path, format, split, kept, classes, problems, notes=notes)


def images_near(tree: Tree, file: Path, split: str) -> list[Path]:
    """The images that an annotation file may name: those of its part, where they have a folder."""
    beside = [image for image in tree.images if file.parent in image.parents]
    if file.parent != tree.root and beside:
        return beside
    own = [image for image in tree.images if split and split in tree.folders(image)]
    return own or tree.images


def missing_images(tree: Tree, file: Path, names: Sequence[str], missing: Sequence[str]) -> None:
    """Fail where no image that a file names exists.

    Raises:
        SppdetError: with an example, and the images that there are.
    """
    if not names or len(missing) < len(names):
        return
    there = f"; there are images such as {tree.shown(tree.images[0])}" if tree.images else ""
    raise SppdetError(
        f"{file}: names {counted(len(names), 'image')} such as {names[0]}, "
        f"but none that is in {tree.root}{there}"
    )


def records_of(
    tree: Tree,
    file: Path,
    split: str,
    entries: Iterable[Listed],
    problems: list[Problem],
) -> list[Record]:
    """The images of an annotation file. Entries of one name are one image.

    Args:
        tree: the data set.
        file: the annotation file.
        split: the part that it describes, or "".
        entries: in the order of the file.
        problems: missing and unreadable images and wrong sizes are added.

    Raises:
        SppdetError: none of the images exists.
    """
    by_name: dict[str, Listed] = {}
    for entry in entries:
        if entry.name in by_name:
            by_name[entry.name].objects.extend(entry.objects)
        else:
            by_name[entry.name] = entry
    found = Locator(images_near(tree, file, split)).find_all(by_name, file.parent)
    missing = [name for name in by_name if found[name] is None]
    missing_images(tree, file, list(by_name), missing)
    for name in missing[:REPORTED]:
        place = missing_place(tree, file.parent, name)
        text = f"is named in {tree.shown(file)}, but does not exist; left out"
        problems.append(Problem("missing image", place, text))
    if len(missing) > REPORTED:
        more = len(missing) - REPORTED
        does = verb(more, "does", "do")
        text = f"{more} more of {len(by_name)} images that it names {does} not exist"
        problems.append(Problem("missing image", file, f"{text}; left out"))
    records = []
    for name, entry in by_name.items():
        image = found[name]
        if image is None:
            continue
        size = header_size(image, problems)
        if size is not None and entry.size is not None and size != entry.size:
            problems.append(wrong_size(file, entry.size, size, image.name))
        size = size or entry.size
        if entry.unit is not None and size is None:
            text = f"the size of {image.name} is unknown; its boxes are left out"
            problems.append(Problem("bad object", file, text))
            entry.objects.clear()
        records.append(
            Record(image, file, size, [_scaled(one, entry, size) for one in entry.objects])
        )
    return records


def _scaled(one: RawObject, entry: Listed, size: Size | None) -> RawObject:
    if entry.unit is None or size is None:
        return one
    x, y = size[0] / entry.unit, size[1] / entry.unit
    x1, y1, x2, y2 = one.box
    return RawObject(one.name, (x1 * x, y1 * y, x2 * x, y2 * y), one.difficult, one.crowd)
