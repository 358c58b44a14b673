"""VisDrone: a text file per image, ``left,top,width,height,score,category,truncation,occlusion``.

A score of 0 means that the object does not count: it is read as difficult. The categories 0
(ignored regions) and 11 (others) are left out, with a note.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from sppdet.datasets.background import Pair
from sppdet.datasets.base import Dataset, Problem, RawObject
from sppdet.datasets.files import Tree, read_text
from sppdet.datasets.pairing import text_parts
from sppdet.datasets.per_image import Size, read_pairs
from sppdet.runtime.words import counted, verb

CATEGORIES = (
    "ignored regions",
    "pedestrian",
    "people",
    "bicycle",
    "car",
    "van",
    "truck",
    "tricycle",
    "awning-tricycle",
    "bus",
    "motor",
    "others",
)
"""By number, from 0."""

LINE = re.compile(r"\s*(-?\d+\s*,\s*){7}-?\d+\s*,?\s*")


def parts(tree: Tree) -> dict[str, list[Pair]]:
    """Images with their text files by part."""
    return text_parts(tree, LINE)


def read(
    tree: Tree,
    chosen: Sequence[list[Pair]],
    split: str | None,
    classes: Sequence[str] | None,
    background: bool,
) -> Dataset:
    """Read VisDrone labels; the classes are the ten of the benchmark."""
    problems: list[Problem] = []
    ignored = 0

    def read_one(label: Path, size: Size | None) -> tuple[None, list[RawObject]]:
        nonlocal ignored
        objects, left_out = read_file(label, problems)
        ignored += left_out
        return None, objects

    pairs = [one for part in chosen for one in part]
    wanted = classes or CATEGORIES[1:11]
    dataset = read_pairs(tree, "visdrone", pairs, split, wanted, read_one, problems, background)
    if ignored:
        one, many = "ignored region or other object", "ignored regions and other objects"
        dataset.notes.append(f"{counted(ignored, one, many)} {verb(ignored)} left out")
    return dataset


def read_file(file: Path, problems: list[Problem]) -> tuple[list[RawObject], int]:
    """The objects of a label file, and the number of those that do not count for any class."""
    objects, ignored = [], 0
    for number, line in enumerate(read_text(file).splitlines(), 1):
        words = [word.strip() for word in line.split(",") if word.strip()]
        if not words:
            continue
        try:
            x, y, w, h, score, category = (int(word) for word in words[:6])
            name = CATEGORIES[category] if category >= 0 else ""
        except (ValueError, IndexError) as error:
            problems.append(Problem("bad object", file, f"line {number}: {error}, left out"))
            continue
        if not 1 <= category <= 10:
            ignored += 1
            continue
        objects.append(RawObject(name, (x, y, x + w, y + h), difficult=score == 0))
    return objects, ignored
