"""Annotated pictures of detections."""

import colorsys
import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from sppdet.boxes import Boxes
from sppdet.errors import SppdetError
from sppdet.images import Rgb
from sppdet.runtime.files import atomic_path, is_stream
from sppdet.runtime.outputs import MARK, recorded_path


class Drawable(Protocol):
    """What is drawn of :class:`sppdet.detections.Detections`, which has all of it."""

    @property
    def boxes(self) -> Boxes:
        """(N, 4), xyxy in pixels."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) indices of ``classes``."""

    @property
    def scores(self) -> NDArray[np.float32]:
        """(N,) probabilities."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names."""


def draw(image: Rgb, detections: Drawable) -> Rgb:
    """A copy of the image with a coloured frame, the class and the score (%) of every detection."""
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    side = max(picture.size)
    line = max(1, round(side / 300))
    font = ImageFont.load_default(size=max(10, round(side / 45)))
    for box, label, score in reversed(
        list(zip(detections.boxes, detections.labels, detections.scores, strict=True))
    ):
        colour = class_colour(int(label), len(detections.classes))
        x1, y1, x2, y2 = (float(value) for value in box)
        pen.rectangle((x1, y1, max(x2 - 1, x1), max(y2 - 1, y1)), outline=colour, width=line)
        text = f"{detections.classes[label]} {100 * score:.0f}%"
        _tag(pen, text, x1, y1, colour, font, picture.size)
    return np.asarray(picture)


def class_colour(label: int, count: int) -> tuple[int, int, int]:
    """A colour per class: hues as far apart as ``count`` classes allow."""
    red, green, blue = colorsys.hsv_to_rgb((0.02 + label / max(count, 1)) % 1, 0.85, 0.85)
    return round(255 * red), round(255 * green), round(255 * blue)


def save_picture(image: Rgb, path: str | os.PathLike[str]) -> None:
    """Write an image file; the suffix chooses the format.

    Raises:
        SppdetError: it cannot be written, or the suffix names no format.
    """
    path = Path(path)
    format = picture_format(path)
    options: dict[str, Any] = {}
    if format == "JPEG":
        options = {"comment": MARK}
    elif format == "PNG":
        options = {"pnginfo": PngInfo()}
        options["pnginfo"].add_text("Software", MARK)
    with (atomic_path if options else recorded_path)(path) as temporary:
        Image.fromarray(image).save(temporary, format, quality=92, **options)


def picture_format(path: Path) -> str:
    """Pillow's name of the format that a suffix chooses; JPEG for a stream.

    Raises:
        SppdetError: the suffix names no format.
    """
    if is_stream(path):
        return "JPEG"
    format = Image.registered_extensions().get(path.suffix.lower())
    if format is None or format not in Image.SAVE:
        raise SppdetError(f"{path}: its suffix names no format of pictures; use .jpg or .png")
    return format


def _tag(
    pen: ImageDraw.ImageDraw,
    text: str,
    x: float,
    y: float,
    colour: tuple[int, int, int],
    font: "ImageFont.ImageFont | ImageFont.FreeTypeFont",
    size: tuple[int, int],
) -> None:
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    width, height = right - left + 6, bottom - top + 6
    x = min(max(x, 0), max(size[0] - width, 0))
    y = y - height if y >= height else y
    pen.rectangle((x, y, x + width, y + height), fill=colour)
    pen.text((x + 3 - left, y + 3 - top), text, fill="white", font=font)
