"""Data sets: the annotations of many tools, and the layouts in which they leave them."""

from collections.abc import Sequence
from os import PathLike
from typing import Any

from sppdet.datasets.base import Annotations, Dataset, Problem
from sppdet.datasets.files import Tree
from sppdet.datasets.formats import TABLE, Format
from sppdet.datasets.voc import folder_images
from sppdet.errors import SppdetError

__all__ = ["FORMATS", "Annotations", "Dataset", "Problem", "read_dataset", "recognise", "splits"]

FORMATS = tuple(TABLE)
"""In the order in which they are recognised."""

VALIDATION = ("val", "valid", "validation")
"""Names of one part."""

OF_TOOLS = ("coco", "yolo", "folder", "cvat", "labelme", "labelstudio", "via", "createml", "csv")
"""Formats of labelling tools, of which a folder may have several."""


def read_dataset(
    path: str | PathLike[str],
    split: str | None = None,
    classes: Sequence[str] | None = None,
    format: str | None = None,
    background: bool = False,
) -> Dataset:
    """Read a data set of any supported format.

    Args:
        path: the folder of the data set, or its annotation file. README.md lists the layouts.
        split: the part to read, one of :func:`splits`. None reads all parts (of COCO JSON, the
            only file).
        classes: the classes wanted, in this order; objects of other classes are left out. By
            default those of the class file or of the categories; without these, all that occur,
            sorted.
        format: one of :data:`FORMATS`; by default it is recognised.
        background: every image without annotations is an image without objects;
            :mod:`sppdet.datasets.background` has the rule that holds otherwise.

    Errors in single files do not stop it; they are listed in ``Dataset.problems``.

    Raises:
        SppdetError: nothing there is a data set, or the split does not exist.
    """
    tree = Tree(path)
    chosen, parts = _recognised(tree, format)
    if split in VALIDATION and split not in parts:
        split = next((name for name in parts if name.casefold() in VALIDATION), split)
    if split is not None and split not in parts:
        folded = [name for name in parts if name.casefold() == split.casefold()]
        split = folded[0] if len(folded) == 1 else split
    if split is not None and split not in parts:
        names = [name for name in sorted(parts) if name]
        known = f"it has {', '.join(names)}" if names else "it has no splits, leave --split out"
        raise SppdetError(f"{path}: has no split {split}; {known}")
    if split is not None:
        wanted = [parts[split]]
    else:
        wanted = [parts[""]] if "" in parts else list(parts.values())
    dataset = chosen.read(tree, wanted, split, classes, background)
    if format is None and chosen.name in OF_TOOLS:
        dataset.notes += _others(Tree(path), chosen.name)
    return dataset


def splits(path: str | PathLike[str], format: str | None = None) -> list[str]:
    """The names of the parts of a data set, sorted; empty when it has none.

    Raises:
        SppdetError: nothing there is a data set.
    """
    return sorted(name for name in _recognised(Tree(path), format)[1] if name)


def recognise(path: str | PathLike[str]) -> str:
    """The format of a data set, one of :data:`FORMATS`.

    Raises:
        SppdetError: there is no such path, or nothing there is a data set.
    """
    return _recognised(Tree(path), None)[0].name


def _recognised(tree: Tree, format: str | None) -> tuple[Format, dict[str, Any]]:
    """The format and the parts; the name "" stands for all of a data set."""
    if format is not None:
        if format not in TABLE:
            raise SppdetError(f"--format {format}: choose one of {', '.join(FORMATS)}")
        parts = TABLE[format].parts(tree)
        if not parts and format == "folder":
            parts = folder_images(tree)
        if not parts:
            reason = TABLE[format].nearly(tree) or f"this is not {TABLE[format].what}"
            raise SppdetError(f"{tree.path}: holds no data set of the format {format}: {reason}")
        return TABLE[format], parts
    for row in TABLE.values():
        parts = row.parts(tree)
        if parts:
            return row, parts
    raise SppdetError(f"{tree.path}: {_why(tree)}")


def _others(tree: Tree, chosen: str) -> list[str]:
    """Formats that are there too: their annotations may be others."""
    found = []
    for name in OF_TOOLS:
        try:
            if name != chosen and TABLE[name].parts(tree):
                found.append(name)
        except SppdetError:
            continue
    return [
        f"there is also {TABLE[name].what}, which is not read; --format {name} reads it instead"
        for name in found
    ]


def _why(tree: Tree) -> str:
    """Why nothing is recognised: what comes close, or what would be."""
    near = [reason for row in TABLE.values() if (reason := row.nearly(tree))]
    if near:
        return "is not a data set that can be read: " + "; ".join(near)
    known = ", ".join(row.what for row in TABLE.values())
    if tree.file is not None:
        return f"is not a data set; give a folder, or an annotation file ({known})"
    held = "images, but no annotations" if tree.images else "neither images nor annotations"
    return f"holds {held} that are recognised ({known})"
