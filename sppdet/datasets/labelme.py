"""LabelMe JSON: a file per image with ``shapes``; the picture that it may contain is ignored.

A rectangle has two opposite corners, a circle its centre and a point of its edge; of polygons and
masks the upright hull is the box. Points and lines have no box.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sppdet.datasets.background import Pair
from sppdet.datasets.base import Dataset, Problem, RawObject
from sppdet.datasets.files import Tree, parse_json
from sppdet.datasets.json_kinds import files_of_kind
from sppdet.datasets.locate import Locator
from sppdet.datasets.pairing import by_part, pair
from sppdet.datasets.per_image import Size, lonely_problems, read_pairs, stated_size
from sppdet.datasets.shapes import Box, ellipse, hull
from sppdet.errors import SppdetError
from sppdet.runtime.words import counted


def parts(tree: Tree) -> dict[str, list[Pair]]:
    """Images with their JSON files by part."""
    files = files_of_kind(tree, "labelme")
    if not files:
        return {}
    found = _pairs(tree, files, [])[0]
    if not any(label for _, label in found):
        return {}
    return by_part(tree, found)


def _pairs(tree: Tree, files: Sequence[Path], problems: list[Problem]) -> tuple[list[Pair], Any]:
    """By name, and where no image has the name of the JSON file, by the path in it."""
    pairs = pair(tree, files, problems)
    lonely = []
    labels = dict(pairs.found)
    locator = Locator(tree.images)
    for file in pairs.lonely:
        try:
            image = locator.find(str(parse_json(file)["imagePath"]), file.parent)[0]
        except (SppdetError, KeyError, TypeError):
            image = None
        if image is None or labels.get(image) is not None:
            lonely.append(file)
        else:
            labels[image] = file
    return list(labels.items()), lonely


def read(
    tree: Tree,
    chosen: Sequence[list[Pair]],
    split: str | None,
    classes: Sequence[str] | None,
    background: bool,
) -> Dataset:
    """Read images with LabelMe files; the classes are those that occur, sorted."""
    problems: list[Problem] = []
    if split is None:
        lonely = _pairs(tree, files_of_kind(tree, "labelme"), problems)[1]
        problems += lonely_problems(tree, lonely)

    def read_one(label: Path, size: Size | None) -> tuple[Size | None, list[RawObject]]:
        return read_file(label, problems)

    pairs = [one for part in chosen for one in part]
    return read_pairs(tree, "labelme", pairs, split, classes, read_one, problems, background)


def nearly(tree: Tree) -> str | None:
    """LabelMe files without images."""
    files = files_of_kind(tree, "labelme")
    if not files:
        return None
    there = f"{counted(len(files), 'LabelMe file')} such as {tree.shown(files[0])}"
    return f"{there}, but no image has such a name"


def read_file(file: Path, problems: list[Problem]) -> tuple[Size | None, list[RawObject]]:
    """The size in a LabelMe file, and its objects.

    Raises:
        SppdetError: it is not a LabelMe file.
    """
    content = parse_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise SppdetError(f'{file}: is not a LabelMe file (it has no list "shapes")')
    objects = []
    for number, shape in enumerate(content["shapes"], 1):
        try:
            name = str(shape["label"])
            if name == "__ignore__":
                continue
            if not name.strip():
                raise ValueError("no label")
            box = _box(shape.get("shape_type") or "polygon", shape["points"])
            objects.append(RawObject(name, box, bool(shape.get("difficult", False))))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            text = f"shape {number}: {error}, left out"
            problems.append(Problem("bad object", file, text))
    return stated_size(content.get("imageWidth"), content.get("imageHeight")), objects


def _box(kind: str, points: Any) -> Box:
    if kind == "circle":
        (cx, cy), (px, py) = points
        radius = math.hypot(float(px) - float(cx), float(py) - float(cy))
        return ellipse(float(cx), float(cy), radius, radius)
    if kind in ("point", "points", "line", "linestrip"):
        raise ValueError(f"a {kind} has no box")
    return hull(points)
