"""The contents of a data set, and its problems."""

import hashlib
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sppdet.boxes import area, iou
from sppdet.datasets.base import Dataset, Problem
from sppdet.datasets.doubts import doubts
from sppdet.errors import SppdetError, SppdetWarning
from sppdet.images import read_image

DUPLICATE_IOU = 0.95
"""Two boxes of one class in an image that overlap by more are one object, marked twice."""

SIZE_LIMITS = (32**2, 96**2)
"""Square pixels up to which an object is small, and medium, as COCO counts."""


@dataclass(frozen=True)
class Check:
    """Attributes:
    summary: the counts, ready for JSON; "doubts" are lines, see :mod:`sppdet.datasets.doubts`.
    problems: all problems: those of the reader, and those of the check.
    pixels: the images that can be read, by a digest of their pixels.
    """

    summary: dict[str, Any]
    problems: list[Problem]
    pixels: dict[bytes, Path]

    def to_json(self) -> dict[str, Any]:
        """The summary, and "problems": a list of {"kind", "file", "message"}."""
        listed = [
            {"kind": p.kind, "file": str(p.file), "message": p.message} for p in self.problems
        ]
        return {**self.summary, "problems": listed}


def check(dataset: Dataset, progress: Callable[[], None] | None = None) -> Check:
    """Read every image and look at every box. A problem does not stop it.

    Args:
        dataset: what to check.
        progress: called after each image.
    """
    problems = list(dataset.problems)
    known = {problem.file for problem in problems if problem.kind.endswith("image")}
    contents: defaultdict[bytes, list[Path]] = defaultdict(list)
    unreadable = 0
    for index, path in enumerate(dataset.images):
        try:
            with warnings.catch_warnings(record=True) as damage:
                warnings.simplefilter("always", SppdetWarning)
                image = read_image(path)
            contents[hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()].append(
                path
            )
            for warning in damage:
                message = str(warning.message).removeprefix(f"{path}: ")
                problems.append(Problem("cut image", path, message))
        except (OSError, SppdetError) as error:
            unreadable += 1
            if path not in known:
                kind = "unreadable image" if path.exists() else "missing image"
                message = str(error).removeprefix(f"{path}: ")
                problems.append(Problem(kind, path, message))
        problems += _duplicates(dataset, index)
        if progress is not None:
            progress()
    for same in contents.values():
        problems += [_identical(path, same[0]) for path in same[1:]]
    first = {digest: same[0] for digest, same in contents.items()}
    return Check(_summary(dataset, unreadable, problems), problems, first)


def between(name: str, one: Check, other_name: str, other: Check) -> list[Problem]:
    """The images that two splits share: a detector is tested on what it has learned."""
    return [
        Problem("image in two splits", path, f"of {other_name} has the pixels of {same}, of {name}")
        for digest, path in other.pixels.items()
        for same in [one.pixels.get(digest)]
        if same is not None
    ]


def _identical(path: Path, first: Path) -> Problem:
    if path.parent != first.parent:
        text = f"has the same pixels as {first}, in another folder; is that another split?"
        return Problem("identical image", path, text)
    return Problem("identical image", path, f"has the same pixels as {first}")


def _duplicates(dataset: Dataset, index: int) -> list[Problem]:
    entry = dataset.annotations(index)
    same = np.triu(iou(entry.boxes, entry.boxes) > DUPLICATE_IOU, 1)
    problems = []
    for b in np.flatnonzero(same.any(axis=0)):  # a box is named once, with the first like it
        a = same[:, b].argmax()
        first, second = (dataset.classes[entry.labels[k]] for k in (a, b))
        box = ", ".join(f"{value:g}" for value in entry.boxes[b])
        if first == second:
            text = f"{first} box [{box}] is marked twice"
            problems.append(Problem("duplicate box", dataset.images[index], text))
        else:
            text = f"box [{box}] is {first} and {second}"
            problems.append(Problem("two classes", dataset.images[index], text))
    return problems


def _summary(dataset: Dataset, unreadable: int, problems: list[Problem]) -> dict[str, Any]:
    annotations = dataset.all_annotations()
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(a.boxes for a in annotations)])
    labels = np.concatenate([np.zeros(0, np.int64), *(a.labels for a in annotations)])
    images = np.zeros(len(dataset.classes), int)
    for entry in annotations:
        images[np.unique(entry.labels)] += 1
    counts = np.bincount(labels, minlength=len(dataset.classes))
    areas = area(boxes)
    classes = {
        name: {
            "objects": int(counts[label]),
            "images": int(images[label]),
            "share": float(counts[label] / max(len(labels), 1)),
            "median_side": _median(np.sqrt(areas[labels == label])),
        }
        for label, name in enumerate(dataset.classes)
    }
    sides = boxes[:, 2:] - boxes[:, :2]
    return {
        "path": str(dataset.path),
        "format": dataset.format,
        "split": dataset.split,
        "images": len(dataset.images),
        "images_unreadable": unreadable,
        "images_without_objects": sum(len(entry) == 0 for entry in annotations),
        "objects": len(labels),
        "difficult": int(sum(entry.difficult.sum() for entry in annotations)),
        "crowd": int(sum(entry.crowd.sum() for entry in annotations)),
        "classes": classes,
        "box_sides": {
            name: [float(v) for v in np.percentile(sides[:, axis], (0, 25, 50, 75, 100))]
            for axis, name in enumerate(("width", "height"))
        }
        if len(boxes)
        else {},
        "sizes": {
            "small": int((areas <= SIZE_LIMITS[0]).sum()),
            "medium": int(((areas > SIZE_LIMITS[0]) & (areas <= SIZE_LIMITS[1])).sum()),
            "large": int((areas > SIZE_LIMITS[1]).sum()),
        },
        "doubts": doubts(dataset),
        "problem_kinds": dict(sorted(Counter(problem.kind for problem in problems).items())),
    }


def _median(values: np.ndarray) -> float | None:
    return float(np.median(values)) if len(values) else None
