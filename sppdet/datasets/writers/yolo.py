"""YOLO: ``images/PART``, ``labels/PART`` and ``data.yaml``."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

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
    setup: dict[str, Any] = {}
    for split, dataset in parts.items():
        inner = part_name(split) if split else ""
        for picture in pictures(dataset, notes):
            place(picture, folder / "images" / inner / picture.name, copy)
            lines = []
            width, height = picture.size
            entry = picture.objects
            for (x1, y1, x2, y2), label in zip(entry.boxes.tolist(), entry.labels, strict=True):
                number = classes.index(dataset.classes[label])
                values = (
                    (x1 + x2) / 2 / width,
                    (y1 + y2) / 2 / height,
                    (x2 - x1) / width,
                    (y2 - y1) / height,
                )
                lines.append(f"{number} {' '.join(f'{value:.9g}' for value in values)}\n")
            write_text(folder / "labels" / inner / f"{picture.stem}.txt", "".join(lines))
        setup[split or "train"] = f"images/{inner}" if inner else "images"
    setup["names"] = dict(enumerate(classes))
    text = yaml.safe_dump(setup, allow_unicode=True, sort_keys=False)
    write_text(folder / "data.yaml", text)
    return notes
