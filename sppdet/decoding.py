"""Files to upright Pillow images: odd EXIF is passed over, a cut JPEG is read as far as it goes.

Viewers and OpenCV show a JPEG that lacks its last bytes; Pillow refuses it. Public data sets have
such photographs.
"""

import io
import os
import stat
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from sppdet.errors import SppdetError, SppdetWarning
from sppdet.runtime.words import counted, verb

LEAST_ROWS = 0.9
"""Part of the rows that must decode: a photograph that lacks more is refused."""

LONGEST_SIDE = 65_535
"""Pixels of the longest side that is read, JPEG's limit: the header of a file of a few bytes can
claim millions, and a picture so long is seen in as many parts as it is longer than high."""

LEAST_SCANS = 6
"""Scans from which a progressive JPEG without its end is read. Each scan refines all rows; encoders
write ten by default, and behind the sixth the luminance lacks its last bits only."""

_SCAN, _TABLES, _END = b"\xff\xda", b"\xff\xc4", b"\xff\xd9"  # SOS, DHT, EOI of ITU-T T.81
_ORIENTATION = 0x0112  # EXIF 2.3, 4.6.4
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes an image with this EXIF orientation upright."""


def decode(source: Path | BinaryIO, name: str) -> Image.Image:
    """The first picture of an image file, decoded and upright.

    A JPEG without its last bytes is read with a :class:`sppdet.errors.SppdetWarning`.

    Args:
        source: a path, or a binary file from its position on.
        name: how errors call it.

    Raises:
        SppdetError: it is missing, is not an image, is damaged, or is no regular file (a pipe, a
            device), which is never opened.
    """
    if isinstance(source, Path):
        check_regular(source)
    try:
        content = None if isinstance(source, Path) else io.BytesIO(source.read())
        with Image.open(content or source) as image:
            _check_sides(image.size, name)
            try:
                image.load()
            except OSError:
                if image.format not in ("JPEG", "MPO"):
                    raise
                encoded = content.getvalue() if content else Path(str(source)).read_bytes()
                return upright(_without_end(encoded, name))
            return upright(image)
    except FileNotFoundError:
        raise SppdetError(f"{name}: no such file") from None
    except UnidentifiedImageError:
        raise SppdetError(
            f"{name}: is not an image that can be read (JPEG, PNG, WebP, BMP, TIFF, GIF, PPM)"
        ) from None
    except Image.DecompressionBombError as error:
        raise SppdetError(_too_large(name, error)) from None
    except MemoryError:
        raise SppdetError(f"{name}: is too large an image for the memory") from None
    except SppdetError:
        raise
    except Exception as error:  # Pillow's plugins raise many types on mutated files
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise SppdetError(f"{name}: is damaged ({reason}); replace or remove it") from None


def upright_size(path: Path) -> tuple[int, int]:
    """(width, height) of an image file after EXIF rotation, from its header alone.

    Raises:
        SppdetError: it is missing, is not an image, or is no regular file.
    """
    check_regular(path)
    try:
        with Image.open(path) as image:
            _check_sides(image.size, str(path))
            width, height = image.size
            # Pillow gives the size of a TIFF file as it is after the rotation.
            turned = image.format != "TIFF" and orientation(image) in (5, 6, 7, 8)
    except FileNotFoundError:
        raise SppdetError(f"{path}: no such file") from None
    except Image.DecompressionBombError as error:
        raise SppdetError(_too_large(str(path), error)) from None
    except SppdetError:
        raise
    except Exception as error:  # as above
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise SppdetError(f"{path}: is not an image that can be read ({reason})") from None
    return (height, width) if turned else (width, height)


def upright(image: Image.Image) -> Image.Image:
    """A decoded image with its EXIF rotation applied; its tags are not written again."""
    turn = _TURNS.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def orientation(image: Image.Image) -> int:
    """The EXIF orientation of an image, 1 to 8; 1 where it is absent or makes no sense."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # wrong types and offsets: struct.error, TypeError, OSError and others
        return 1
    if isinstance(value, tuple | list) and len(value) == 1:
        value = value[0]
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return 1
    return number if number == value and 1 <= number <= 8 else 1


def check_regular(path: Path) -> None:
    """Raise SppdetError for a folder, and for a pipe or a device, which may never end."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        reason = "no such file" if missing else f"cannot be read ({error})"
        raise SppdetError(f"{path}: {reason}") from None
    if stat.S_ISDIR(mode):
        raise SppdetError(f"{path}: is a folder, not an image")
    if not stat.S_ISREG(mode):
        raise SppdetError(f"{path}: is a pipe or a device, not a file")


def _check_sides(size: tuple[int, int], name: str) -> None:
    if max(size) > LONGEST_SIDE:
        raise SppdetError(
            f"{name}: is {size[0]} x {size[1]} pixels; cut it, sides up to {LONGEST_SIDE} are read"
        )


def _too_large(name: str, error: Exception) -> str:
    return f"{name}: is too large an image ({error}); --max-pixels allows more"


def _without_end(content: bytes, name: str) -> Image.Image:
    """A JPEG that lacks its end, if most of it is there: libjpeg fills up the rest.

    Raises:
        SppdetError: too little of it is there.
    """
    content = content.rstrip(b"\xff")  # the first half of a marker
    try:
        image = _ended(content)
    except OSError:  # it is cut in the middle of a header between two scans
        content = content[: max(content.rfind(marker) for marker in (_SCAN, _TABLES))]
        image = _ended(content)
    if image.info.get("progressive"):
        scans = content.count(_SCAN)
        enough, said = scans >= LEAST_SCANS, f"{counted(scans, 'scan')} {verb(scans)}"
    else:
        rows = _decoded_rows(image, content)
        enough, said = rows >= LEAST_ROWS * image.height, f"{rows} of {image.height} rows are"
    if not enough:
        raise SppdetError(f"{name}: is damaged (only {said} there); replace or remove it")
    warnings.warn(f"{name}: lacks its last bytes; {said} read", SppdetWarning, stacklevel=2)
    return image


def _ended(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content + _END))
    image.load()
    return image


def _decoded_rows(image: Image.Image, content: bytes) -> int:
    """How many rows of a baseline JPEG come from its bytes: those that other bytes behind them,
    here noise, do not change."""
    noise = np.random.default_rng(0).integers(0, 255, 1 << 16, np.uint8).tobytes()
    other = _ended(content + noise)
    same = np.asarray(image).reshape(image.height, -1) == np.asarray(other).reshape(
        image.height, -1
    )
    rows = same.all(axis=1)
    return len(rows) if rows.all() else int(rows.argmin())
