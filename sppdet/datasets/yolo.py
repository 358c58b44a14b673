"""YOLO text labels: a ``.txt`` file per image, and a class file.

The parts of the data set are the ``train``, ``val`` and ``test`` of its YAML file, each a folder, a
text file of image paths, or a list of these; without them, the folders of the images.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sppdet.datasets.background import Pair
from sppdet.datasets.base import Dataset, Problem, RawObject
from sppdet.datasets.files import Tree, read_text
from sppdet.datasets.names import IMAGE_FOLDERS
from sppdet.datasets.pairing import pair, splits_of
from sppdet.datasets.per_image import Size, read_pairs
from sppdet.datasets.yolo_labels import looks_like_yolo, read_labels
from sppdet.datasets.yolo_names import CLASS_FILES, Names, find_names, is_exact, is_given, names_of
from sppdet.errors import SppdetError
from sppdet.images import SUFFIXES
from sppdet.runtime.words import counted, verb

SPLITS = ("train", "val", "test")
"""Entries of a YAML file that name images."""


def parts(tree: Tree) -> dict[str, list[Pair]]:
    """Images with their label files by part; empty when the path holds no YOLO labels."""
    found = pair(tree, label_files(tree), []).found
    if any(_any_yolo(found)):
        class_file = find_names(tree)
        if class_file is None:
            return {}
    elif tree.file is not None and is_given(tree):
        class_file = tree.file
    else:
        return {}
    labels = dict(found)
    listed = _listed_parts(tree, names_of(tree, class_file), labels)
    named = {image for pairs in listed.values() for image, _ in pairs}
    folders = splits_of(tree, [image for image, _ in found])
    if listed and folders.keys() == {""}:
        return listed
    for name, images in folders.items():
        if name not in listed and not named & set(images):
            listed[name] = [(image, labels[image]) for image in images]
    return listed


def read(
    tree: Tree,
    chosen: Sequence[list[Pair]],
    split: str | None,
    classes: Sequence[str] | None,
    background: bool,
) -> Dataset:
    """Read images with YOLO labels.

    Raises:
        SppdetError: there is no class file, or a class asked for is not in it.
    """
    class_file = find_names(tree)
    if class_file is None:
        raise SppdetError(f"{tree.path}: YOLO labels need a class file ({', '.join(CLASS_FILES)})")
    names = names_of(tree, class_file)
    missing = [name for name in classes or () if name not in names.classes]
    if missing:
        raise SppdetError(f"{class_file}: does not name the class {', '.join(missing)}")
    problems: list[Problem] = []
    pairs = list(dict.fromkeys(one for part in chosen for one in part))
    points = key_points(names.setup)

    def read_one(label: Path, size: Size | None) -> tuple[None, list[RawObject]]:
        assert size is not None
        return None, list(read_labels(label, size, names.by_number, points, problems))

    dataset = read_pairs(
        tree,
        "yolo",
        pairs,
        split,
        classes or names.classes,
        read_one,
        problems,
        background,
        needs_size=True,
    )
    if points is not None:
        dataset.notes.append(f"{class_file.name} says kpt_shape: key points are left out")
    count = names.setup.get("nc")
    if isinstance(count, str) and count.isdecimal() and int(count) != len(names.by_number):
        named = counted(len(names.by_number), "class", "classes")
        text = f"{class_file.name} says nc: {count}, but names {named}"
        dataset.notes.append(text)
    absent = _absent(names)
    if absent:
        dataset.notes.append(f"{class_file.name} has no name for class {absent}")
    return dataset


def nearly(tree: Tree) -> str | None:
    """What is missing where there are YOLO labels, but no data set."""
    labels = [file for file in label_files(tree) if looks_like_yolo(file)]
    if not labels:
        return None
    where = f"{counted(len(labels), 'YOLO label file')} such as {tree.shown(labels[0])}"
    if not any(label for _, label in pair(tree, labels, []).found):
        return f"{where}, but no image has such a name"
    need = verb(len(labels), "it needs", "they need")
    return f"{where}, but {need} a class file ({', '.join(CLASS_FILES)})"


def key_points(setup: dict[str, Any]) -> tuple[int, int] | None:
    """``kpt_shape`` of a YAML file: number of key points, and numbers per point."""
    try:
        count, numbers = (int(value) for value in setup["kpt_shape"])
    except (KeyError, TypeError, ValueError):
        return None
    return count, numbers


def _absent(names: Names) -> str:
    gaps = sorted(set(range(max(names.by_number))) - names.by_number.keys())
    return ", ".join(map(str, gaps[:10])) + (" ..." if len(gaps) > 10 else "")


def label_files(tree: Tree) -> list[Path]:
    """The text files that may be labels."""
    found = tree.having(".txt", beside=is_given(tree))
    return [file for file in found if not is_exact(file)]


def _any_yolo(pairs: Sequence[Pair]) -> Iterator[bool]:
    return (bool(label is not None and looks_like_yolo(label)) for _, label in pairs)


def _listed_parts(tree: Tree, names: Names, labels: dict[Path, Path | None]) -> dict[str, Any]:
    found = {}
    for split in SPLITS:
        value = names.setup.get(split)
        entries = [value] if isinstance(value, str) else value
        if not isinstance(entries, list):
            continue
        images = []
        for entry in entries:
            place = _resolve(names, entry) if isinstance(entry, str) and entry else None
            if place is None:
                if entry and entry not in ("~", "null", "Null", "NULL"):
                    tree.notes.append(f"{names.file.name}: {split}: there is no {entry}")
                continue
            images += _images_of(tree, place)
        if images:
            unique = dict.fromkeys(images)
            found[split] = [(image, labels.get(image) or _beside(image)) for image in unique]
    return found


def _resolve(names: Names, entry: str) -> Path | None:
    """A folder or file that a YAML file names: below ``path``, or beside the YAML file.

    Exports of Roboflow write ``../train/images`` for ``train/images``.
    """
    here = names.file.parent
    base = names.setup.get("path")
    bases = [here / base, here] if isinstance(base, str) and base else [here]
    entry = entry.replace("\\", "/")
    inner = entry
    while inner.startswith(("../", "./")):
        inner = inner.split("/", 1)[1]
    for name in (inner, entry):
        for folder in bases:
            if (folder / name).is_dir() or (folder / name).is_file():
                return folder / name
    return None


def _images_of(tree: Tree, place: Path) -> list[Path]:
    if place.is_file():
        lines = (line.strip().replace("\\", "/") for line in read_text(place).splitlines())
        found = (_listed_image(place, line) for line in lines if line)
        return [image for image in found if image is not None]
    inside = [image for image in tree.images if place in image.parents]
    return inside or [image for image in Tree(place).images if place in image.parents]


def _listed_image(file: Path, line: str) -> Path | None:
    """The image of a line: absolute, beside the list, or below a folder above it."""
    inner = line.removeprefix("./")
    while inner.startswith("../"):
        inner = inner[3:]
    for candidate in (file.parent / line, file.parent / inner, file.parent.parent / inner):
        if candidate.suffix.casefold() in SUFFIXES and candidate.is_file():
            return candidate
    return None


def _beside(image: Path) -> Path | None:
    """The label file of an image outside the data set's folder."""
    candidates = [image.with_suffix(".txt")]
    for level, name in enumerate(image.parts[:-1]):
        if name.casefold() in IMAGE_FOLDERS:
            parts = (*image.parts[:level], "labels", *image.parts[level + 1 :])
            candidates.append(Path(*parts).with_suffix(".txt"))
    return next((file for file in candidates if file.is_file()), None)
