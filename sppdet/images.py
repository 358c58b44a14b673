"""Image files to RGB arrays, upright and 8 bits deep, whatever mode the file has."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sppdet.errors import SppdetError

Rgb = NDArray[np.uint8]

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


def read_image(path: str | os.PathLike[str]) -> Rgb:
    """Read an image file as RGB, uint8, shape (height, width, 3).

    EXIF rotation is applied. Grey, palette and CMYK images are converted; transparent pixels are
    laid on white; 16-bit and floating-point images are scaled to 8 bits (see :func:`_to_8_bits`).
    Of an animated or many-page file the first frame is read.

    Raises:
        SppdetError: the file is missing, is no image, or is truncated.
    """
    path = Path(path)
    try:
        with Image.open(path) as image:
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except FileNotFoundError:
        raise SppdetError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise SppdetError(f"{path}: is a folder, not an image") from None
    except Image.UnidentifiedImageError:
        raise SppdetError(
            f"{path}: is not an image that can be read ({', '.join(s[1:] for s in SUFFIXES)})"
        ) from None
    except Image.DecompressionBombError as error:
        raise SppdetError(f"{path}: is too large an image ({error})") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise SppdetError(f"{path}: is damaged ({error}); replace or remove it") from None


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """(width, height) of an image file after EXIF rotation, from its header alone.

    Raises:
        SppdetError: the file is missing or is no image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            sideways = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise SppdetError(f"{path}: is not an image that can be read ({error})") from None
    return (height, width) if sideways else (width, height)


def find_images(folder: str | os.PathLike[str]) -> list[Path]:
    """The image files directly in ``folder``, by name, judged by their suffix; none hidden.

    Raises:
        SppdetError: the folder does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SppdetError(f"{folder}: no such folder")
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() in SUFFIXES and entry.is_file() and not entry.name.startswith(".")
    )


def _to_rgb(image: Image.Image) -> Rgb:
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I", "F"):
        grey = _to_8_bits(np.asarray(image))
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))


def _to_8_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale deep grey values: full range for 16-bit integers, the values' own range for floats."""
    numbers = values.astype(np.float64)
    if np.issubdtype(values.dtype, np.floating):
        finite = numbers[np.isfinite(numbers)]
        low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    else:
        low, high = 0.0, 65535.0
        if numbers.size and numbers.max() <= 255:
            high = 255.0
    scaled = (numbers - low) / ((high - low) or 1.0) * 255
    return np.clip(np.nan_to_num(scaled), 0, 255).round().astype(np.uint8)
