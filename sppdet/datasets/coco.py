"""COCO annotations: one JSON file."""

import contextlib
import io
import json
from pathlib import Path

from pycocotools.coco import COCO

from sppdet.datasets.base import Dataset, LabelledBox, tidy_box
from sppdet.errors import SppdetError


def open_coco(file: Path, classes: tuple[str, ...] | None) -> Dataset:
    """Open an ``instances`` file; its images lie in ``images`` beside it, or beside it.

    Classes are in the order of the category ids; ids need not be contiguous.

    Raises:
        SppdetError: the file is no COCO annotation file, or its images are not there.
    """
    coco = load_coco(file)
    problems: list[str] = []
    names = {entry["id"]: entry["name"] for entry in coco.dataset["categories"]}
    images, objects = [], []
    for key in sorted(coco.imgs):
        entry = coco.imgs[key]
        path = _find(file.parent, entry["file_name"])
        if path is None:
            problems.append(f"{file}: image {entry['file_name']} is not there; left out")
            continue
        found = []
        for item in coco.imgToAnns.get(key, []):
            x, y, wide, high = item["bbox"]
            where = f"{file}: annotation {item['id']}"
            box = tidy_box(
                (x, y, x + wide, y + high), entry["width"], entry["height"], where, problems
            )
            if box is not None:
                name = names[item["category_id"]]
                found.append(LabelledBox(box, name, crowd=bool(item.get("iscrowd", 0))))
        images.append(path)
        objects.append(found)
    if not images:
        raise SppdetError(f"{file}: none of its images is in {file.parent / 'images'}")
    if classes is None:
        classes = tuple(names[key] for key in sorted(names))
    return Dataset(images, classes, None, objects, problems)


def load_coco(file: Path) -> COCO:
    """The annotation file through pycocotools, silently.

    Raises:
        SppdetError: it is no COCO annotation file.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(str(file))
        coco.dataset["images"], coco.dataset["annotations"], coco.dataset["categories"]
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AssertionError):
        raise SppdetError(f"{file}: is no COCO annotation file (images, annotations, categories)") from None
    return coco


def _find(folder: Path, name: str) -> Path | None:
    for candidate in (folder / "images" / name, folder / name, folder.parent / "images" / name):
        if candidate.is_file():
            return candidate
    return None
