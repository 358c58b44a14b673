"""Detections written in the formats that other tools read; the twin of :mod:`.results`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sppdet.datasets.base import Dataset
from sppdet.detections import Detections
from sppdet.errors import SppdetError
from sppdet.runtime.files import write_text

EXPORTS = ("coco", "voc", "text")


def export(path: Path, format: str, dataset: Dataset, detections: Sequence[Detections]) -> None:
    """Write the detections of a data set, one entry per image.

    Args:
        path: "coco": the JSON file; "voc" and "text": the folder.
        format: one of :data:`EXPORTS`.

    Raises:
        SppdetError: unknown format, or it cannot be written.
    """
    if format == "coco":
        write_text(path, json.dumps(coco_records(dataset, detections)))
    elif format == "voc":
        _write_comp4(path, dataset, detections)
    elif format == "text":
        for image, found in zip(dataset.images, detections, strict=True):
            lines = [
                f"{found.classes[label]} {score:.9g} {' '.join(f'{v:.9g}' for v in box)}\n"
                for box, label, score in zip(found.boxes, found.labels, found.scores, strict=True)
            ]
            write_text(path / f"{image.stem}.txt", "".join(lines))
    else:
        raise SppdetError(f"results are written as one of {', '.join(EXPORTS)}, not {format}")


def coco_records(dataset: Dataset, detections: Sequence[Detections]) -> list[dict[str, Any]]:
    """The entries of a COCO results file.

    Of COCO data they have its image and category ids; of other data ``image_id`` is the stem of the
    file and ``category_id`` the number of the class from 1, and ``category_name`` is added.
    """
    categories = dataset.category_ids or {n: k for k, n in enumerate(dataset.classes, 1)}
    records = []
    for index, (image, found) in enumerate(zip(dataset.images, detections, strict=True)):
        key = dataset.image_ids[index] if dataset.image_ids else image.stem
        for box, label, score in zip(found.boxes, found.labels, found.scores, strict=True):
            name = found.classes[label]
            if name not in categories:
                continue
            x1, y1, x2, y2 = (float(value) for value in box)
            record = {
                "image_id": key,
                "category_id": categories[name],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": float(score),
            }
            if not dataset.image_ids:
                record["category_name"] = name
            records.append(record)
    return records


def _write_comp4(folder: Path, dataset: Dataset, detections: Sequence[Detections]) -> None:
    """``comp4_det_SPLIT_CLASS.txt`` for every class, also for those without detections."""
    lines: dict[str, list[str]] = {name: [] for name in dataset.classes}
    for image, found in zip(dataset.images, detections, strict=True):
        for box, label, score in zip(found.boxes, found.labels, found.scores, strict=True):
            x1, y1, x2, y2 = (float(value) for value in box)
            numbers = (float(score), x1 + 1, y1 + 1, x2, y2)
            text = " ".join(f"{value:.9g}" for value in numbers)
            lines.setdefault(found.classes[label], []).append(f"{image.stem} {text}\n")
    split = (dataset.split or "test").replace("_", "-")
    for name, own in lines.items():
        write_text(folder / f"comp4_det_{split}_{name}.txt", "".join(own))
