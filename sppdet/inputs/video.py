"""Videos and cameras through OpenCV, frame by frame, and annotated videos out."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from sppdet.decoding import check_regular
from sppdet.errors import SppdetError
from sppdet.images import Rgb
from sppdet.inputs.sources import Source

USUAL_RATE = 25.0
"""Frames per second where a video or a camera does not say."""


class Video:
    """A video file or a camera that is open; use it with ``with``.

    Args:
        source: of the kind "video" or "camera".

    Attributes:
        rate: frames per second.

    Raises:
        SppdetError: OpenCV cannot read it.
    """

    def __init__(self, source: Source) -> None:
        self._name = source.name
        if source.path is not None:
            check_regular(source.path)
            self._capture = cv2.VideoCapture(str(source.path))
        else:
            self._capture = cv2.VideoCapture(int(source.name))
        if not self._capture.isOpened():
            what = "a video that OpenCV can read" if source.path else "a camera that answers"
            raise SppdetError(f"{source.name}: is not {what}")
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate = rate if 0 < rate < 1000 else USUAL_RATE

    def __enter__(self) -> "Video":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._capture.release()

    def frames(self, every: int = 1) -> Iterator[tuple[int, Rgb]]:
        """Every such frame from the first one: its number from 0, and (H, W, 3) uint8 RGB.

        Raises:
            SppdetError: it has no frame that can be read.
        """
        number = 0
        while self._capture.grab():
            if number % every == 0:
                whole, frame = self._capture.retrieve()
                if whole:
                    yield number, np.ascontiguousarray(frame[:, :, ::-1], np.uint8)
            number += 1
        if number == 0:
            raise SppdetError(f"{self._name}: has no frame that can be read")


class VideoWriter:
    """An MP4 file (MPEG-4 part 2) that is written frame by frame.

    Args:
        path: the file.
        rate: frames per second.
        size: (width, height) in pixels.

    Raises:
        SppdetError: OpenCV cannot write it.
    """

    def __init__(self, path: Path, rate: float, size: tuple[int, int]) -> None:
        code = cv2.VideoWriter.fourcc(*"mp4v")
        self._size = size
        self._writer = cv2.VideoWriter(str(path), code, rate, size)
        if not self._writer.isOpened():
            raise SppdetError(
                f"{path}: OpenCV cannot write a video of {size[0]} x {size[1]} pixels; use "
                "--no-pictures"
            )

    def add(self, image: Rgb) -> None:
        """Append a frame, (H, W, 3) uint8 RGB; another size is scaled to that of the first."""
        if (image.shape[1], image.shape[0]) != self._size:
            image = np.asarray(cv2.resize(image, self._size), np.uint8)
        self._writer.write(np.ascontiguousarray(image[:, :, ::-1]))

    def close(self) -> None:
        """Finish the file."""
        self._writer.release()
