"""Label Studio JSON: its export of tasks, and the short one (JSON-MIN); boxes in percent.

A turned rectangle is turned about its left upper corner. Of several annotations of a task the
ground truth counts, or else the first that was not cancelled. Tasks without annotation are left
out.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sppdet.datasets.base import Dataset, Problem, RawObject
from sppdet.datasets.files import Tree, parse_json
from sppdet.datasets.json_kinds import files_of_kind
from sppdet.datasets.listed import Listed, Part, parts_of, read_listed
from sppdet.datasets.per_image import Size, stated_size
from sppdet.datasets.shapes import Box, ellipse, hull, turned
from sppdet.errors import SppdetError
from sppdet.images import SUFFIXES

UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of an uploaded file."""

LABELS = ("rectanglelabels", "polygonlabels", "ellipselabels", "labels")


def parts(tree: Tree) -> dict[str, Part]:
    """The exports by part."""
    return parts_of(tree, files_of_kind(tree, "labelstudio"))


def read(
    tree: Tree,
    chosen: Sequence[Part],
    split: str | None,
    classes: Sequence[str] | None,
    background: bool,
) -> Dataset:
    """Read exports of Label Studio; the classes are those that occur, sorted."""
    names = {image.name for image in tree.images}

    def read_one(file: Path, problems: list[Problem]) -> list[Listed]:
        return read_file(file, problems, names)

    return read_listed(tree, "labelstudio", chosen, split, classes, read_one)


def read_file(file: Path, problems: list[Problem], known: set[str] | None = None) -> list[Listed]:
    """The images of an export; ``known`` are the names of the images that there are.

    Raises:
        SppdetError: it cannot be read.
    """
    content = parse_json(file)
    if not isinstance(content, list):
        raise SppdetError(f"{file}: is not an export of Label Studio (a list of tasks)")
    found, bare = [], 0
    for number, task in enumerate(content, 1):
        try:
            name, results = _task(task)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            text = f"task {number}: {error}, left out"
            problems.append(Problem("bad object", file, text))
            continue
        if results is None:
            bare += 1
            continue
        entry = Listed(_local_name(name, known or set()))
        entry.unit = 100.0
        for label, box, size in _objects(file, results, entry.name, problems):
            entry.size = entry.size or size
            entry.objects.append(RawObject(label, box))
        found.append(entry)
    if bare:
        text = f"{bare} of {len(content)} tasks have no annotation; left out"
        problems.append(Problem("unlabelled images", file, text))
    return found


def _task(task: Any) -> tuple[str, list[Any] | None]:
    """The image of a task, and the results of the annotation that counts; None without one."""
    if "data" in task:
        data = task["data"]
        texts = [value for value in data.values() if isinstance(value, str)]
        name = data.get("image") or next((t for t in texts if _is_image(t)), None)
        made = task.get("annotations", task.get("completions")) or []
        made = [one for one in made if not one.get("was_cancelled")]
        best = sorted(made, key=lambda one: not one.get("ground_truth"))[:1]
        results = list(best[0]["result"]) if best else None
    else:
        texts = [value for value in task.values() if isinstance(value, str)]
        name = task.get("image") or next((t for t in texts if _is_image(t)), None)
        lists = [value for value in task.values() if isinstance(value, list)]
        results = [
            {**value, "value": value}
            for values in lists
            for value in values
            if isinstance(value, dict) and "original_width" in value
        ]
    if not isinstance(name, str) or not name:
        raise ValueError("names no image")
    return name, results


def _is_image(text: str) -> bool:
    return Path(text.split("?")[0]).suffix.casefold() in SUFFIXES


def _local_name(name: str, known: set[str]) -> str:
    """The path of an image: that behind ``?d=``, without the prefix of an upload if it has one."""
    if "?d=" in name:
        name = unquote(name.split("?d=", 1)[1])
    head, slash, last = name.rpartition("/")
    if unquote(last) not in known and UPLOADED.match(last):
        last = UPLOADED.sub("", last, count=1)
    return head + slash + last


def _objects(
    file: Path, results: list[Any], image: str, problems: list[Problem]
) -> Iterator[tuple[str, Box, Size | None]]:
    named = {str(one.get("id")) for one in results if isinstance(one, dict) and _labels(one)}
    for one in results:
        try:
            labels = _labels(one)
            if not labels and one.get("id") is not None and str(one["id"]) in named:
                continue  # the shape of an object whose label stands in another entry
            if not labels:
                raise ValueError(f"{one.get('type', 'a result')} has no label of a box")
            size = stated_size(one.get("original_width"), one.get("original_height"))
            yield str(labels[0]), _box(one["value"], size), size
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            problems.append(Problem("bad object", file, f"{image}: {error}, left out"))


def _labels(one: dict[str, Any]) -> list[Any]:
    value = one.get("value")
    if not isinstance(value, dict):
        return []
    return next((value[name] for name in LABELS if value.get(name)), [])


def _box(value: dict[str, Any], size: Size | None) -> Box:
    """The box in percent. Turning is done in pixels, in which the image is not stretched."""
    width, height = size or (100, 100)
    if "points" in value:
        return hull(value["points"])
    x, y = float(value["x"]) * width / 100, float(value["y"]) * height / 100
    angle = float(value.get("rotation") or 0)
    if "radiusX" in value:
        rx, ry = float(value["radiusX"]) * width / 100, float(value["radiusY"]) * height / 100
        x1, y1, x2, y2 = ellipse(x, y, rx, ry, angle)
    else:
        w, h = float(value["width"]) * width / 100, float(value["height"]) * height / 100
        x1, y1, x2, y2 = turned(x, y, w, h, angle, (x, y))
    return x1 * 100 / width, y1 * 100 / height, x2 * 100 / width, y2 * 100 / height
