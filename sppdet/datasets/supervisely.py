"""Supervisely: ``DATASET/img/7.jpg`` and ``DATASET/ann/7.jpg.json``, objects as figures.

A rectangle has the left upper and the right lower pixel, both included, counted from 0; the right
lower corner is one further. Of polygons the upright hull is the box; other figures are left out.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sppdet.datasets.background import Pair
from sppdet.datasets.base import Dataset, Problem, RawObject
from sppdet.datasets.files import Tree, parse_json
from sppdet.datasets.json_kinds import files_of_kind
from sppdet.datasets.pairing import by_part, pair
from sppdet.datasets.per_image import Size, read_pairs, stated_size
from sppdet.datasets.shapes import hull
from sppdet.errors import SppdetError


def parts(tree: Tree) -> dict[str, list[Pair]]:
    """Images with their JSON files by part."""
    found = pair(tree, files_of_kind(tree, "supervisely"), []).found
    if not any(label for _, label in found):
        return {}
    return by_part(tree, found)


def read(
    tree: Tree,
    chosen: Sequence[list[Pair]],
    split: str | None,
    classes: Sequence[str] | None,
    background: bool,
) -> Dataset:
    """Read Supervisely's annotations; the classes are those that occur, sorted."""
    problems: list[Problem] = []

    def read_one(label: Path, size: Size | None) -> tuple[Size | None, list[RawObject]]:
        return read_file(label, problems)

    pairs = [one for part in chosen for one in part]
    return read_pairs(tree, "supervisely", pairs, split, classes, read_one, problems, background)


def read_file(file: Path, problems: list[Problem]) -> tuple[Size | None, list[RawObject]]:
    """The size in a file, and its objects.

    Raises:
        SppdetError: it is not one of Supervisely.
    """
    content: Any = parse_json(file)
    try:
        size = stated_size(content["size"]["width"], content["size"]["height"])
        figures = list(content["objects"])
    except (KeyError, TypeError) as error:
        raise SppdetError(f"{file}: is not a file of Supervisely ({error!r})") from None
    objects = []
    for number, figure in enumerate(figures, 1):
        try:
            kind = figure["geometryType"]
            if kind not in ("rectangle", "polygon"):
                raise ValueError(f"a {kind} has no box")
            x1, y1, x2, y2 = hull(figure["points"]["exterior"])
            one = 1 if kind == "rectangle" else 0
            objects.append(RawObject(str(figure["classTitle"]), (x1, y1, x2 + one, y2 + one)))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            text = f"object {number}: {error}, left out"
            problems.append(Problem("bad object", file, text))
    return size, objects
