"""One detection, and what the conversions and pictures need of many."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from sppdet.drawing import Drawable
from sppdet.images import Rgb


@dataclass(frozen=True)
class Detection:
    """One object that was found.

    Attributes:
        label: the name of its class.
        score: higher is surer; of a detector a probability in (0, 1).
        box: x1, y1, x2, y2 in pixels of the image, 0-based, half-open.
    """

    label: str
    score: float
    box: tuple[float, float, float, float]


class Found(Drawable, Protocol):
    """What the modules of this room need of :class:`sppdet.detections.Detections`."""

    @property
    def seconds(self) -> Mapping[str, float]:
        """Of the stages."""

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) in pixels."""

    @property
    def source(self) -> "str | os.PathLike[str] | Rgb | None":
        """The image's file or pixels."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Detection]: ...
