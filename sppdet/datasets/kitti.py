"""KITTI: a text file per image, 15 columns a line; ``image_2`` and ``label_2``.

The corners are in columns 5 to 8, pixels from 0. ``DontCare`` marks regions where objects are not
labelled; they are left out, with a note.
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

LINE = re.compile(r"[A-Za-z_][\w-]*(\s+[-+.\deE]+){14,15}\s*")


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
    """Read KITTI labels; the classes are those that occur, sorted."""
    problems: list[Problem] = []
    regions = 0

    def read_one(label: Path, size: Size | None) -> tuple[None, list[RawObject]]:
        nonlocal regions
        objects, ignored = read_file(label, problems)
        regions += ignored
        return None, objects

    pairs = [one for part in chosen for one in part]
    dataset = read_pairs(tree, "kitti", pairs, split, classes, read_one, problems, background)
    if regions:
        dataset.notes.append(
            f"{counted(regions, 'region')} called DontCare {verb(regions)} left out"
        )
    return dataset


def read_file(file: Path, problems: list[Problem]) -> tuple[list[RawObject], int]:
    """The objects of a label file, and the number of regions that are called DontCare."""
    objects, ignored = [], 0
    for number, line in enumerate(read_text(file).splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if words[0] == "DontCare":
            ignored += 1
            continue
        try:
            x1, y1, x2, y2 = (float(word) for word in words[4:8])
        except ValueError as error:
            problems.append(Problem("bad object", file, f"line {number}: {error}, left out"))
            continue
        objects.append(RawObject(words[0], (x1, y1, x2, y2)))
    return objects, ignored
