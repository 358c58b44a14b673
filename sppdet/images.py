"""Images to RGB arrays, upright and 8 bits deep: files of any mode, and what programs hold."""

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sppdet.decoding import decode, upright, upright_size
from sppdet.errors import SppdetError
from sppdet.runtime.words import counted

if TYPE_CHECKING:
    from torch import Tensor

Rgb = NDArray[np.uint8]

ImageFile: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""A path, the content of an image file, or a file opened in binary mode."""

ImageLike: TypeAlias = "ImageFile | Image.Image | NDArray[np.uint8] | Tensor"
"""What :func:`as_image` accepts."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""Of files that are taken for images before they are opened. What they are, their content says."""

LONGEST = 10.0
"""Ratio of the sides from which an image is seen in parts, see :mod:`sppdet.panorama`."""

_STRIP_PIXELS = 1 << 22

_MORE_SUFFIXES = (".jfif", ".jpe", ".gif", ".ppm", ".pgm")
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
"""How files of these formats begin."""


def read_image(file: ImageFile) -> Rgb:
    """Read an image file as RGB, uint8, shape (height, width, 3).

    EXIF rotation is applied. Grey, palette and CMYK images are converted; transparent pixels are
    laid on white; 16-bit and floating-point images are scaled to 8 bits
    (see :func:`_from_deep_grey`).
    Of an animated or many-page file the first frame is read. The format is that of the content,
    whatever the suffix is. A JPEG that lacks its last bytes is read with a warning as long as nine
    tenths of its rows are there.

    Args:
        file: a path, the bytes of an image file, or a file opened in binary mode.

    Raises:
        SppdetError: the file is missing, is not an image, or is truncated.
        TypeError: ``file`` is none of these.
    """
    if isinstance(file, str | os.PathLike):
        path = Path(file)
        return _to_rgb(decode(path, str(path)))
    if isinstance(file, bytes | bytearray | memoryview):
        content = bytes(file)
        return _to_rgb(decode(io.BytesIO(content), f"image of {counted(len(content), 'byte')}"))
    if isinstance(file, io.TextIOBase):
        raise TypeError("file is opened as text: open it with mode 'rb'")
    if hasattr(file, "read"):
        return _to_rgb(decode(file, str(getattr(file, "name", "image file"))))
    raise TypeError(
        f"file is {type(file).__name__}: give a path, bytes, or a file opened with mode 'rb'"
    )


def as_image(image: ImageLike, channels: str = "RGB") -> Rgb:
    """An image in any form whose meaning is obvious, as RGB, uint8, shape (height, width, 3).

    ======================================  =======================================================
    form                                    treatment
    ======================================  =======================================================
    path, bytes, binary file                as :func:`read_image`
    ``PIL.Image.Image``                     EXIF rotation and mode as in :func:`read_image`
    array, (H, W, 3) uint8                  as it is, without a copy where it is C-contiguous
    array, (H, W) or (H, W, 1) uint8        grey: the value is repeated in the three channels
    array, (H, W, 4) uint8                  the fourth channel is opacity; laid on white
    tensor on the CPU, uint8                as an array; (1, H, W), (3, H, W) and (4, H, W) too,
                                            where only one axis can be that of the channels
    ======================================  =======================================================

    Args:
        image: the image.
        channels: order of the colours in an array or a tensor, "RGB" or "BGR" (OpenCV's). Files
            and PIL images state their own order.

    Raises:
        SppdetError: a file is missing, is not an image, or is truncated.
        TypeError: ``image`` is none of the above, or its values are not uint8.
        ValueError: its shape is none of the above, it has no pixel, or ``channels`` is unknown.

    Examples:
        >>> as_image(np.zeros((4, 6), np.uint8)).shape
        (4, 6, 3)
        >>> as_image(np.array([[[255, 0, 10]]], np.uint8), channels="BGR").tolist()
        [[[10, 0, 255]]]
    """
    if channels not in ("RGB", "BGR"):
        raise ValueError(f"channels is {channels!r}: give 'RGB' or 'BGR'")
    if isinstance(image, Image.Image):
        return _from_pil(image)
    if isinstance(image, np.ndarray):
        return _from_array(image, channels)
    if _is_tensor(image):
        return _from_array(_array_of_tensor(image), channels)
    if isinstance(image, str | os.PathLike | bytes | bytearray | memoryview):
        return read_image(image)
    if hasattr(image, "read"):
        return read_image(cast(BinaryIO, image))
    raise TypeError(
        f"image is {type(image).__name__}: give a path, bytes, a binary file, a PIL image, a uint8 "
        "array of shape (H, W, 3), or such a tensor"
    )


def _from_pil(image: Image.Image) -> Rgb:
    if 0 in image.size:
        raise ValueError(f"image has no pixel: its size is {image.width} x {image.height}")
    try:
        image.load()
        return _to_rgb(upright(image))
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        name = getattr(image, "filename", "") or "image"
        raise SppdetError(f"{name}: is damaged ({error}); replace or remove it") from None


def _is_tensor(value: object) -> TypeGuard["Tensor"]:
    torch = sys.modules.get("torch")  # a program that has not imported torch has no tensor
    return torch is not None and isinstance(value, torch.Tensor)


def _array_of_tensor(tensor: "Tensor") -> NDArray[Any]:
    """A uint8 tensor on the CPU as an array with the channels last."""
    if tensor.device.type != "cpu":
        raise TypeError(f"image is a tensor on {tensor.device}: give image.cpu()")
    if str(tensor.dtype) != "torch.uint8":
        raise TypeError(_values_remedy(str(tensor.dtype).removeprefix("torch.")))
    array: NDArray[Any] = tensor.numpy()
    if array.ndim != 3 or array.shape[0] not in (1, 3, 4):
        return array
    if array.shape[2] in (1, 3, 4):
        raise ValueError(
            f"image is a tensor of shape {array.shape}, whose channels may be the first or last "
            "axis: give an array of shape (H, W, 3), image.numpy() or "
            "image.permute(1, 2, 0).numpy()"
        )
    return array.transpose(1, 2, 0)


def _from_array(array: NDArray[Any], channels: str) -> Rgb:
    if array.dtype != np.uint8:
        raise TypeError(_values_remedy(str(array.dtype)))
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (1, 3, 4):
        raise ValueError(
            f"image has the shape {array.shape}: give (H, W, 3), image.transpose(1, 2, 0)"
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ValueError(
            f"image has the shape {array.shape}: give one image, (H, W, 3) in colour, (H, W) in "
            "grey, or (H, W, 4) with opacity"
        )
    if array.size == 0:
        raise ValueError(f"image has no pixel: its shape is {array.shape}")
    if array.ndim == 2 or array.shape[2] == 1:
        return np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    if channels == "BGR":
        array = array[:, :, [2, 1, 0, 3][: array.shape[2]]]
    if array.shape[2] == 4:
        return _to_rgb(Image.fromarray(np.ascontiguousarray(array)))
    return np.ascontiguousarray(array)


def _values_remedy(dtype: str) -> str:
    """What is wrong with values that are not uint8, and how to convert them."""
    remedies = {
        "bool": "255 * image.astype('uint8')",
        "uint16": "(image / 257).round().astype('uint8') for values of 0 to 65535",
    }
    remedy = "convert the values of 0 to 255 to uint8"
    if "float" in dtype:
        remedy = "(255 * image).round().astype('uint8') for values of 0 to 1"
    return f"image has values of type {dtype}, not uint8: give {remedies.get(dtype, remedy)}"


def is_panorama(image: Rgb) -> bool:
    """Whether an image (H, W, 3) is seen in parts."""
    return bool(max(image.shape[:2]) > LONGEST * min(image.shape[:2]))


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """(width, height) of an image file after EXIF rotation, from its header alone.

    Raises:
        SppdetError: the file is missing or is not an image.
    """
    return upright_size(Path(path))


def find_images(folder: str | os.PathLike[str]) -> list[Path]:
    """The image files directly in ``folder``, by name; none hidden.

    They are judged by their suffix, or by their content where they have none.

    Raises:
        SppdetError: the folder does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SppdetError(f"{folder}: no such folder")
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if _is_image(entry))
    except OSError as error:
        raise SppdetError(f"{folder}: cannot be read ({error.strerror or error})") from None
    return [folder / name for name in names]


def _is_image(entry: os.DirEntry[str]) -> bool:
    """Whether it is a regular file, or a link to one, that is not hidden and may be an image."""
    try:
        hidden = entry.name.startswith(".")
        return not hidden and entry.is_file() and may_be_image(Path(entry.path))
    except OSError:  # a link that leads to itself
        return False


def may_be_image(file: Path) -> bool:
    """Whether a file is taken for an image: by its suffix, or by its content where it has none."""
    if file.suffix:
        return file.suffix.lower() in (*SUFFIXES, *_MORE_SUFFIXES)
    try:
        with file.open("rb") as content:
            return content.read(8).startswith(_BEGINNINGS)
    except OSError:
        return False


def _to_rgb(image: Image.Image) -> Rgb:
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I", "F"):
        return _from_deep_grey(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        pixels = np.empty((image.height, image.width, 3), np.uint8)
        for rows, strip in _strips(image):
            opaque = Image.alpha_composite(
                Image.new("RGBA", strip.size, "white"), strip.convert("RGBA")
            )
            pixels[rows] = np.asarray(opaque.convert("RGB"))
        return pixels
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _strips(image: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    """An image in parts of some rows: what is computed for a part takes little memory."""
    count = max(_STRIP_PIXELS // image.width, 1)
    for top in range(0, image.height, count):
        bottom = min(top + count, image.height)
        yield slice(top, bottom), image.crop((0, top, image.width, bottom))


def _from_deep_grey(image: Image.Image) -> Rgb:
    """Scale deep grey values: full range for 16-bit integers, the values' own range for floats."""
    lows, highs = [], []
    for _, strip in _strips(image):
        values = np.asarray(strip)
        finite = values[np.isfinite(values)]
        if finite.size:
            lows.append(float(finite.min()))
            highs.append(float(finite.max()))
    low, high = min(lows, default=0.0), max(highs, default=0.0)
    if image.mode != "F":
        low, high = 0.0, 255.0 if high <= 255 else 65535.0
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for rows, strip in _strips(image):
        scaled = (np.asarray(strip).astype(np.float64) - low) / ((high - low) or 1.0) * 255
        pixels[rows] = np.clip(np.nan_to_num(scaled), 0, 255).round()[:, :, None]
    return pixels
