"""PASCAL VOC annotations: XML files beside the images, or a devkit with ImageSets.

VOC counts pixels from 1 and includes both corners; :func:`read_xml` is the one place that turns
``xmin, ymin, xmax, ymax`` into ``xmin - 1, ymin - 1, xmax, ymax``.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path

from sppdet.datasets.base import Dataset, Problem, RawObject, Record
from sppdet.errors import SppdetError
from sppdet.images import SUFFIXES, find_images, image_size


def is_devkit(path: Path) -> bool:
    """Whether ``path`` holds ``ImageSets/Main``."""
    return (path / "ImageSets" / "Main").is_dir()


def find_devkit(path: Path) -> Path | None:
    """The folder with ``ImageSets/Main`` at ``path``, in it, or in its VOCdevkit folder.

    Raises:
        SppdetError: there are several.
    """
    if is_devkit(path):
        return path
    if not path.is_dir():
        return None
    inside = sorted(
        p for pattern in ("*", "VOCdevkit/*") for p in path.glob(pattern) if is_devkit(p)
    )
    if len(inside) > 1:
        raise SppdetError(
            f"{path}: holds several data sets, name one: {', '.join(map(str, inside))}"
        )
    return inside[0] if inside else None


def devkit_splits(devkit: Path) -> list[str]:
    """The lists in ImageSets/Main, without those of single classes (``cat_train``)."""
    names = {entry.stem for entry in (devkit / "ImageSets" / "Main").glob("*.txt")}
    return sorted(n for n in names if "_" not in n or n.rsplit("_", 1)[1] not in names)


def open_devkit(path: Path, split: str | None, classes: Sequence[str] | None) -> Dataset:
    """Read a devkit: JPEGImages, Annotations, ImageSets/Main. No split: every image."""
    images = {p.stem: p for p in _files(path / "JPEGImages")}
    if split is None:
        names = sorted(images)
    else:
        lines = (path / "ImageSets" / "Main" / f"{split}.txt").read_text("utf-8").splitlines()
        names = [line.split()[0] for line in lines if line.strip()]
    problems: list[Problem] = []
    pairs = []
    for name in names:
        image = images.get(name, path / "JPEGImages" / f"{name}.jpg")
        if name not in images:
            problems.append(Problem("missing image", image, "is listed, but does not exist"))
        pairs.append((image, path / "Annotations" / f"{name}.xml"))
    records = list(_read_all(pairs, problems, expect_xml=True))
    return Dataset(path, "voc", split, records, classes, problems)


def open_folders(
    path: Path, folders: Sequence[Path], split: str | None, classes: Sequence[str] | None
) -> Dataset:
    """Read folders of images with an XML file of the same name beside each.

    An image without one has no objects. An XML file without its image is reported.
    """
    problems: list[Problem] = []
    pairs = []
    for folder in folders:
        images = find_images(folder)
        stems = {image.stem for image in images}
        pairs += [(image, image.with_suffix(".xml")) for image in images]
        for xml in sorted(folder.glob("*.xml")):
            if xml.stem not in stems:
                problems.append(Problem("missing image", xml, "has no image beside it, left out"))
    records = list(_read_all(pairs, problems, expect_xml=False))
    return Dataset(path, "folder", split, records, classes, problems)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [p for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES]


def _read_all(
    pairs: Sequence[tuple[Path, Path]], problems: list[Problem], expect_xml: bool
) -> Iterator[Record]:
    for image, xml in pairs:
        size = _size(image, problems)
        if not xml.is_file():
            if expect_xml:
                problems.append(
                    Problem(
                        "unreadable annotation", xml, "does not exist; the image has no objects"
                    )
                )
            yield Record(image, xml, size, [])
            continue
        try:
            told, objects = read_xml(xml, problems)
        except SppdetError as error:
            message = str(error).removeprefix(f"{xml}: ")
            problems.append(
                Problem("unreadable annotation", xml, f"{message}; its image is left out")
            )
            continue
        if size is not None and told is not None and told != size:
            problems.append(
                Problem(
                    "wrong size",
                    xml,
                    f"says {told[0]} x {told[1]}, but the image is {size[0]} x {size[1]}",
                )
            )
        yield Record(image, xml, size or told, objects)


def _size(image: Path, problems: list[Problem]) -> tuple[int, int] | None:
    if not image.is_file():
        return None
    try:
        return image_size(image)
    except SppdetError as error:
        message = str(error).removeprefix(f"{image}: ")
        problems.append(Problem("unreadable image", image, message))
        return None


def read_xml(path: Path, problems: list[Problem]) -> tuple[tuple[int, int] | None, list[RawObject]]:
    """The size in a VOC XML file (None where it is absent or 0) and its objects.

    An object without a name or with an invalid box goes to ``problems``.

    Raises:
        SppdetError: the file is not a VOC annotation.
    """
    try:
        root = ET.fromstring(path.read_bytes())
    except (ET.ParseError, ValueError, LookupError, OSError) as error:
        raise SppdetError(f"{path}: is not readable XML ({error})") from None
    if root.tag != "annotation":
        raise SppdetError(f"{path}: is not a VOC annotation (its root is <{root.tag}>)")
    objects = []
    for number, entry in enumerate(root.findall("object"), 1):
        name = (entry.findtext("name") or "").strip()
        corners = entry.find("bndbox")
        try:
            if not name or corners is None:
                raise ValueError("no name" if not name else "no bndbox")
            x1, y1, x2, y2 = (
                float(corners.findtext(tag) or "missing")
                for tag in ("xmin", "ymin", "xmax", "ymax")
            )
        except ValueError as error:
            problems.append(Problem("bad object", path, f"object {number}: {error}, left out"))
            continue
        if x2 < x1 or y2 < y1:
            text = f"{name} box {x1:g}, {y1:g}, {x2:g}, {y2:g} has max < min, left out"
            problems.append(Problem("inverted box", path, text))
            continue
        difficult = (entry.findtext("difficult") or "0").strip().lower() in ("1", "true", "yes")
        objects.append(RawObject(name, (x1 - 1, y1 - 1, x2, y2), difficult))
    return _told_size(root), objects


def _told_size(root: ET.Element) -> tuple[int, int] | None:
    try:
        width = int(float(root.findtext("size/width") or 0))
        height = int(float(root.findtext("size/height") or 0))
    except (ValueError, OverflowError):
        return None
    return (width, height) if width > 0 and height > 0 else None
