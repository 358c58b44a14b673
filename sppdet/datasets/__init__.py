"""Labelled images in the usual formats, opened by one function."""

import os
from pathlib import Path

from sppdet.datasets.base import Annotations, Dataset, LabelledBox
from sppdet.datasets.coco import open_coco
from sppdet.datasets.voc import devkit_splits, open_devkit, open_folder
from sppdet.errors import SppdetError
from sppdet.images import find_images

__all__ = ["Annotations", "Dataset", "LabelledBox", "open_dataset", "splits"]


def open_dataset(
    path: str | os.PathLike[str],
    split: str | None = None,
    classes: tuple[str, ...] | None = None,
) -> Dataset:
    """Open a data set, whose format is recognised from what lies at ``path``.

    * a folder of images with VOC XML beside them; ``split`` names a subfolder (``train``, ``test``),
    * a VOC devkit (``ImageSets/Main``, ``Annotations``, ``JPEGImages``), or a folder with one inside,
    * a COCO JSON file, or a folder that holds exactly one.

    Args:
        path: file or folder.
        split: the part to open, where there are parts.
        classes: the classes in the order wanted; inferred from the annotations by default.

    Raises:
        SppdetError: nothing that is recognised, or no such split.
    """
    path = Path(path)
    kind, root = _recognise(path)
    if kind == "coco":
        return open_coco(root, classes)
    if kind == "voc":
        return open_devkit(root, split, classes)
    available = splits(path)
    if split is not None and split not in available:
        have = f"it has {', '.join(available)}" if available else "it has no parts"
        raise SppdetError(f"{path}: has no split {split}; {have}")
    if split is None and available and not find_images(path):
        raise SppdetError(f"{path}: give --split with one of {', '.join(available)}")
    return open_folder(root, split, classes)


def splits(path: str | os.PathLike[str]) -> list[str]:
    """The names of the parts at ``path``; none for a format without parts."""
    path = Path(path)
    kind, root = _recognise(path)
    if kind == "voc":
        return devkit_splits(root)
    if kind == "coco":
        return []
    return sorted(
        entry.name for entry in path.iterdir() if entry.is_dir() and any(entry.glob("*.xml"))
    )


def _recognise(path: Path) -> tuple[str, Path]:
    if path.is_file() and path.suffix.lower() == ".json":
        return "coco", path
    if not path.is_dir():
        raise SppdetError(f"{path}: no such data set; give a folder or a COCO JSON file")
    kits = [path, *sorted(path.glob("VOC*")), *sorted(path.glob("VOCdevkit/VOC*"))]
    kits = [kit for kit in kits if (kit / "ImageSets" / "Main").is_dir()]
    kits = kits or [kit.parents[1] for kit in sorted(path.glob("*/ImageSets/Main"))]
    if len(kits) > 1:
        raise SppdetError(f"{path}: holds several devkits; give one of {', '.join(map(str, kits))}")
    if kits:
        return "voc", kits[0]
    files = sorted(path.glob("*.json"))
    if len(files) == 1 and not any(path.glob("*.xml")):
        return "coco", files[0]
    return "folder", path
