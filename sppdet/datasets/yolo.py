"""YOLO text labels: a ``.txt`` file per image, ``class cx cy w h`` in fractions of its size.

The class file is ``classes.txt``, ``obj.names`` or any ``*.names`` (a name per line), or the
``names`` of a ``data.yaml``. Labels lie beside the images, or in a ``labels`` folder that mirrors
``images``.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from sppdet.datasets.base import Dataset, Problem, RawObject, Record
from sppdet.errors import SppdetError
from sppdet.images import find_images, image_size

CLASS_FILES = ("classes.txt", "obj.names", "data.yaml", "data.yml", "dataset.yaml")


def find_class_file(path: Path) -> Path | None:
    """The class file of a data set: in ``path``, in ``labels`` below, or in a folder above."""
    folders = [path, path / "labels", path / "labels" / "train", path.parent, path.parent.parent]
    for folder in folders:
        for name in CLASS_FILES:
            if (folder / name).is_file():
                return folder / name
        others = (
            sorted([*folder.glob("*.names"), *folder.glob("*.yaml")]) if folder.is_dir() else []
        )
        for other in others:
            if other.suffix == ".names" or re.search(r"^names\s*:", other.read_text(), re.M):
                return other
    return None


def image_folders(path: Path) -> dict[str, Path]:
    """Folders with images and labels by split name; a data set without splits has the name "".

    The layouts: images/SPLIT and labels/SPLIT; SPLIT/images and SPLIT/labels; SPLIT with both side
    by side; and each without splits.
    """
    inner = path / "images" if (path / "images").is_dir() else path
    if _has_labels(inner):
        return {"": inner}
    found = {}
    for folder in sorted(p for p in inner.iterdir() if p.is_dir()):
        for candidate in (folder, folder / "images"):
            if candidate.is_dir() and _has_labels(candidate):
                found[folder.name] = candidate
                break
    return found


def _has_labels(folder: Path) -> bool:
    return any(label_file(image).is_file() for image in find_images(folder))


def label_file(image: Path) -> Path:
    """Where the labels of an image are: beside it, or in ``labels`` instead of ``images``."""
    beside = image.with_suffix(".txt")
    if beside.is_file() or "images" not in image.parts[:-1]:
        return beside
    parts = list(image.parts)
    last = len(parts) - 2 - parts[:-1][::-1].index("images")
    parts[last] = "labels"
    return Path(*parts).with_suffix(".txt")


def read_classes(file: Path) -> list[str]:
    """The class names, in the order of their numbers.

    Raises:
        SppdetError: the file names no class.
    """
    text = file.read_text("utf-8")
    if file.suffix in (".yaml", ".yml"):
        names = _yaml_names(text)
    else:
        names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names:
        raise SppdetError(f"{file}: names no class")
    return names


def _yaml_names(text: str) -> list[str]:
    """The value of ``names``: a list in brackets, a list of dashes, or a mapping from numbers."""
    match = re.search(r"^names\s*:[ \t]*(\[.*?\]|\{.*?\})?", text, re.M | re.S)
    if match is None:
        return []
    if match.group(1):
        parts = match.group(1)[1:-1].replace("\n", " ").split(",")
    else:
        parts = []
        for line in text[match.end() :].lstrip("\n").splitlines():
            if not re.match(r"(\s+\d+\s*:|\s*-\s)", line):
                break
            parts.append(re.sub(r"^\s*-\s", "", line))
    names = [re.sub(r"^\s*\d+\s*:", "", part).split(" #")[0].strip() for part in parts]
    return [name.strip("'\"") for name in names if name]


def open_yolo(
    path: Path, folders: Sequence[Path], split: str | None, classes: Sequence[str] | None
) -> Dataset:
    """Read folders of images with YOLO labels. An image without labels has no objects.

    Raises:
        SppdetError: there is no class file, or a class asked for is not in it.
    """
    class_file = find_class_file(path)
    if class_file is None:
        raise SppdetError(f"{path}: YOLO labels need a class file ({', '.join(CLASS_FILES)})")
    names = read_classes(class_file)
    missing = [name for name in classes or () if name not in names]
    if missing:
        raise SppdetError(f"{class_file}: does not name the class {', '.join(missing)}")
    problems: list[Problem] = []
    records = []
    for image in (image for folder in folders for image in find_images(folder)):
        labels = label_file(image)
        try:
            size = image_size(image)
        except SppdetError as error:
            message = str(error).removeprefix(f"{image}: ")
            problems.append(Problem("unreadable image", image, f"{message}; left out"))
            continue
        objects = list(_read_labels(labels, size, names, problems)) if labels.is_file() else []
        records.append(Record(image, labels, size, objects))
    return Dataset(path, "yolo", split, records, classes or names, problems)


def _read_labels(
    file: Path, size: tuple[int, int], names: list[str], problems: list[Problem]
) -> Iterator[RawObject]:
    """The objects of a label file; lines of polygons give the box around them."""
    for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            label = int(words[0])
            values = [float(word) for word in words[1:]]
            if label < 0 or label >= len(names):
                text = f"line {number}: class {label} of {len(names)}, left out"
                problems.append(Problem("unknown class", file, text))
                continue
            yield RawObject(names[label], _box(values, *size))
        except ValueError as error:
            problems.append(Problem("bad object", file, f"line {number}: {error}, left out"))


def _box(values: list[float], width: int, height: int) -> tuple[float, float, float, float]:
    if len(values) == 4:
        x, y, w, h = values
        left, top, right, bottom = x - w / 2, y - h / 2, x + w / 2, y + h / 2
    elif len(values) >= 6 and len(values) % 2 == 0:
        left, right = min(values[0::2]), max(values[0::2])
        top, bottom = min(values[1::2]), max(values[1::2])
    else:
        raise ValueError(f"{len(values)} numbers, not 4 (or a polygon)")
    return left * width, top * height, right * width, bottom * height
