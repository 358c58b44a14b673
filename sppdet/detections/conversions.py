"""A result in the forms that other programs have, and back from JSON."""

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from sppdet.detections.record import Found
from sppdet.errors import SppdetError


def to_json(found: Found) -> list[dict[str, Any]]:
    """See :meth:`sppdet.detections.Detections.to_json`; so for the other functions here."""
    return [
        {
            "label": one.label,
            "score": round(one.score, 4),
            "box": [round(value, 1) for value in one.box],
        }
        for one in found
    ]


def to_dict(found: Found) -> dict[str, Any]:
    width, height = found.size or (None, None)
    return {
        "image": image_name(found),
        "width": width,
        "height": height,
        "classes": list(found.classes),
        "detections": [
            {"label": one.label, "score": one.score, "box": list(one.box)} for one in found
        ],
        "seconds": dict(found.seconds),
    }


def from_dict(content: Mapping[str, Any]) -> tuple[Any, ...]:
    """The arguments of ``Detections``."""
    try:
        entries = list(content["detections"])
        labels = [str(entry["label"]) for entry in entries]
        classes = [str(name) for name in content.get("classes") or sorted(set(labels))]
        width, height = content.get("width"), content.get("height")
        unknown = sorted(set(labels) - set(classes))
        if unknown:
            raise ValueError(f"the label {unknown[0]!r} is not in its classes")
        return (
            np.array([entry["box"] for entry in entries], np.float32).reshape(-1, 4),
            np.array([classes.index(label) for label in labels], np.int64),
            np.array([entry["score"] for entry in entries], np.float32),
            tuple(classes),
            {str(name): float(value) for name, value in (content.get("seconds") or {}).items()},
            None if width is None or height is None else (int(width), int(height)),
            content.get("image"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is not what Detections.to_dict gives ({error!r})") from None


def to_coco(
    found: Found, image_id: int | str, category_ids: Mapping[str, int] | None
) -> list[dict[str, Any]]:
    ids = category_ids
    if ids is None:
        ids = {name: number for number, name in enumerate(found.classes, 1)}
    entries = []
    for one in found:
        if one.label not in ids:
            continue
        x1, y1, x2, y2 = one.box
        entry: dict[str, Any] = {
            "image_id": image_id,
            "category_id": ids[one.label],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": one.score,
        }
        if category_ids is None:
            entry["category_name"] = one.label
        entries.append(entry)
    return entries


def to_yolo(found: Found, size: tuple[int, int] | None) -> str:
    width, height = _size(found, size)
    lines = []
    for label, one in zip(found.labels.tolist(), found, strict=True):
        x1, y1, x2, y2 = one.box
        centre = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height
        values = (*centre, (x2 - x1) / width, (y2 - y1) / height, one.score)
        lines.append(f"{label} {' '.join(f'{value:.9g}' for value in values)}\n")
    return "".join(lines)


def to_voc(found: Found, name: str | None, size: tuple[int, int] | None) -> str:
    from sppdet.datasets.base import Annotations
    from sppdet.datasets.writers.common import Picture, check_names
    from sppdet.datasets.writers.voc import ALLOWED, annotation

    name = name or image_name(found)
    if name is None:
        raise ValueError("the name of the image is unknown: give name")
    check_names([found.classes[label] for label in set(found.labels.tolist())], ALLOWED, "VOC")
    none = np.zeros(len(found), bool)
    objects = Annotations(found.boxes, found.labels, none, none)
    picture = Picture(Path(name), Path(name).name, _size(found, size), objects, 0)
    return annotation(picture, found.classes)


def to_pandas(found: Found) -> Any:
    pandas = _package("pandas")
    columns: dict[str, Any] = {
        "label": [one.label for one in found],
        "score": np.array(found.scores),
    }
    columns |= {name: found.boxes[:, k].copy() for k, name in enumerate(("x1", "y1", "x2", "y2"))}
    return pandas.DataFrame(columns)


def to_supervision(found: Found) -> Any:
    supervision = _package("supervision")
    return supervision.Detections(
        xyxy=found.boxes.copy(),
        confidence=found.scores.copy(),
        class_id=found.labels.copy(),
        data={"class_name": np.array([one.label for one in found], dtype=str)},
    )


def image_name(found: Found) -> str | None:
    """The path of the image, or None where it is not known by a path."""
    if isinstance(found.source, str | os.PathLike):
        return str(found.source)
    return None


def _size(found: Found, size: tuple[int, int] | None) -> tuple[int, int]:
    known = size or found.size
    if known is None:
        raise ValueError("the size of the image is unknown: give size=(width, height)")
    return known


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise SppdetError(f"{name} is not installed: pip install {name}") from None
