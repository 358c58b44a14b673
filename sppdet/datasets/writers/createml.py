"""CreateML: a folder for each part, with the images and ``_annotations.createml.json``."""

import json
from collections.abc import Mapping
from pathlib import Path

from sppdet.datasets.base import Dataset
from sppdet.datasets.writers.common import flag_notes, part_name, pictures, place
from sppdet.runtime.files import write_text


def write(parts: Mapping[str, Dataset], folder: Path, copy: bool) -> list[str]:
    """Write the parts of a data set; returns what changed, a line each.

    Raises:
        SppdetError: a file cannot be written.
    """
    notes = flag_notes(list(parts.values()), "createml", ("difficult", "crowd"))
    for split, dataset in parts.items():
        inner = folder / part_name(split) if split else folder
        content = []
        for picture in pictures(dataset, notes):
            place(picture, inner / picture.name, copy)
            entry = picture.objects
            annotations = []
            for (x1, y1, x2, y2), label in zip(entry.boxes.tolist(), entry.labels, strict=True):
                values = ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
                coordinates = dict(zip(("x", "y", "width", "height"), values, strict=True))
                annotations.append({"label": dataset.classes[label], "coordinates": coordinates})
            content.append({"image": picture.name, "annotations": annotations})
        write_text(inner / "_annotations.createml.json", json.dumps(content))
    return notes
