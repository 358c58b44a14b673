"""Pictures of the worst errors: crops with the boxes drawn, as JPEG inside the page."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from sppdet.datasets.base import Dataset
from sppdet.datasets.image_names import relative_names
from sppdet.errors import SppdetError
from sppdet.evaluation.errors import KINDS, Errors
from sppdet.evaluation.voc import VocResult
from sppdet.images import read_image

SIDE = 200
"""Height of a picture in pixels."""


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
    found = result.matching.found
    names = relative_names(dataset.images)
    pictures: list[Picture] = []
    for row in np.flatnonzero(errors.kind >= 0):
        if len(pictures) == count:
            break
        index = int(found.images[row])
        title = f"{result.classes[found.labels[row]].name}: {KINDS[errors.kind[row]]}"
        detail = f"{names[index]}, score {found.scores[row]:.2f}"
        if result.matching.overlap[row] > 0:
            detail += f", IoU {result.matching.overlap[row]:.2f}"
        jpeg = _crop(dataset, index, found.boxes[row], "#dc2626")
        if jpeg is not None:
            pictures.append(Picture(title, detail, jpeg))
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
        jpeg = _crop(dataset, index, truths.boxes[row], "#2563eb")
        if jpeg is not None:
            pictures.append(Picture(result.classes[truths.labels[row]].name, detail, jpeg))
    return pictures


def _crop(dataset: Dataset, index: int, box: "np.ndarray", colour: str) -> str | None:
    """The box with as much around it; None when the image cannot be read."""
    try:
        image = Image.fromarray(read_image(dataset.images[index]))
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
    for truth in dataset.annotations(index).boxes:
        _frame(pen, truth, left, top, scale, "#22c55e", 1)
    _frame(pen, box, left, top, scale, colour, 3)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=80)
    return base64.b64encode(stream.getvalue()).decode()


def _frame(
    pen: ImageDraw.ImageDraw,
    box: "np.ndarray",
    left: int,
    top: int,
    scale: float,
    colour: str,
    width: int,
) -> None:
    x1, y1, x2, y2 = (float(v) for v in (box - np.array([left, top, left, top])) * scale)
    pen.rectangle((x1, y1, max(x2 - 1, x1), max(y2 - 1, y1)), outline=colour, width=width)
