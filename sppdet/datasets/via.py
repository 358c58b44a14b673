"""VGG Image Annotator: its JSON (project or annotations, versions 1 and 2) and its CSV.

The class is the region attribute that all regions have; of several, the one that is called class,
label, name or the like.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sppdet.datasets.base import Dataset, Problem, RawObject
from sppdet.datasets.csv_boxes import rows
from sppdet.datasets.files import Tree, parse_json
from sppdet.datasets.json_kinds import files_of_kind
from sppdet.datasets.listed import Listed, Part, parts_of, read_listed
from sppdet.datasets.shapes import Box, ellipse, hull
from sppdet.errors import SppdetError

ATTRIBUTES = ("class", "label", "name", "type", "category", "object", "object_name", "species")
"""Names of the attribute that is the class, in the order in which they are preferred."""

Region = tuple[str, Any, Any]
"""Image, shape attributes, region attributes; the shape is None for an image without regions."""


def parts(tree: Tree) -> dict[str, Part]:
    """The VIA files by part."""
    files = files_of_kind(tree, "via") + [file for file in tree.having(".csv") if _is_csv(file)]
    return parts_of(tree, files)


def read(
    tree: Tree,
    chosen: Sequence[Part],
    split: str | None,
    classes: Sequence[str] | None,
    background: bool,
) -> Dataset:
    """Read VIA files; the classes are those that occur, sorted."""
    return read_listed(tree, "via", chosen, split, classes, read_file)


def read_file(file: Path, problems: list[Problem]) -> list[Listed]:
    """The images of a VIA file.

    Raises:
        SppdetError: it cannot be read, or it is unclear which attribute is the class.
    """
    regions = list(_of_csv(file) if file.suffix.casefold() == ".csv" else _of_json(file))
    attribute = _class_attribute(file, regions)
    found: dict[str, Listed] = {}
    for name, shape, values in regions:
        entry = found.setdefault(name, Listed(name))
        if not shape:
            continue
        try:
            label = _chosen(values.get(attribute)) if attribute else "object"
            if not label:
                raise ValueError(f"no {attribute}")
            entry.objects.append(RawObject(label, _box(shape)))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            problems.append(Problem("bad object", file, f"{name}: {error}, left out"))
    return list(found.values())


def _of_json(file: Path) -> Iterator[Region]:
    content = parse_json(file)
    try:
        for entry in content.get("_via_img_metadata", content).values():
            regions = entry["regions"]
            name = str(entry["filename"])
            yield name, None, {}
            for region in regions.values() if isinstance(regions, dict) else regions:
                yield name, region["shape_attributes"], region["region_attributes"]
    except (KeyError, TypeError, AttributeError) as error:
        raise SppdetError(f"{file}: is not a file of the VGG annotator ({error!r})") from None


def _of_csv(file: Path) -> Iterator[Region]:
    headings, *table = rows(file)
    headings = [heading.lstrip("#") for heading in headings]
    for number, row in enumerate(table, 2):
        cells = dict(zip(headings, row, strict=False))
        try:
            shape = json.loads(cells["region_shape_attributes"] or "{}")
            values = json.loads(cells["region_attributes"] or "{}")
            yield cells["filename"], shape, values
        except (KeyError, ValueError, RecursionError) as error:
            raise SppdetError(
                f"{file}: row {number} is not one of the VGG annotator ({error})"
            ) from None


def _is_csv(file: Path) -> bool:
    try:
        first = next(iter(rows(file)), [])
    except SppdetError:
        return False
    return "region_shape_attributes" in first


def _class_attribute(file: Path, regions: Sequence[Region]) -> str | None:
    """The attribute that is the class; None where regions have no attributes."""
    counts = Counter(
        name
        for _, shape, values in regions
        if shape and isinstance(values, dict)
        for name, value in values.items()
        if _chosen(value)
    )
    if len(counts) <= 1:
        return next(iter(counts), None)
    for name in ATTRIBUTES:
        for known in counts:
            if known.casefold() == name:
                return known
    raise SppdetError(
        f"{file}: regions have the attributes {', '.join(sorted(counts))}; "
        "call the one that is the class «class»"
    )


def _chosen(value: Any) -> str:
    """The value of an attribute: a text, or the ticked one of several."""
    if isinstance(value, dict):
        ticked = [name for name, on in value.items() if on]
        return ticked[0] if len(ticked) == 1 else ""
    return "" if value is None else str(value)


def _box(shape: dict[str, Any]) -> Box:
    kind = shape["name"]
    if kind == "rect":
        x, y, w, h = (float(shape[name]) for name in ("x", "y", "width", "height"))
        return x, y, x + w, y + h
    if kind == "polygon":
        return hull(zip(shape["all_points_x"], shape["all_points_y"], strict=True))
    if kind == "circle":
        cx, cy, r = (float(shape[name]) for name in ("cx", "cy", "r"))
        return ellipse(cx, cy, r, r)
    if kind == "ellipse":
        cx, cy, rx, ry = (float(shape[name]) for name in ("cx", "cy", "rx", "ry"))
        return ellipse(cx, cy, rx, ry)
    raise ValueError(f"a {kind} has no box")
