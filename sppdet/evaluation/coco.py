"""COCO's figures, computed by pycocotools."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sppdet.boxes import to_xywh
from sppdet.datasets.base import Dataset
from sppdet.datasets.coco_json import is_box, read_json
from sppdet.datasets.writers.coco import category_ids
from sppdet.detections import Detections
from sppdet.evaluation.export import coco_records

FIGURES = (
    "AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large",
    "AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large",
)  # fmt: skip
"""In the order of ``COCOeval.stats``."""


def evaluate_coco(
    dataset: Dataset,
    detections: Sequence[Detections],
    records: Sequence[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """AP and AR over IoU 0.5:0.95, by size and by number of detections (Lin et al., 2014).

    For COCO data the ground truth is its own file, with the areas of the masks and the crowds.
    Other data are converted: the area is that of the box, and ``difficult`` boxes become crowds,
    because COCO counts a crowd neither as a true positive nor as a missed object.

    Args:
        dataset: the ground truth.
        detections: one entry per image.
        records: for COCO data, the entries of a results file, taken instead of ``detections``
            without rounding.

    Returns:
        :data:`FIGURES`, None where no object is of that kind; "classes": {NAME: {"AP", "AP50"}}.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        truth = _index(_truth(dataset))
        if records is None or dataset.annotation_file is None:
            records = _own_records(dataset, detections)
        if records:
            found = truth.loadRes([dict(record) for record in records])
        else:
            found = _index({**truth.dataset, "annotations": []})
        judge = COCOeval(truth, found, "bbox")
        judge.params.imgIds = _ids(dataset)
        judge.params.catIds = list(category_ids(dataset).values())
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    figures: dict[str, Any] = {
        name: _figure(value) for name, value in zip(FIGURES, judge.stats, strict=False)
    }
    precision = judge.eval["precision"][:, :, :, 0, 2]
    figures["classes"] = {
        name: {"AP": _mean(precision[:, :, k]), "AP50": _mean(precision[0, :, k])}
        for k, name in enumerate(_sorted_classes(dataset))
    }
    return figures


def _truth(dataset: Dataset) -> dict[str, Any]:
    if dataset.annotation_file is not None:
        content = read_json(dataset.annotation_file)
        content["annotations"] = [
            entry
            for entry in content["annotations"]
            if isinstance(entry, dict) and is_box(entry.get("bbox"))
        ]
        for number, entry in enumerate(content["annotations"], 1):
            entry.setdefault("id", number)
            entry.setdefault("iscrowd", 0)
            entry.setdefault("area", entry["bbox"][2] * entry["bbox"][3])
        return content
    annotations: list[dict[str, Any]] = []
    for index in range(len(dataset.images)):
        entry = dataset.annotations(index)
        for row, box in enumerate(entry.boxes):
            written = to_xywh(box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index + 1,
                    "category_id": int(entry.labels[row]) + 1,
                    "bbox": list(written),
                    "area": written[2] * written[3],
                    "iscrowd": int(entry.crowd[row] or entry.difficult[row]),
                }
            )
    return {
        "info": {},
        "images": [{"id": key} for key in _ids(dataset)],
        "annotations": annotations,
        "categories": [{"id": k, "name": n} for n, k in category_ids(dataset).items()],
    }


def _own_records(dataset: Dataset, detections: Sequence[Detections]) -> list[dict[str, Any]]:
    records = coco_records(dataset, detections)
    if dataset.image_ids is None:
        counts = [sum(name in dataset.classes for name in _names(entry)) for entry in detections]
        for record, key in zip(records, np.repeat(_ids(dataset), counts), strict=True):
            record["image_id"] = int(key)
    return records


def _names(found: Detections) -> list[str]:
    return [found.classes[label] for label in found.labels]


def _ids(dataset: Dataset) -> list[int]:
    return dataset.image_ids or list(range(1, len(dataset.images) + 1))


def _sorted_classes(dataset: Dataset) -> list[str]:
    """The classes in the order in which COCOeval holds them: by id."""
    categories = category_ids(dataset)
    return sorted(categories, key=lambda name: categories[name])


def _index(content: dict[str, Any]) -> COCO:
    coco = COCO()
    coco.dataset = content
    coco.createIndex()
    return coco


def _figure(value: float) -> float | None:
    return None if value < 0 else float(value)


def _mean(values: "np.ndarray[Any, Any]") -> float | None:
    known = values[values > -1]
    return float(known.mean()) if known.size else None
