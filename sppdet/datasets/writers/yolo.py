"""YOLO: ``images/PART``, ``labels/PART`` and ``data.yaml``."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from sppdet.boxes import Boxes, to_yolo
from sppdet.datasets.base import Dataset
from sppdet.datasets.writers.common import check_names, flag_notes, part_name, pictures, place
from sppdet.runtime.files import write_text

ALLOWED = re.compile(r"[^\ud800-\udfff]+")


def write(parts: Mapping[str, Dataset], folder: Path, copy: bool) -> list[str]:
    """Write the parts of a data set; returns what changed, a line each.

    Raises:
        SppdetError: a class name cannot be written, or a file cannot.
    """
    classes = list(dict.fromkeys(name for dataset in parts.values() for name in dataset.classes))
    check_names(classes, ALLOWED, "YAML")
    notes = flag_notes(list(parts.values()), "yolo", ("difficult", "crowd"))
    setup: dict[str, str] = {}
    for split, dataset in parts.items():
        inner = part_name(split) if split else ""
        for picture in pictures(dataset, notes):
            place(picture, folder / "images" / inner / picture.name, copy)
            entry = picture.objects
            lines = [
                line(classes.index(dataset.classes[label]), box, picture.size)
                for box, label in zip(entry.boxes, entry.labels, strict=True)
            ]
            write_text(folder / "labels" / inner / f"{picture.stem}.txt", "".join(lines))
        setup[split or "train"] = f"images/{inner}" if inner else "images"
    write_text(folder / "data.yaml", data_yaml(classes, setup))
    return notes


def line(
    number: int, box: Sequence[float] | Boxes, size: tuple[int, int], score: float | None = None
) -> str:
    """The line of an object: its class, its box in an image of ``size``, and perhaps a score."""
    values = [*to_yolo(box, *size), *([] if score is None else [score])]
    return f"{number} {' '.join(f'{value:.9g}' for value in values)}\n"


def data_yaml(classes: Sequence[str], setup: Mapping[str, str] | None = None) -> str:
    """The text of ``data.yaml``: the folders of the parts in ``setup``, and the class names."""
    content = {**(setup or {}), "names": dict(enumerate(classes))}
    # PyYAML writes these line ends as they are, and reads the first one as a space.
    plain = not any(one in name for name in classes for one in "\x85\u2028\u2029")
    return yaml.safe_dump(content, allow_unicode=plain, sort_keys=False)
