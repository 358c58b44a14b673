"""What the formats share in which one file names many images."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sppdet.datasets.base import Problem, RawObject, Record
from sppdet.datasets.files import Tree
from sppdet.datasets.locate import Locator, missing_place
from sppdet.datasets.per_image import Size, header_size, wrong_size
from sppdet.errors import SppdetError

REPORTED = 20
"""Missing images that are named; the others are counted."""


@dataclass
class Listed:
    """One image as an annotation file describes it.

    Attributes:
        name: of the image, as the file has it.
        size: as the file states it, or None.
        objects: with boxes in pixels, or in parts of ``unit``.
        unit: None: pixels; otherwise the number that stands for the image's whole width or height,
            1 for fractions, 100 for percent.
    """

    name: str
    size: Size | None = None
    objects: list[RawObject] = field(default_factory=list)
    unit: float | None = None


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
        f"{file}: names {len(names)} images such as {names[0]}, "
        f"but none of them is in {tree.root}{there}"
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
        text = f"{len(missing) - REPORTED} more of {len(by_name)} images that it names do not exist"
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
