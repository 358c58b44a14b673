"""The content of COCO annotation files, made regular: ids, categories and boxes."""

import math
from pathlib import Path
from typing import Any

from sppdet.datasets.files import parse_json
from sppdet.datasets.shapes import flat_polygons, run_lengths
from sppdet.errors import SppdetError

Id = int | str


def read_json(file: Path) -> dict[str, Any]:
    """The content of a COCO annotation file, in which each thing is said in one way.

    Ids are whole numbers (``"7"`` and ``7.0`` are 7) or other texts; categories of one name are one
    category, that of the smallest id; a ``bbox`` that is absent or unusable is that of the
    segmentation. Entries that cannot be mended stay as they are.

    Raises:
        SppdetError: it is not JSON, or not in the COCO format.
    """
    content = parse_json(file)
    for name in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(name), list):
            raise SppdetError(f'{file}: is not a COCO annotation file (it has no list "{name}")')
    try:
        for entry in (*content["images"], *content["categories"]):
            entry["id"] = as_id(entry["id"])
        for entry in content["images"]:
            entry["file_name"] = str(entry["file_name"])
        _refuse_shared_ids(file, content["images"])
        canonical = _merge_categories(file, content)
    except KeyError as error:
        raise SppdetError(f"{file}: a category or an image lacks {error}") from None
    except (TypeError, ValueError) as error:
        raise SppdetError(f"{file}: a category or an image is not an entry ({error})") from None
    for entry in content["annotations"]:
        if isinstance(entry, dict):
            _mend(entry, canonical)
    return content


def as_id(value: Any) -> Id:
    """An id: a whole number, also where it is written as text, or another text.

    Raises:
        ValueError: it is neither.

    Examples:
        >>> as_id("7"), as_id(7.0), as_id("007"), as_id("a")
        (7, 7, '007', 'a')
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return (
            int(value)
            if value.isascii() and value.isdigit() and str(int(value)) == value
            else value
        )
    raise ValueError(f"the id {value!r} is neither a number nor a text")


def order(value: Id) -> tuple[bool, Id]:
    """Sorts ids: numbers first."""
    return isinstance(value, str), value


def is_box(value: Any) -> bool:
    """Whether a value is [x, y, width, height] in numbers."""
    try:
        return len(value) == 4 and all(math.isfinite(float(number)) for number in value)
    except (TypeError, ValueError, OverflowError):
        return False


def _refuse_shared_ids(file: Path, images: list[dict[str, Any]]) -> None:
    """Files that were joined without new ids: it is unknown which image an annotation means."""
    names: dict[Id, str] = {}
    for entry in images:
        name = names.setdefault(entry["id"], entry["file_name"])
        if name != entry["file_name"]:
            raise SppdetError(
                f"{file}: two images have the id {entry['id']}, {name} and {entry['file_name']}; "
                "number the images anew, or read the files that were joined one by one"
            )


def _merge_categories(file: Path, content: dict[str, Any]) -> dict[Id, Id]:
    """Keeps one category of each name; returns the id that stands for each id."""
    by_name: dict[str, Id] = {}
    names: dict[Id, str] = {}
    for entry in sorted(content["categories"], key=lambda entry: order(entry["id"])):
        name, key = str(entry["name"]), entry["id"]
        if names.setdefault(key, name) != name:
            raise SppdetError(f"{file}: category {key} has two names, {names[key]} and {name}")
        by_name.setdefault(name, key)
    kept: dict[Id, dict[str, Any]] = {}
    for entry in content["categories"]:
        if by_name[str(entry["name"])] == entry["id"]:
            kept.setdefault(entry["id"], {**entry, "name": str(entry["name"])})
    content["categories"] = list(kept.values())
    return {key: by_name[name] for key, name in names.items()}


def _mend(entry: dict[str, Any], canonical: dict[Id, Id]) -> None:
    for key in ("image_id", "category_id"):
        try:
            entry[key] = as_id(entry[key])
        except (KeyError, ValueError):
            entry[key] = None
    entry["category_id"] = canonical.get(entry["category_id"], entry["category_id"])
    if is_box(entry.get("bbox")) and any(float(value) for value in entry["bbox"]):
        entry["bbox"] = [float(value) for value in entry["bbox"]]
        return
    shape = entry.get("segmentation")
    try:
        if isinstance(shape, dict):
            x1, y1, x2, y2 = run_lengths(shape["counts"], int(shape["size"][0]))
        elif shape:
            x1, y1, x2, y2 = flat_polygons(shape)
        else:
            return
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        return
    entry["bbox"] = [x1, y1, x2 - x1, y2 - y1]
