"""Data sets written for other tools: one writer per format, the twins of the readers."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from sppdet.datasets.base import Dataset
from sppdet.datasets.writers import coco, createml, csv_boxes, voc, yolo
from sppdet.errors import SppdetError
from sppdet.runtime.files import atomic_folder

__all__ = ["WRITERS", "check_target", "write_dataset"]

WRITERS = {
    "voc": voc.write,
    "coco": coco.write,
    "yolo": yolo.write,
    "csv": csv_boxes.write,
    "createml": createml.write,
}
"""Formats that can be written."""


def write_dataset(
    parts: Mapping[str, Dataset], format: str, folder: str | PathLike[str], copy: bool = False
) -> list[str]:
    """Write a data set that :func:`sppdet.datasets.read_dataset` reads back.

    Boxes are equal to half a pixel, classes and the names of images are the same. The folder
    appears whole: nothing is left of a run that fails or is killed.

    Args:
        parts: the parts by name; {"": dataset} for a data set without parts.
        format: one of :data:`WRITERS`.
        folder: a new or empty folder.
        copy: copy the images; by default they are symbolic links.

    Returns:
        what changed or was left out, a line each.

    Raises:
        SppdetError: the folder has files, a class name does not fit the format, or a file cannot be
            written.
    """
    if format not in WRITERS:
        raise SppdetError(f"data sets are written as one of {', '.join(WRITERS)}, not {format}")
    check_target(folder)
    with atomic_folder(folder) as temporary:
        return WRITERS[format](parts, temporary, copy)


def check_target(folder: str | PathLike[str], data: str | PathLike[str] | None = None) -> None:
    """Refuse a folder that has files, or that lies in the data set.

    Raises:
        SppdetError: with the remedy.
    """
    target = Path(folder)
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise SppdetError(f"{target}: is not an empty folder; name a new one")
    except OSError as error:
        raise SppdetError(f"{target}: cannot be read ({error.strerror or error})") from None
    if data is not None and Path(data).is_dir():
        inner, outer = target.resolve(), Path(data).resolve()
        if outer in (inner, *inner.parents):
            raise SppdetError(f"{target}: lies in the data set {data}; name a folder outside it")
