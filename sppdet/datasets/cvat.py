"""CVAT XML for images: one file with ``<image>`` elements and their shapes.

Of a turned box, a polygon, an ellipse and a mask the upright hull is the box; lines, points and
skeletons have none.
"""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from sppdet.datasets.base import Dataset, Problem, RawObject
from sppdet.datasets.files import Tree
from sppdet.datasets.listed import Listed, Part, parts_of, read_listed
from sppdet.datasets.per_image import stated_size
from sppdet.datasets.shapes import Box, ellipse, hull, turned
from sppdet.datasets.voc_xml import parse_xml
from sppdet.errors import SppdetError

SHAPES = ("box", "polygon", "ellipse", "mask", "polyline", "points", "skeleton", "cuboid")


def parts(tree: Tree) -> dict[str, Part]:
    """The CVAT files by part, or the subsets of a single one."""
    files = _files(tree)
    return parts_of(tree, files, read_file) if files else {}


def read(
    tree: Tree,
    chosen: Sequence[Part],
    split: str | None,
    classes: Sequence[str] | None,
    background: bool,
) -> Dataset:
    """Read CVAT files; the classes are those that occur, sorted."""
    return read_listed(tree, "cvat", chosen, split, classes, read_file)


def nearly(tree: Tree) -> str | None:
    """A CVAT file of a video."""
    for file in _roots(tree):
        return f"{tree.shown(file)} is CVAT XML of a video: export it as «CVAT for images»"
    return None


def _files(tree: Tree) -> list[Path]:
    found = []
    for file in _roots(tree):
        root = parse_xml(file)
        if root.find("image") is not None:
            found.append(file)
    return found


def _roots(tree: Tree) -> list[Path]:
    """The XML files whose root is ``<annotations>``; of many files only the first are looked at."""
    files = tree.having(".xml")
    found = []
    for file in files if len(files) <= 50 else files[:3]:
        try:
            if parse_xml(file).tag == "annotations":
                found.append(file)
        except SppdetError:
            continue
    return found


def read_file(file: Path, problems: list[Problem]) -> list[Listed]:
    """The images of a CVAT file.

    Raises:
        SppdetError: it cannot be read.
    """
    found = []
    for image in parse_xml(file, problems).iter("image"):
        name = image.get("name", "")
        entry = Listed(name, stated_size(image.get("width"), image.get("height")))
        entry.subset = image.get("subset", "").strip().lower()
        if entry.subset == "default":
            entry.subset = ""
        for shape in image:
            if shape.tag not in SHAPES:
                continue
            try:
                label = shape.get("label")
                if not label:
                    raise ValueError("no label")
                entry.objects.append(RawObject(label, _box(shape)))
            except (ValueError, TypeError) as error:
                text = f"{name}: {shape.tag}: {error}, left out"
                problems.append(Problem("bad object", file, text))
        found.append(entry)
    return found


def _box(shape: ET.Element) -> Box:
    angle = float(shape.get("rotation", 0))
    if shape.tag == "box":
        x1, y1, x2, y2 = (_number(shape, name) for name in ("xtl", "ytl", "xbr", "ybr"))
        return turned(x1, y1, x2 - x1, y2 - y1, angle, ((x1 + x2) / 2, (y1 + y2) / 2))
    if shape.tag == "polygon":
        points = (point.split(",") for point in shape.get("points", "").split(";") if point)
        return hull([(float(x), float(y)) for x, y in points])
    if shape.tag == "ellipse":
        cx, cy, rx, ry = (_number(shape, name) for name in ("cx", "cy", "rx", "ry"))
        return ellipse(cx, cy, rx, ry, angle)
    if shape.tag == "mask":
        x, y, w, h = (_number(shape, name) for name in ("left", "top", "width", "height"))
        return x, y, x + w, y + h
    raise ValueError("has no box")


def _number(shape: ET.Element, name: str) -> float:
    value = shape.get(name)
    if value is None:
        raise ValueError(f"no {name}")
    return float(value)
