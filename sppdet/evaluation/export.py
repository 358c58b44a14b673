"""Detections written in the formats that other tools read; the twin of :mod:`.results`.

Boxes, class numbers and lines are those of :mod:`sppdet.datasets.writers`.
"""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sppdet.boxes import to_voc
from sppdet.datasets.base import Dataset
from sppdet.datasets.image_names import image_keys
from sppdet.datasets.writers.coco import category_ids
from sppdet.datasets.writers.yolo import data_yaml, line
from sppdet.detections import Detections
from sppdet.errors import SppdetError
from sppdet.images import image_size
from sppdet.runtime.names import as_file_name, as_word, as_words
from sppdet.runtime.outputs import write_recorded

EXPORTS = ("coco", "voc", "yolo", "text")

COMP_FILE = re.compile(r"comp\d_det_[^_]+_(.+)\.txt")
"""The files of VOC's results; the group is the class."""

YOLO_NAMES = "data.yaml"
"""The file of a folder of YOLO results that has the names of the classes."""

LONGEST_NAME = 255
"""Bytes of a file name that most file systems allow."""


def export_files(path: Path, format: str, dataset: Dataset) -> list[Path]:
    """The files that :func:`export` writes: one, one per class, or one per image.

    Raises:
        SppdetError: a class or an image has a name that is too long for a file.
    """
    if format == "coco":
        return [path]
    if format == "voc":
        split = as_file_name((dataset.split or "test").replace("_", "-"))
        names = [f"comp4_det_{split}_{as_file_name(name)}.txt" for name in dataset.classes]
    else:
        names = [f"{key}.txt" for key in image_keys(dataset.images)]
        names += [YOLO_NAMES] if format == "yolo" else []
    for name in names:
        if max(len(os.fsencode(part)) for part in name.split("/")) > LONGEST_NAME:
            raise SppdetError(
                f"{path}: {name[:40]}... is too long for a file name; use --export-format coco"
            )
    return [path / name for name in names]


def export(path: Path, format: str, dataset: Dataset, detections: Sequence[Detections]) -> None:
    """Write the detections of a data set, one entry per image.

    An image is named by its path relative to the folder that holds all images, see
    :func:`sppdet.datasets.image_names.image_keys`. Characters of a name that the format has no
    place for are percent-encoded, and :func:`.results.read_results` decodes them. Detections of
    classes that the data set does not have are left out, except in "text".

    Args:
        path: "coco": the JSON file; the other formats: the folder.
        format: one of :data:`EXPORTS`.

    Raises:
        SppdetError: unknown format, a name is too long for a file, or it cannot be written.
    """
    if format not in EXPORTS:
        raise SppdetError(f"results are written as one of {', '.join(EXPORTS)}, not {format}")
    files = export_files(path, format, dataset)
    if format == "coco":
        write_recorded(path, json.dumps(coco_records(dataset, detections)))
    elif format == "voc":
        _write_comp4(files, dataset, detections)
    elif format == "yolo":
        _write_yolo(files, dataset, detections)
    else:
        for file, found in zip(files, detections, strict=True):
            names = [as_words(name) for name in found.classes]
            lines = [
                f"{names[label]} {score:.9g} {_numbers(box)}\n"
                for box, label, score in zip(found.boxes, found.labels, found.scores, strict=True)
            ]
            write_recorded(file, "".join(lines))


def coco_records(dataset: Dataset, detections: Sequence[Detections]) -> list[dict[str, Any]]:
    """The entries of a COCO results file.

    Of COCO data they have its image and category ids; of other data ``image_id`` is the name of
    the image and ``category_id`` the number of the class from 1, and ``category_name`` is added.
    """
    categories = category_ids(dataset)
    names = {number: name for name, number in categories.items()}
    keys: Sequence[Any] = dataset.image_ids or image_keys(dataset.images)
    records = []
    for key, found in zip(keys, detections, strict=True):
        for record in found.to_coco(key, categories):
            if not dataset.image_ids:
                record["category_name"] = names[record["category_id"]]
            records.append(record)
    return records


def _write_comp4(files: Sequence[Path], dataset: Dataset, detections: Sequence[Detections]) -> None:
    """A file for every class of the data set, also for those without detections."""
    lines: dict[str, list[str]] = {name: [] for name in dataset.classes}
    for key, found in zip(image_keys(dataset.images), detections, strict=True):
        for box, label, score in zip(found.boxes, found.labels, found.scores, strict=True):
            if found.classes[label] in lines:
                text = f"{as_word(key)} {score:.9g} {_numbers(to_voc(box))}\n"
                lines[found.classes[label]].append(text)
    for file, own in zip(files, lines.values(), strict=True):
        write_recorded(file, "".join(own))


def _write_yolo(files: Sequence[Path], dataset: Dataset, detections: Sequence[Detections]) -> None:
    """A file for every image, and the names of the classes."""
    numbers = {name: number for number, name in enumerate(dataset.classes)}
    for file, image, found in zip(files[:-1], dataset.images, detections, strict=True):
        size = image_size(image) if len(found) else (1, 1)
        lines = [
            line(numbers[found.classes[label]], box, size, float(score))
            for box, label, score in zip(found.boxes, found.labels, found.scores, strict=True)
            if found.classes[label] in numbers
        ]
        write_recorded(file, "".join(lines))
    write_recorded(files[-1], data_yaml(dataset.classes))


def _numbers(box: Sequence[float]) -> str:
    return " ".join(f"{value:.9g}" for value in box)
