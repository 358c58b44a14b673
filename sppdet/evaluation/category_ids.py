"""Whether the ids of COCO results are those of the annotation file."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sppdet.boxes import as_boxes, iou
from sppdet.datasets.base import Dataset
from sppdet.datasets.coco import read_json
from sppdet.errors import SppdetError
from sppdet.runtime.words import counted, verb

LEAST_IOU = 0.5
"""IoU from which a detection is compared with the class of an object."""

LEAST_AGREEMENT = 10
"""Detections that must agree with another numbering before results are refused for it; they must
also be half of those that overlap an object."""

ADVANTAGE = 2.0
"""How many times as many detections must agree with another numbering as with the file's."""


def check_category_ids(
    path: Path,
    records: Sequence[Mapping[str, Any]],
    dataset: Dataset,
    names: Mapping[Any, str],
) -> None:
    """Refuse results that number the categories in another way than the data set.

    That is so when an id is not in the annotation file at all, or when the classes of the objects
    that the detections overlap fit another usual numbering much better: from 0, from 1, or one more
    or less.

    Args:
        path: the results, for the message.
        records: its entries.
        dataset: what they are the results for.
        names: the class of each category id of the data set.

    Raises:
        SppdetError: they do; the line says which numbering fits.
    """
    known = dict(names)
    if dataset.annotation_file is not None:
        for entry in read_json(dataset.annotation_file)["categories"]:
            known.setdefault(entry.get("id"), str(entry.get("name")))
    try:
        used = {record["category_id"] for record in records}
    except (KeyError, TypeError):
        return  # the reader says which entry is wrong
    unknown = sorted(used - known.keys(), key=str)
    listed = ", ".join(f"{key} {known[key]}" for key in sorted(known, key=str)[:6])
    remedy = f"write the ids of {dataset.annotation_file or 'the classes in their order from 1'}"
    if unknown:
        raise SppdetError(
            f"{path}: category {', '.join(map(str, unknown[:6]))} is not in the data, which have "
            f"{listed}{', ...' if len(known) > 6 else ''}{_guess(used, known)}; {remedy}"
        )
    better = _better_numbering(records, dataset, known)
    if better:
        raise SppdetError(f"{path}: {better}; {remedy} ({listed})")


def check_image_ids(path: Path, records: Sequence[Mapping[str, Any]], dataset: Dataset) -> None:
    """Refuse results whose image ids are all one more or one less than those of the data set.

    That is so when an id is unknown, no id is after the shift, and most images occur.

    Raises:
        SppdetError: they are.
    """
    ids = set(dataset.image_ids or ())
    used = {str(record.get("image_id")) for record in records if isinstance(record, Mapping)}
    numbers = {int(key) for key in used if re.fullmatch(r"-?[0-9]{1,18}", key)}
    if len(numbers) < len(used) or numbers <= ids or 2 * len(numbers) < max(len(ids), 4):
        return
    for shift, word in ((1, "less"), (-1, "more")):
        if {key + shift for key in numbers} <= ids:
            raise SppdetError(
                f"{path}: image {min(numbers - ids)} is not in the data; every image id seems to "
                f"be one {word} than in {dataset.annotation_file or dataset.path}; write its ids"
            )


def _guess(used: set[Any], known: Mapping[Any, str]) -> str:
    numbers = all(isinstance(key, int) for key in (*used, *known))
    if numbers and 0 in used and 0 not in known and max(used) < len(known):
        return "; the results seem to count the categories from 0"
    return ""


def _better_numbering(
    records: Sequence[Mapping[str, Any]], dataset: Dataset, known: Mapping[Any, str]
) -> str | None:
    """What to say where another numbering of the categories fits the objects much better."""
    if not all(isinstance(key, int) for key in known):
        return None
    ids = sorted(known)
    numberings: dict[str, Callable[[int], int | None]] = {
        "the id minus 1": lambda key: key - 1,
        "the id plus 1": lambda key: key + 1,
        "the place in the list of categories from 0": lambda key: _at(ids, key),
        "the place in the list of categories from 1": lambda key: _at(ids, key - 1),
    }
    pairs = _overlapping(records, dataset)
    if not pairs:
        return None
    own = sum(known[key] in classes for key, classes in pairs)
    agreed = {
        name: sum(known.get(numbering(key)) in classes for key, classes in pairs)
        for name, numbering in numberings.items()
    }
    name = max(agreed, key=lambda one: agreed[one])
    if agreed[name] < max(LEAST_AGREEMENT, ADVANTAGE * own, len(pairs) / 2):
        return None
    return (
        f"{counted(len(pairs), 'detection')} {verb(len(pairs), 'overlaps', 'overlap')} an "
        f"object, and {own} "
        f"of them {verb(own, 'has', 'have')} its category id, but "
        f"{agreed[name]} would have it if category_id were {name}"
    )


def _at(ids: Sequence[int], place: int) -> int | None:
    return ids[place] if 0 <= place < len(ids) else None


def _overlapping(
    records: Sequence[Mapping[str, Any]], dataset: Dataset
) -> list[tuple[int, set[str]]]:
    """The category id of each detection that overlaps an object, and the classes of the objects."""
    images = {key: index for index, key in enumerate(dataset.image_ids or ())}
    by_image: dict[int, list[tuple[int, list[float]]]] = {}
    for record in records:
        try:
            box = [float(value) for value in record["bbox"]]
            index = images.get(record["image_id"])
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
        if index is not None and len(box) == 4 and np.isfinite(box).all():
            by_image.setdefault(index, []).append((record["category_id"], box))
    pairs = []
    for index, found in by_image.items():
        truth = dataset.annotations(index)
        if not len(truth):
            continue
        boxes = as_boxes([[x, y, x + w, y + h] for _, (x, y, w, h) in found])
        near = iou(boxes, truth.boxes) >= LEAST_IOU
        for (key, _), row in zip(found, near, strict=True):
            if row.any():
                pairs.append((key, {dataset.classes[label] for label in truth.labels[row]}))
    return pairs
