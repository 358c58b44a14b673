"""Sources to images: one image, or the frames of a video, an animation or a file of many pages."""

import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sppdet.decoding import check_regular
from sppdet.errors import SppdetError, SppdetWarning
from sppdet.images import ImageLike, Rgb, as_image, read_image
from sppdet.inputs.sources import HEIF, Inputs, Source, find_sources, know_heif
from sppdet.inputs.video import Video
from sppdet.inputs.web import MOST_BYTES, fetch
from sppdet.runtime.words import counted, megabytes

_MANY = ("TIFF", "GIF", "WEBP", "PNG", "AVIF")
"""Formats whose files may be animations or have many pages. The further pictures of a JPEG (MPO)
are previews or the view of a second lens."""


@dataclass(frozen=True)
class Frame:
    """One image of a source.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        number: of the frame in its source, from 0; None where the source is one image.
    """

    image: Rgb
    number: int | None = None


def frames_of(source: Source, every: int | None = None) -> Iterator[Frame]:
    """The images of a source, read one by one.

    Args:
        source: what :func:`sppdet.inputs.find_sources` gives.
        every: take every such frame. None means all frames of a video, and of an animation or a
            file of several pages the first one, with a note (:class:`sppdet.errors.SppdetWarning`).

    Raises:
        SppdetError: it cannot be read.
    """
    if source.kind in ("video", "camera"):
        with Video(source) as video:
            for number, image in video.frames(every or 1):
                yield Frame(image, number)
    elif source.kind == "url":
        yield Frame(_named(fetch(source.name), source.name))
    elif source.kind == "stdin":
        yield Frame(_named(_standard_input(), "the standard input"))
    else:
        yield from _of_file(source, every)


def images_of(
    inputs: Inputs | Iterable["ImageLike"],
    recursive: bool = False,
    every: int | None = None,
    channels: str = "RGB",
) -> Iterator[tuple[Rgb, "Path | Rgb"]]:
    """The images of names and of what programs hold, in order; each with its file or its pixels.

    An input that cannot be read gives a warning (:class:`sppdet.errors.SppdetWarning`).

    Args:
        inputs: names for :func:`sppdet.inputs.find_sources`, or images for
            :func:`sppdet.images.as_image`.
        recursive: as for ``find_sources``.
        every: as for :func:`frames_of`.
        channels: of arrays and tensors, as for ``as_image``.

    Raises:
        SppdetError: nothing is found at the place of a name.
    """
    alone = isinstance(inputs, str | bytes | bytearray | memoryview | os.PathLike | Image.Image)
    alone = alone or hasattr(inputs, "read") or hasattr(inputs, "dtype")
    for item in [inputs] if alone else inputs:  # type: ignore[union-attr]
        if not isinstance(item, str | os.PathLike):
            pixels = as_image(item, channels)  # type: ignore[arg-type]
            yield pixels, pixels
            continue
        sources, problems = find_sources([item], recursive)
        if problems:
            raise SppdetError(problems[0])
        for source in sources:
            try:
                for frame in frames_of(source, every):
                    kept = source.path if frame.number is None else None
                    yield frame.image, kept or frame.image
            except SppdetError as error:
                warnings.warn(str(error), SppdetWarning, stacklevel=2)


def count_frames(source: Source) -> int:
    """How many frames an image file has; 1 where it cannot be read.

    Raises:
        SppdetError: it is a pipe or a device.
    """
    if source.path is None or source.kind != "file" or not source.path.is_file():
        return 1
    know_heif()
    try:
        with Image.open(source.path) as image:
            return int(getattr(image, "n_frames", 1)) if image.format in _MANY else 1
    except Exception:  # Pillow's plugins raise many types; reading it says what is wrong
        return 1


def _of_file(source: Source, every: int | None) -> Iterator[Frame]:
    path = source.path
    assert path is not None
    check_regular(path)
    if path.suffix.lower() in HEIF and path.suffix.lower() not in Image.registered_extensions():
        raise SppdetError(f"{path}: HEIC needs one more package: pip install pillow-heif")
    count = count_frames(source)
    if count == 1 or every is None:
        image = read_image(path)
        if count > 1:
            warnings.warn(
                f"{path}: has {counted(count, 'frame')}; the first one is used, "
                "--every 1 takes all",
                SppdetWarning,
                stacklevel=2,
            )
        yield Frame(image)
        return
    with Image.open(path) as pages:
        for number in range(0, count, every):
            try:
                pages.seek(number)
                image = as_image(pages.copy())
            except (OSError, EOFError, SyntaxError, ValueError) as error:
                raise SppdetError(f"{path}: frame {number} is damaged ({error})") from None
            yield Frame(image, number)


def _standard_input() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise SppdetError("-: give the bytes of an image on the standard input: ... < photo.jpg")
    content = sys.stdin.buffer.read(MOST_BYTES + 1)
    if not content:
        raise SppdetError("-: the standard input is empty")
    if len(content) > MOST_BYTES:
        raise SppdetError(f"-: the standard input has more than {megabytes(MOST_BYTES)}")
    return content


def _named(content: bytes, name: str) -> Rgb:
    """The image in these bytes; errors call it ``name``."""
    try:
        return read_image(content)
    except SppdetError as error:
        reason = str(error).partition(": ")[2] or str(error)
        raise SppdetError(f"{name}: {reason}") from None
