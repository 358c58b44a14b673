"""Pictures of errors and of correct detections: crops with the boxes drawn, as JPEG in the page."""

import base64
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sppdet.datasets.base import Dataset
from sppdet.datasets.image_names import relative_names
from sppdet.drawing import frame
from sppdet.errors import SppdetError
from sppdet.evaluation.errors import KINDS, Errors
from sppdet.evaluation.matching import HIT
from sppdet.evaluation.thresholded import Thresholded
from sppdet.evaluation.voc import VocResult
from sppdet.images import read_image

SIDE = 200
"""Height of a picture in pixels."""

TRUTH, WRONG, MISSED, RIGHT = "#22c55e", "#dc2626", "#2563eb", "#c026d3"
"""Colours of annotated objects, false positives, missed objects and true positives."""


@dataclass(frozen=True)
class Picture:
    """A crop.

    Attributes:
        title: the class, and what it is.
        detail: image name, score, overlap.
        jpeg: the file's bytes in base64.
    """

    title: str
    detail: str
    jpeg: str


def worst_mistakes(
    dataset: Dataset, result: VocResult, errors: Errors, count: int = 12
) -> list[Picture]:
    """The false positives with the highest scores, red, with the objects of the image in green."""

    def title(row: int) -> str:
        name = result.classes[result.matching.found.labels[row]].name
        return f"{name}: {KINDS[errors.kind[row]]}"

    rows = np.flatnonzero(errors.kind >= 0)
    return _detections(dataset, result, rows, WRONG, title, count)


def correct_examples(
    dataset: Dataset, result: VocResult, shown: Thresholded, count: int = 12
) -> list[Picture]:
    """True positives at the thresholds, magenta: the best one of each class, then the second, and
    so on, with the objects of the image in green."""
    match = result.matching
    rows = np.flatnonzero(shown.kept & (match.outcome == HIT))
    rank = np.zeros(len(rows), np.int64)
    for label in np.unique(match.found.labels[rows]):
        own = match.found.labels[rows] == label
        rank[own] = np.arange(own.sum())

    def title(row: int) -> str:
        return result.classes[match.found.labels[row]].name

    order = rows[np.argsort(rank, kind="stable")]
    return _detections(dataset, result, order, RIGHT, title, count)


def _detections(
    dataset: Dataset,
    result: VocResult,
    rows: Iterable[int],
    colour: str,
    title: Callable[[int], str],
    count: int,
) -> list[Picture]:
    """Pictures of the first ``count`` of these detections whose images can be read."""
    found = result.matching.found
    names = relative_names(dataset.images)
    pictures: list[Picture] = []
    for row in rows:
        if len(pictures) == count:
            break
        index = int(found.images[row])
        detail = f"{names[index]}, score {found.scores[row]:.2f}"
        if result.matching.overlap[row] > 0:
            detail += f", IoU {result.matching.overlap[row]:.2f}"
        jpeg = _crop(dataset, index, found.boxes[row], colour)
        if jpeg is not None:
            pictures.append(Picture(title(row), detail, jpeg))
    return pictures


def worst_misses(dataset: Dataset, result: VocResult, count: int = 12) -> list[Picture]:
    """The largest objects (as a part of their image) that no detection of any score found, blue."""
    truths = result.matching.truths
    missed = np.flatnonzero((result.matching.hit_by < 0) & truths.counted)
    sizes = np.prod(truths.boxes[missed, 2:] - truths.boxes[missed, :2], axis=1)
    best = np.zeros(len(truths.labels))
    same = result.matching.truth >= 0
    np.maximum.at(best, result.matching.truth[same], result.matching.overlap[same])
    names = relative_names(dataset.images)
    pictures: list[Picture] = []
    for row in missed[np.argsort(-sizes, kind="stable")]:
        if len(pictures) == count:
            break
        index = int(truths.images[row])
        detail = f"{names[index]}, best IoU {best[row]:.2f}"
        jpeg = _crop(dataset, index, truths.boxes[row], MISSED)
        if jpeg is not None:
            pictures.append(Picture(result.classes[truths.labels[row]].name, detail, jpeg))
    return pictures


def _crop(dataset: Dataset, index: int, box: NDArray[np.float64], colour: str) -> str | None:
    """The box with as much around it; None when the image cannot be read."""
    frames = [Frame(truth, TRUTH, 4, "black") for truth in dataset.annotations(index).boxes]
    return crop(dataset.images[index], box, [*frames, Frame(box, colour)])


@dataclass(frozen=True)
class Frame:
    """A box to draw: x1, y1, x2, y2 in pixels of the image; see :func:`sppdet.drawing.frame`."""

    box: NDArray[np.floating]
    colour: str
    width: int = 2
    edge: str | None = None


def crop(path: Path, box: NDArray[np.floating], frames: Iterable[Frame]) -> str | None:
    """A JPEG in base64 of a box and as much around it, with frames; None for an unreadable image.

    It is at most :data:`SIDE` pixels high, and 1.6 times as wide.
    """
    try:
        image = Image.fromarray(read_image(path))
    except SppdetError:
        return None
    margin = max(box[2] - box[0], box[3] - box[1], 40) * 0.5
    left, top = max(int(box[0] - margin), 0), max(int(box[1] - margin), 0)
    right = min(int(box[2] + margin) + 1, image.width)
    bottom = min(int(box[3] + margin) + 1, image.height)
    if right <= left or bottom <= top:
        return None
    scale = min(SIDE / (bottom - top), 1.6 * SIDE / (right - left))
    size = (max(round((right - left) * scale), 1), max(round((bottom - top) * scale), 1))
    picture = image.crop((left, top, right, bottom)).resize(size)
    pen = ImageDraw.Draw(picture)
    corner = np.array([left, top, left, top])
    for one in frames:
        frame(pen, ((one.box - corner) * scale).tolist(), one.colour, one.width, one.edge)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=80)
    return base64.b64encode(stream.getvalue()).decode()
