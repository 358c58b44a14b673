"""Annotated pictures of detections."""

import colorsys
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from sppdet.boxes import Boxes
from sppdet.errors import SppdetError, SppdetWarning
from sppdet.images import Rgb
from sppdet.runtime.files import atomic_path, is_stream
from sppdet.runtime.fonts import can_draw, font
from sppdet.runtime.names import visible
from sppdet.runtime.outputs import MARK, recorded_path

Colour = str | tuple[int, int, int]

Rectangle = tuple[float, float, float, float]

LONGEST = 300
"""Characters of a label that are looked at."""

PADDING = 3
"""Pixels between the text of a label and its edge."""


READABLE = 4.5
"""Least contrast of a text with its ground."""


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
    """A copy of the image with a coloured frame, the class and the score (%) of every detection.

    Labels lie in the picture and do not cover each other. Each stands at its box, at the first free
    place of :func:`places`; the best detections choose first, and a detection for which no place is
    left keeps its frame only. A class whose name no font can draw is drawn as ``#`` and its number
    from 0 (:func:`drawable_names`).
    """
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    side = max(picture.size)
    line = max(1, round(side / 300))
    size = max(10, round(side / 45))
    names = drawable_names(detections.classes)
    rows = list(zip(detections.boxes.tolist(), detections.labels.tolist(), strict=True))
    for box, label in reversed(rows):
        frame(pen, box, class_colour(label, len(names)), line)
    taken: list[Rectangle] = []
    for (box, label), score in zip(rows, detections.scores.tolist(), strict=True):
        text = f"{names[label]} {100 * score:.0f}%"
        place_label(pen, text, box, class_colour(label, len(names)), size, taken)
    return np.asarray(picture)


def frame(
    pen: ImageDraw.ImageDraw,
    box: Sequence[float],
    colour: Colour,
    width: int,
    edge: Colour | None = None,
) -> None:
    """Draw a box (x1, y1, x2, y2), half-open, with a line of ``width`` pixels inside it.

    ``edge`` is the colour of a line of one pixel on both sides, which shows the frame on any
    ground.
    """
    x1, y1, x2, y2 = box[0], box[1], max(box[2] - 1, box[0]), max(box[3] - 1, box[1])
    if edge is not None:
        outer = (x1 - 1, y1 - 1, x2 + 1, y2 + 1)
        pen.rectangle(outer, outline=edge, width=width + 2)
    pen.rectangle((x1, y1, x2, y2), outline=colour, width=width)


def drawable_names(classes: Sequence[str]) -> list[str]:
    """The class names as they are drawn; ``#`` and the number where no font has a name.

    Control characters are shown as their codes.

    Warns:
        SppdetWarning: names cannot be drawn; once for the same names.
    """
    names = [visible(name) for name in classes]
    lost = [label for label, name in enumerate(names) if not can_draw(name)]
    if lost:
        listed = ", ".join(f"{names[label]} as #{label}" for label in lost[:20])
        warnings.warn(
            f"no installed font has the characters of some class names, which are drawn as numbers "
            f"({listed}{', ...' if len(lost) > 20 else ''}); install one that has them, such as "
            "Noto Sans CJK",
            SppdetWarning,
            stacklevel=2,
        )
    for label in lost:
        names[label] = f"#{label}"
    return names


def place_label(
    pen: ImageDraw.ImageDraw,
    text: str,
    box: Sequence[float],
    colour: Colour,
    size: int,
    taken: list[Rectangle],
) -> None:
    """Draw a label at a box where it covers none of ``taken``, and add it there.

    A text that is wider than the picture is cut. Without a free place nothing is drawn.

    Args:
        pen: of the picture.
        text: one line that a font can draw.
        box: (x1, y1, x2, y2).
        colour: of the ground; :func:`text_colour` is that of the text.
        size: of the font, in pixels.
        taken: rectangles (x1, y1, x2, y2) of the labels that are drawn.
    """
    letters = font(text, size)
    assert letters is not None
    limit = pen.im.size
    text, (left, top, right, bottom) = _cut(pen, text, letters, limit[0] - 2 * PADDING)
    width, height = right - left + 2 * PADDING, bottom - top + 2 * PADDING
    if not text or width > limit[0] or height > limit[1]:
        return
    for x, y in places(box, width, height, limit):
        own = (x, y, x + width, y + height)
        if any(_overlap(own, other) for other in taken):
            continue
        taken.append(own)
        pen.rectangle((x, y, x + width - 1, y + height - 1), fill=colour)
        pen.text(
            (x + PADDING - left, y + PADDING - top), text, fill=text_colour(colour), font=letters
        )
        return


def places(
    box: Sequence[float], width: float, height: float, limit: tuple[int, int]
) -> Iterator[tuple[float, float]]:
    """Left upper corners of a label at a box, the best first, all within the picture.

    They are above the box, inside it at the top, below it, and inside it row by row; each first at
    the left side and then at the right.

    Args:
        box: (x1, y1, x2, y2).
        width, height: of the label, at most those of the picture.
        limit: width and height of the picture.
    """
    x1, y1, x2, y2 = box
    rows = [y1 - height, y1, y2]
    rows += [y1 + k * height for k in range(1, int(min((y2 - y1) / height, 50)))]
    for y in rows:
        for x in (x1, x2 - width):
            yield (
                float(int(min(max(x, 0), limit[0] - width))),
                float(int(min(max(y, 0), limit[1] - height))),
            )


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _cut(
    pen: ImageDraw.ImageDraw, text: str, letters: "ImageFont.FreeTypeFont", width: float
) -> tuple[str, tuple[int, int, int, int]]:
    """The text, or its beginning and "..." in ``width`` pixels; and where it is drawn from 0, 0."""

    def extent(words: str) -> tuple[int, int, int, int]:
        left, top, right, bottom = pen.textbbox((0, 0), words, font=letters)
        return int(left), int(top), int(right) + 1, int(bottom) + 1

    def fits(words: str) -> bool:
        left, _, right, _ = extent(words)
        return right - left <= width

    if len(text) <= LONGEST and fits(text):
        return text, extent(text)
    low, high = 0, min(len(text), LONGEST)  # the beginning of ``low`` characters fits, if any does
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(f"{text[:middle]}...") else (low, middle - 1)
    shown = f"{text[:low]}..." if low else ""
    return shown, extent(shown)


def class_colour(label: int, count: int) -> tuple[int, int, int]:
    """A colour per class: hues as far apart as ``count`` classes allow."""
    red, green, blue = colorsys.hsv_to_rgb((0.02 + label / max(count, 1)) % 1, 0.85, 0.85)
    return round(255 * red), round(255 * green), round(255 * blue)


def text_colour(ground: Colour) -> str:
    """White or black: white where it can be read on the ground, at a contrast of 4.5 (WCAG 2.1).

    Black has this contrast wherever white has not.
    """
    return "white" if contrast(ground, "white") >= READABLE else "black"


def contrast(one: Colour, other: Colour) -> float:
    """The contrast of two colours as WCAG 2.1 defines it, from 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Colour) -> float:
    """The relative luminance of a colour of sRGB."""
    values = ImageColor.getrgb(colour)[:3] if isinstance(colour, str) else colour
    shares = [value / 255 for value in values]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


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
