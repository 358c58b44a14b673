"""Detections of any detector, read from the files that other programs write.

Formats:

- "coco": a results JSON with ``image_id``, ``category_id``, ``bbox`` [x, y, w, h] and ``score``;
- "voc": a folder of ``comp4_det_SPLIT_CLASS.txt`` with ``image score xmin ymin xmax ymax``, counted
  from 1, both corners included;
- "text": a text file per image with ``class score`` and four numbers a line;
- "sppdet": the JSON files of ``sppdet detect``.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sppdet.datasets.base import Dataset, image_names
from sppdet.detections import Detections
from sppdet.errors import SppdetError
from sppdet.images import image_size

COMP_FILE = re.compile(r"comp\d_det_[^_]+_(.+)\.txt")
BOX_STYLES = ("xyxy", "xywh", "cxcywh", "yolo")
"""Four numbers in a text file: two corners; corner and size; centre and size; and the last with the
score behind the box, as YOLO writes them."""

Found = tuple[int, str, float, tuple[float, float, float, float]]
"""Image, class, score, box: xyxy, 0-based, half-open, pixels."""


@dataclass
class Results:
    """What a results file says about a data set.

    Attributes:
        format: "coco", "voc", "text" or "sppdet".
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

    Images are recognised by COCO id, by file name or its stem, classes by name, category id or
    number. Detections of other images and classes are left out and counted in ``notes``.

    Args:
        path: a file or a folder.
        dataset: what they are the results for.
        boxes: for "text", one of :data:`BOX_STYLES`. Coordinates are taken as fractions of the
            image's size when no number in any file is above 1.5.

    Raises:
        SppdetError: there are no results, no result belongs to the data set, or a line is not
            a detection.
    """
    kind = recognise_results(path)
    left_out: Counter[str] = Counter()
    reader = _Reader(dataset, left_out)
    records = None
    if kind == "coco":
        records = _load_json(path)
        found = list(reader.coco(path, records))
        records = [
            {**records[index], "image_id": dataset.image_ids[image]}
            for index, image in reader.kept
            if dataset.image_ids
        ]
    elif kind == "voc":
        found = list(reader.comp(path))
    elif kind == "sppdet":
        found = list(reader.sppdet(path))
    else:
        found = list(reader.texts(path, boxes))
    if not found and left_out:
        raise SppdetError(f"{path}: nothing in it belongs to {dataset.path}: {_example(left_out)}")
    notes = [f"{count} detections left out: {what}" for what, count in sorted(left_out.items())]
    return Results(kind, _gather(found, dataset), notes[:20], records)


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
    texts = list(path.glob("*.txt"))
    if any(COMP_FILE.fullmatch(file.name) for file in texts):
        return "voc"
    if texts:
        return "text"
    if any(path.glob("*.json")):
        return "sppdet"
    raise SppdetError(f"{path}: holds no results (text files, comp4_det_*.txt or JSON)")


def _example(left_out: Counter[str]) -> str:
    what, count = left_out.most_common(1)[0]
    return f"{what} ({count} detections)"


def _gather(found: list[Found], dataset: Dataset) -> list[Detections]:
    """The detections per image; equal scores stay in the order of the file."""
    index = {name: label for label, name in enumerate(dataset.classes)}
    by_image: list[list[Found]] = [[] for _ in dataset.images]
    for entry in found:
        by_image[entry[0]].append(entry)
    return [
        Detections(
            np.array([entry[3] for entry in own], np.float32),
            np.array([index[entry[1]] for entry in own], np.int64),
            np.array([entry[2] for entry in own], np.float32),
            dataset.classes,
        )
        for own in by_image
    ]


def _load_json(path: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, OSError) as error:
        raise SppdetError(f"{path}: is not readable JSON ({error})") from None
    if isinstance(content, dict) and isinstance(content.get("annotations"), list):
        content = content["annotations"]
    if not isinstance(content, list):
        raise SppdetError(f"{path}: is not a COCO results file (a list of detections)")
    return content


class _Reader:
    """Turns the lines of each format into :data:`Found`, and counts what is left out."""

    def __init__(self, dataset: Dataset, left_out: Counter[str]) -> None:
        self.dataset, self.left_out = dataset, left_out
        self.kept: list[tuple[int, int]] = []
        self.by_name = image_names(dataset)
        self.by_id = {key: index for index, key in enumerate(dataset.image_ids or ())}
        ids = dataset.category_ids or {n: k for k, n in enumerate(dataset.classes, 1)}
        self.by_category = {key: name for name, key in ids.items()}

    def image(self, name: Any) -> int | None:
        """The image called ``name``: a COCO id, a file name, a stem, or a stem's number."""
        index = self.by_id.get(name) if not isinstance(name, str) else None
        if index is None:
            index = self.by_name.get(str(name))
        if index is None and str(name).isdigit():
            number = int(name)
            index = self.by_id.get(number, self.by_name.get(f"#{number}"))
        if index is None:
            self.left_out[f"image {name} is not in the data"] += 1
        return index

    def known(self, name: str) -> str | None:
        """The class ``name``, which may also be its number from 0."""
        if name in self.dataset.classes:
            return name
        if name.isdigit() and int(name) < len(self.dataset.classes):
            return self.dataset.classes[int(name)]
        self.left_out[f"class {name} is not in the data"] += 1
        return None

    def coco(self, path: Path, records: list[dict[str, Any]]) -> Iterator[Found]:
        for number, record in enumerate(records):
            try:
                image = self.image(record["image_id"])
                x, y, w, h = (float(value) for value in record["bbox"])
                score = _score(record["score"])
                category = record["category_id"]
            except (KeyError, TypeError, ValueError) as error:
                raise SppdetError(
                    f"{path}: entry {number} is not a detection ({error!r})"
                ) from None
            name = self.by_category.get(category)
            if name is None:
                self.left_out[f"category {category} is not in the data"] += 1
            elif image is not None:
                self.kept.append((number, image))
                yield image, name, score, (x, y, x + w, y + h)

    def comp(self, path: Path) -> Iterator[Found]:
        for file in [path] if path.is_file() else sorted(path.glob("comp*.txt")):
            matched = COMP_FILE.fullmatch(file.name)
            if matched is None:
                continue
            for line, words in _lines(file):
                if len(words) != 6:
                    raise _no_detection(file, line, "image score xmin ymin xmax ymax")
                score, x1, y1, x2, y2 = _numbers(file, line, words[1:])
                image, name = self.image(words[0]), self.known(matched.group(1))
                if image is not None and name is not None:
                    yield image, name, score, (x1 - 1, y1 - 1, x2, y2)

    def sppdet(self, path: Path) -> Iterator[Found]:
        for file in sorted(path.glob("*.json")):
            try:
                content = json.loads(file.read_bytes())
                entries = content["detections"]
                for entry in entries:
                    x1, y1, x2, y2 = (float(value) for value in entry["box"])
                    image = self.image(Path(content.get("image", file.stem)).name)
                    name = self.known(entry["label"])
                    if image is not None and name is not None:
                        yield image, name, _score(entry["score"]), (x1, y1, x2, y2)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise SppdetError(f"{file}: is not a result of detect ({error!r})") from None

    def texts(self, path: Path, style: str) -> Iterator[Found]:
        if style not in BOX_STYLES:
            raise SppdetError(f"--boxes {style}: choose one of {', '.join(BOX_STYLES)}")
        table = []
        for file in sorted(path.glob("*.txt")):
            for line, words in _lines(file):
                if len(words) < 6:
                    raise _no_detection(file, line, "class score and four numbers")
                numbers = _numbers(file, line, words[-5:])
                if style == "yolo":
                    numbers = [numbers[-1], *numbers[:-1]]
                table.append((file, line, " ".join(words[:-5]), numbers))
        relative = bool(table) and max(max(map(abs, row[3][1:])) for row in table) <= 1.5
        sizes: dict[int, tuple[int, int]] = {}
        for file, line, label, (score, *box) in table:
            image, name = self.image(file.stem), self.known(label)
            if image is None or name is None:
                continue
            x1, y1, x2, y2 = corners(box, style)
            if x2 < x1 or y2 < y1:
                raise SppdetError(
                    f"{file}: line {line}: the box ends before it begins; are these {style}? "
                    f"choose with --boxes {'|'.join(BOX_STYLES)}"
                )
            if relative:
                if image not in sizes:
                    sizes[image] = image_size(self.dataset.images[image])
                width, height = sizes[image]
                x1, y1, x2, y2 = x1 * width, y1 * height, x2 * width, y2 * height
            yield image, name, score, (x1, y1, x2, y2)


def corners(box: list[float], style: str) -> tuple[float, float, float, float]:
    """A box of any of :data:`BOX_STYLES` as xyxy."""
    a, b, c, d = box
    if style == "xyxy":
        return a, b, c, d
    if style == "xywh":
        return a, b, a + c, b + d
    return a - c / 2, b - d / 2, a + c / 2, b + d / 2


def _lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SppdetError(f"{file}: cannot be read ({error})") from None
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield number, line.split()


def _numbers(file: Path, line: int, words: list[str]) -> list[float]:
    try:
        return [_score(word) for word in words]
    except ValueError:
        raise _no_detection(file, line, "numbers") from None


def _score(value: Any) -> float:
    number = float(value)
    if not np.isfinite(number):
        raise ValueError(f"{value} is not a finite number")
    return number


def _no_detection(file: Path, line: int, wanted: str) -> SppdetError:
    return SppdetError(f"{file}: line {line} is not a detection, expected {wanted}")
