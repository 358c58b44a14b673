"""Data sets: VOC devkit, a folder with VOC XML beside the images, COCO JSON, YOLO text labels."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from sppdet.datasets import coco, voc, yolo
from sppdet.datasets.base import Annotations, Dataset, Problem
from sppdet.errors import SppdetError
from sppdet.images import find_images

__all__ = ["FORMATS", "Annotations", "Dataset", "Problem", "read_dataset", "recognise", "splits"]

FORMATS = ("voc", "coco", "yolo", "folder")
"""In the order in which they are recognised."""


def read_dataset(
    path: str | PathLike[str],
    split: str | None = None,
    classes: Sequence[str] | None = None,
    format: str | None = None,
) -> Dataset:
    """Read a data set of any supported format.

    Args:
        path: "voc": a folder with ImageSets/Main, or above it; "coco": a JSON file, or its folder;
            "yolo": a folder of images, labels and a class file; "folder": images with VOC XML
            beside them, directly in the folder or in a subfolder per split.
        split: the part to read, one of :func:`splits`. None reads all parts (of COCO JSON, the
            only file).
        classes: the classes wanted, in this order; objects of other classes are left out. By
            default those of the class file or of the categories; without these, all that occur,
            sorted.
        format: one of :data:`FORMATS`; by default it is recognised.

    Errors in single files do not stop it; they are listed in ``Dataset.problems``.

    Raises:
        SppdetError: nothing there is a data set, or the split does not exist.
    """
    path = Path(path)
    kind = format or recognise(path)
    parts = _parts(path, kind)
    if split is not None and split not in parts:
        names = [name for name in sorted(parts) if name]
        known = f"it has {', '.join(names)}" if names else "it has no splits, leave --split out"
        raise SppdetError(f"{path}: has no split {split}; {known}")
    if kind == "voc":
        return voc.open_devkit(parts[""], split, classes)
    if kind == "coco":
        if split is None and len(parts) > 1:
            raise SppdetError(f"{path}: choose a split with --split: {', '.join(sorted(parts))}")
        name = split if split is not None else next(iter(parts))
        return coco.open_coco(path, parts[name], name or None, classes)
    folders = [parts[split]] if split is not None else list(parts.values())
    if kind == "yolo":
        return yolo.open_yolo(path, folders, split, classes)
    return voc.open_folders(path, folders, split, classes)


def splits(path: str | PathLike[str], format: str | None = None) -> list[str]:
    """The names of the parts of a data set, sorted; empty when it has none.

    Raises:
        SppdetError: nothing there is a data set.
    """
    path = Path(path)
    return sorted(name for name in _parts(path, format or recognise(path)) if name)


def recognise(path: str | PathLike[str]) -> str:
    """The format of a data set, one of :data:`FORMATS`.

    Raises:
        SppdetError: there is no such path, or nothing there is a data set.
    """
    path = Path(path)
    if not path.exists():
        raise SppdetError(f"{path}: no such file or folder")
    if path.is_file():
        if coco.find_json(path):
            return "coco"
        raise SppdetError(f"{path}: is not a data set; give a folder, or a COCO JSON file")
    if voc.find_devkit(path) is not None:
        return "voc"
    if coco.find_json(path):
        return "coco"
    if yolo.find_class_file(path) is not None and yolo.image_folders(path):
        return "yolo"
    folders = _xml_folders(path)
    if any(next(folder.glob("*.xml"), None) for folder in folders.values()):
        return "folder"
    held = "images, but no annotations" if folders else "neither images nor annotations"
    raise SppdetError(
        f"{path}: holds {held} that are recognised (VOC XML beside the images, a VOC devkit, "
        "COCO JSON, YOLO labels with a class file)"
    )


def _parts(path: Path, kind: str) -> dict[str, Path]:
    """Where each split is; the name "" stands for a data set without splits."""
    if kind == "voc":
        devkit = voc.find_devkit(path)
        if devkit is None:
            raise SppdetError(f"{path}: is not a VOC devkit (it has no folder ImageSets/Main)")
        return {"": devkit, **dict.fromkeys(voc.devkit_splits(devkit), devkit)}
    if kind == "coco":
        parts = coco.find_json(path)
    elif kind == "yolo":
        parts = yolo.image_folders(path)
    elif kind == "folder":
        parts = _xml_folders(path)
    else:
        raise SppdetError(f"--format {kind}: choose one of {', '.join(FORMATS)}")
    if not parts:
        raise SppdetError(f"{path}: holds no data set of the format {kind}")
    return parts


def _xml_folders(path: Path) -> dict[str, Path]:
    """The folder itself when it holds images, else its subfolders that do, by name."""
    if find_images(path):
        return {"": path}
    return {
        entry.name: entry
        for entry in sorted(path.iterdir())
        if entry.is_dir() and not entry.name.startswith(".") and find_images(entry)
    }
