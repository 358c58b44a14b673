"""Detections of any detector, read from the files that other programs write.

Formats:

- "coco": a results JSON with ``image_id``, ``category_id``, ``bbox`` [x, y, w, h] and ``score``;
- "voc": a folder of ``comp4_det_SPLIT_CLASS.txt`` with ``image score xmin ymin xmax ymax``, counted
  from 1, both corners included;
- "text": a text file per image with ``class score`` and four numbers a line;
- "yolo": a text file per image with ``number cx cy w h score``, and ``data.yaml``;
- "sppdet": the JSON files of ``sppdet detect``.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sppdet.boxes import Boxes
from sppdet.datasets.base import Dataset
from sppdet.datasets.files import parse_json
from sppdet.datasets.image_names import relative_names
from sppdet.detections import Detections
from sppdet.errors import SppdetError
from sppdet.evaluation.category_ids import check_category_ids, check_image_ids
from sppdet.evaluation.export import COMP_FILE, YOLO_NAMES
from sppdet.evaluation.result_files import BOX_STYLES, Found, Reader, corners
from sppdet.runtime.words import counted, verb

__all__ = ["BOX_STYLES", "Results", "corners", "read_results", "recognise_results"]

CUT_SCORE = 0.05
"""Results whose lowest score is at least this were cut at a threshold: average precision needs the
detections of low scores too. Common detectors keep scores down to 0.05 or 0.001."""


@dataclass
class Results:
    """What a results file says about a data set.

    Attributes:
        format: "coco", "voc", "text", "yolo" or "sppdet".
        detections: one entry per image of the data set.
        notes: what was left out, a line each.
        records: for "coco" the unchanged entries of the file that belong to the data set.
    """

    format: str
    detections: list[Detections]
    notes: list[str] = field(default_factory=list)
    records: list[dict[str, Any]] | None = None


def read_results(path: Path, dataset: Dataset, boxes: str = "xyxy") -> Results:
    """Read results and lay them beside the images of a data set; the format is recognised.

    Images are recognised by COCO id, or by path, file name or stem as long as it means one image
    only; classes by name, category id or number. Detections of other images and classes are left
    out and counted in ``notes``, which also say whether the results were cut at a threshold, and
    how many images have none.

    Args:
        path: a file or a folder.
        dataset: what they are the results for.
        boxes: for "text", one of :data:`BOX_STYLES`. Coordinates are taken as fractions of the
            image's size when no number in any file is above 1.5.

    Raises:
        SppdetError: there are no results, no result belongs to the data set, a name may mean
            several images, the category ids are not those of the data set, or a line is not a
            detection.
    """
    kind = recognise_results(path)
    reader = Reader(path, dataset)
    left_out = reader.left_out
    records = None
    if kind == "coco":
        records = _load_json(path)
        check_category_ids(path, records, dataset, reader.by_category)
        check_image_ids(path, records, dataset)
        found = list(reader.coco(path, records))
        records = [
            {
                **records[index],
                "image_id": dataset.image_ids[image],
                "bbox": [float(value) for value in records[index]["bbox"]],
                "score": float(records[index]["score"]),  # it may be a text
            }
            for index, image in reader.kept
            if dataset.image_ids
        ]
    elif kind == "voc":
        found = list(reader.comp(path))
    elif kind == "sppdet":
        found = list(reader.sppdet(path))
    else:
        found = list(reader.texts(path, "yolo" if kind == "yolo" else boxes))
    if not found and left_out:
        raise SppdetError(f"{path}: nothing in it belongs to {dataset.path}: {_example(left_out)}")
    notes = [
        f"{counted(count, 'detection')} left out: {what}"
        for what, count in sorted(left_out.items())
    ]
    notes = notes[:20] + _what_is_missing(kind, found, reader.seen, dataset)
    return Results(kind, _gather(found, dataset), notes, records)


def _what_is_missing(kind: str, found: list[Found], seen: set[int], dataset: Dataset) -> list[str]:
    """A line where the results were cut at a threshold, and one where images lack."""
    notes = []
    scores = [entry[2] for entry in found]
    if scores and min(scores) >= CUT_SCORE and max(scores) <= 1:
        notes.append(
            f"no score is below {min(scores):.3g}: the results were cut at a threshold, which "
            "lowers average precision; keep the detections of all scores (detect: --threshold 0)"
        )
    objects_of = [len(annotations) for annotations in dataset.all_annotations()]
    missing = [
        index
        for index, objects in enumerate(objects_of)
        if index not in seen
        and (objects or kind in ("text", "yolo", "sppdet"))  # a file for each image
    ]
    if missing:
        objects = sum(objects_of[index] for index in missing)
        notes.append(
            f"{len(missing)} of {counted(len(dataset.images), 'image')} "
            f"{verb(len(missing), 'does', 'do')} not occur in the results, such as "
            f"{relative_names(dataset.images)[missing[0]]}; "
            f"{counted(objects, 'object')} there {verb(objects, 'counts', 'count')} as missed"
        )
    return notes


def recognise_results(path: Path) -> str:
    """The format of a results file or folder.

    Raises:
        SppdetError: its format is unknown.
    """
    if path.is_file():
        if COMP_FILE.fullmatch(path.name):
            return "voc"
        if path.suffix.lower() == ".json":
            return "coco"
        raise SppdetError(f"{path}: give a COCO results JSON, or a folder of text files")
    if not path.is_dir():
        raise SppdetError(f"{path}: no such file or folder")
    texts = list(path.rglob("*.txt"))
    if any(COMP_FILE.fullmatch(file.name) for file in texts):
        return "voc"
    if texts:
        return "yolo" if (path / YOLO_NAMES).is_file() else "text"
    if any(path.rglob("*.json")):
        return "sppdet"
    raise SppdetError(f"{path}: holds no results (text files, comp4_det_*.txt or JSON)")


def _example(left_out: Counter[str]) -> str:
    what, count = left_out.most_common(1)[0]
    return f"{what} ({counted(count, 'detection')})"


def _gather(found: list[Found], dataset: Dataset) -> list[Detections]:
    """The detections per image; equal scores stay in the order of the file."""
    index = {name: label for label, name in enumerate(dataset.classes)}
    by_image: list[list[Found]] = [[] for _ in dataset.images]
    for entry in found:
        by_image[entry[0]].append(entry)
    return [
        Detections(
            _not_inverted([entry[3] for entry in own]),
            np.array([index[entry[1]] for entry in own], np.int64),
            np.array([entry[2] for entry in own], np.float32),
            dataset.classes,
        )
        for own in by_image
    ]


def _not_inverted(boxes: list[tuple[float, float, float, float]]) -> Boxes:
    """An inverted box becomes an empty one: it too overlaps with nothing, a false positive."""
    array = np.array(boxes, np.float32).reshape(-1, 4)
    array[:, 2:] = np.maximum(array[:, 2:], array[:, :2])
    return array


def _load_json(path: Path) -> list[dict[str, Any]]:
    content = parse_json(path)
    if isinstance(content, dict) and isinstance(content.get("annotations"), list):
        content = content["annotations"]
    if not isinstance(content, list):
        raise SppdetError(f"{path}: is not a COCO results file (a list of detections)")
    return content
