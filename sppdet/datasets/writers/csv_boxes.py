"""CSV: ``PART.csv`` with a row for each object, and the images in ``images/PART``.

Corners are pixels from 0, the right and lower one excluded. An image without objects has a row
without class and corners.
"""

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path

from sppdet.datasets.base import Dataset
from sppdet.datasets.writers.common import check_names, flag_notes, part_name, pictures, place
from sppdet.runtime.files import write_text

ALLOWED = re.compile(r"[^\x00\ud800-\udfff]+")
HEADINGS = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")


def write(parts: Mapping[str, Dataset], folder: Path, copy: bool) -> list[str]:
    """Write the parts of a data set; returns what changed, a line each.

    Raises:
        SppdetError: a class name cannot be written, or a file cannot.
    """
    for dataset in parts.values():
        check_names(dataset.classes, ALLOWED, "CSV")
    notes = flag_notes(list(parts.values()), "csv", ("difficult", "crowd"))
    for split, dataset in parts.items():
        inner = f"images/{part_name(split)}" if split else "images"
        table = io.StringIO(newline="")
        rows = csv.writer(table, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        rows.writerow(HEADINGS)
        for picture in pictures(dataset, notes):
            place(picture, folder / inner / picture.name, copy)
            start = (f"{inner}/{picture.name}", *picture.size)
            entry = picture.objects
            for box, label in zip(entry.boxes.tolist(), entry.labels, strict=True):
                corners = (float(f"{value:.9g}") for value in box)
                rows.writerow((*start, dataset.classes[label], *corners))
            if not len(entry):
                rows.writerow((*start, "", "", "", "", ""))
        name = f"{part_name(split)}.csv" if split else "annotations.csv"
        write_text(folder / name, table.getvalue())
    return notes
