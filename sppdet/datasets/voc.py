"""PASCAL VOC annotations: XML files beside the images, or a devkit with ImageSets."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from sppdet.datasets.base import Dataset, LabelledBox, tidy_box
from sppdet.errors import SppdetError
from sppdet.images import SUFFIXES, find_images, image_size


def open_folder(folder: Path, split: str | None, classes: tuple[str, ...] | None) -> Dataset:
    """Images with an XML file of the same stem beside each.

    An image without one has no objects. With ``split``, the images are in the subfolder of that
    name.

    Raises:
        SppdetError: there is no such folder, or it holds no images or no annotations.
    """
    where = folder / split if split else folder
    images = find_images(where)
    if not images:
        raise SppdetError(f"{where}: holds no images")
    pairs = [(image, image.with_suffix(".xml")) for image in images]
    if not any(xml.is_file() for _, xml in pairs):
        raise SppdetError(f"{where}: holds images, but no XML annotation beside any of them")
    return _dataset(pairs, split, classes)


def open_devkit(root: Path, split: str | None, classes: tuple[str, ...] | None) -> Dataset:
    """A devkit folder with JPEGImages, Annotations and ImageSets/Main.

    Raises:
        SppdetError: no split is given and there is more than one, there is no such split, or an
            image is missing.
    """
    available = devkit_splits(root)
    if split is None and len(available) == 1:
        split = available[0]
    if split not in available:
        asked = f"no split {split}" if split else "several splits"
        raise SppdetError(f"{root}: has {asked}; give --split with one of {', '.join(available)}")
    listing = root / "ImageSets" / "Main" / f"{split}.txt"
    names = [line.split()[0] for line in listing.read_text().splitlines() if line.strip()]
    pairs = []
    for name in names:
        image = _image_named(root / "JPEGImages", name)
        if image is None:
            raise SppdetError(f"{listing}: lists {name}, but JPEGImages holds no such image")
        pairs.append((image, root / "Annotations" / f"{name}.xml"))
    return _dataset(pairs, split, classes)


def devkit_splits(root: Path) -> list[str]:
    """Names of the splits of a devkit; VOC's per-class listings (``cat_train``) are none."""
    names = {path.stem for path in (root / "ImageSets" / "Main").glob("*.txt")}
    return sorted(n for n in names if n.rpartition("_")[2] not in names - {n})


def _image_named(folder: Path, stem: str) -> Path | None:
    for suffix in SUFFIXES:
        path = folder / f"{stem}{suffix}"
        if path.is_file():
            return path
    return None


def _dataset(
    pairs: list[tuple[Path, Path]], split: str | None, classes: tuple[str, ...] | None
) -> Dataset:
    images, objects, problems = [], [], []
    for image, xml in pairs:
        try:
            found = read_objects(xml, image, problems) if xml.is_file() else []
        except SppdetError as error:
            problems.append(f"{error}; the image is left out")
            continue
        images.append(image)
        objects.append(found)
    if classes is None:
        classes = tuple(sorted({item.name for found in objects for item in found}))
    return Dataset(images, classes, split, objects, problems)


def read_objects(xml: Path, image: Path, problems: list[str]) -> list[LabelledBox]:
    """The objects of one XML file, its 1-based inclusive boxes made 0-based and half-open.

    The file's own width and height are not trusted (labelling tools write 0); the image's are used.
    A bad box is left out or clipped, and ``problems`` gets a line about it.

    Raises:
        SppdetError: the XML cannot be parsed.
    """
    try:
        root = ElementTree.parse(xml).getroot()
    except (ElementTree.ParseError, OSError, UnicodeDecodeError) as error:
        raise SppdetError(f"{xml}: is no readable XML ({error})") from None
    try:
        width, height = image_size(image)
    except SppdetError as error:
        problems.append(str(error))
        width = height = 1 << 30
    objects = []
    for number, item in enumerate(root.iter("object"), 1):
        name = (item.findtext("name") or "").strip()
        where = f"{xml}: object {number} ({name or 'without a name'})"
        frame = item.find("bndbox")
        try:
            edges = [float(frame.findtext(k) or "") for k in ("xmin", "ymin", "xmax", "ymax")]  # type: ignore[union-attr]
        except (AttributeError, ValueError):
            problems.append(f"{where}: has no complete bndbox; left out")
            continue
        if not name:
            problems.append(f"{where}; left out")
            continue
        x1, y1, x2, y2 = edges
        box = tidy_box((x1 - 1, y1 - 1, x2, y2), width, height, where, problems)
        if box is not None:
            difficult = (item.findtext("difficult") or "0").strip() in ("1", "true")
            objects.append(LabelledBox(box, name, difficult))
    return objects
