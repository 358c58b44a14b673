"""COCO: ``annotations/instances_PART.json``, and the images in ``images/PART``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sppdet.boxes import to_xywh
from sppdet.datasets.base import Dataset
from sppdet.datasets.writers.common import part_name, pictures, place
from sppdet.runtime.files import write_text


def write(parts: Mapping[str, Dataset], folder: Path, copy: bool) -> list[str]:
    """Write the parts of a data set; returns what changed, a line each.

    Ids of images and categories stay those of the data set where it has them. A difficult object
    has the entry ``"difficult": 1``.

    Raises:
        SppdetError: a file cannot be written.
    """
    notes: list[str] = []
    for split, dataset in parts.items():
        ids = category_ids(dataset)
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        place_in = folder / "images" / (part_name(split) if split else "")
        for picture in pictures(dataset, notes):
            place(picture, place_in / picture.name, copy)
            width, height = picture.size
            images.append(
                {"id": picture.id, "file_name": picture.name, "width": width, "height": height}
            )
            entry = picture.objects
            for row, box in enumerate(entry.boxes):
                written = to_xywh(box)
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": picture.id,
                        "category_id": ids[dataset.classes[entry.labels[row]]],
                        "bbox": list(written),
                        "area": written[2] * written[3],
                        "iscrowd": int(entry.crowd[row]),
                        **({"difficult": 1} if entry.difficult[row] else {}),
                    }
                )
        categories = [{"id": ids[name], "name": name} for name in dataset.classes]
        content = {"images": images, "annotations": annotations, "categories": categories}
        name = f"instances_{part_name(split)}.json" if split else "instances.json"
        write_text(folder / "annotations" / name, json.dumps(content))
    return notes


def category_ids(dataset: Dataset) -> dict[str, int]:
    """The category id of each class: those of the data set, or the numbers from 1."""
    return dataset.category_ids or {name: k for k, name in enumerate(dataset.classes, 1)}
