"""The photographs of a folder: their order, and how a browser gets them."""

import functools
import io
import re
from pathlib import Path

from PIL import Image

from sppdet.decoding import orientation
from sppdet.errors import SppdetError
from sppdet.images import LONGEST, read_image

THUMBNAIL = 160
"""Longest side of a thumbnail, in pixels."""

SHOWN = {"JPEG": "image/jpeg", "MPO": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
"""Formats that browsers show as they are; they turn a JPEG by its EXIF orientation themselves."""

TURNED = ("JPEG", "MPO")

_NUMBER = re.compile(r"(\d+)")


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts names as people do, numbers by their value.

    Examples:
        >>> sorted(["b.jpg", "a10.jpg", "a9.jpg", "A1.jpg"], key=natural_key)
        ['A1.jpg', 'a9.jpg', 'a10.jpg', 'b.jpg']
    """
    parts = _NUMBER.split(name.casefold())
    key = [(1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts if part]
    return (*key, (-1, 0, name))


def shown(path: Path) -> tuple[bytes, str]:
    """A photograph as a browser shows it upright, and its media type: the file itself, or a JPEG.

    Raises:
        SppdetError: it cannot be read.
    """
    try:
        with Image.open(path) as image:
            upright = orientation(image) == 1 or image.format in TURNED
            kind = SHOWN.get(image.format or "")
        if kind is not None and upright:
            return path.read_bytes(), kind
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        pass  # the one reader of images says what is wrong
    return _jpeg(Image.fromarray(read_image(path)), 92), "image/jpeg"


def no_proposals(size: tuple[int, int]) -> str:
    """Why a photograph of this size (width, height) has no proposals, and what works without."""
    width, height = size
    why = "the search finds nothing in it that stands out"
    if max(size) > LONGEST * min(size):
        why = f"the search reduces {width} x {height} pixels to a strip of a few rows"
    return f"No proposals here: {why}. Drag the pointer to draw a box."


def thumbnail(path: Path) -> bytes:
    """A photograph as a JPEG of at most :data:`THUMBNAIL` pixels a side.

    Raises:
        SppdetError: it cannot be read.
    """
    try:
        facts = path.stat()
    except OSError as error:
        raise SppdetError(f"{path}: cannot be read ({error.strerror or error})") from None
    return _thumbnail(path, facts.st_mtime_ns, facts.st_size)


@functools.lru_cache(maxsize=1024)
def _thumbnail(path: Path, time: int, size: int) -> bytes:
    try:
        with Image.open(path) as image:
            turned = orientation(image) != 1
            if image.format == "JPEG" and image.mode == "RGB" and not turned:
                image.draft("RGB", (THUMBNAIL, THUMBNAIL))  # decodes an eighth of the pixels
                image.thumbnail((THUMBNAIL, THUMBNAIL))
                return _jpeg(image, 80)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        pass  # as above
    small = Image.fromarray(read_image(path))
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return _jpeg(small, 80)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality)
    return content.getvalue()
