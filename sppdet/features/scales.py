"""The sizes at which a network sees an image.

This module does not import PyTorch: processes that only read, search and resize images begin sooner
without it (:mod:`sppdet.pipeline.preparing`).
"""

from dataclasses import dataclass

import cv2

from sppdet.images import Rgb


@dataclass(frozen=True)
class Scale:
    """One size at which an image goes through the network.

    Attributes:
        width, height: of the resized image, in pixels.
        x, y: resized pixels per original pixel along each axis (they differ by rounding only).
    """

    width: int
    height: int
    x: float
    y: float


def image_scales(
    width: int, height: int, short_sides: tuple[int, ...], longest_side: int
) -> list[Scale]:
    """The sizes at which an image of ``width`` x ``height`` pixels is seen, one per short side.

    Each keeps the aspect ratio; where the longer side would exceed ``longest_side`` it is made that
    long instead. Sizes that become equal by it are given once.

    Examples:
        >>> [(s.width, s.height) for s in image_scales(640, 480, (240, 480, 960), 1000)]
        [(320, 240), (640, 480), (1000, 750)]
    """
    scales = []
    for side in short_sides:
        factor = min(side / min(width, height), longest_side / max(width, height))
        new_width, new_height = max(round(width * factor), 1), max(round(height * factor), 1)
        scale = Scale(new_width, new_height, new_width / width, new_height / height)
        if scale not in scales:
            scales.append(scale)
    return scales


def resize(image: Rgb, scale: Scale) -> Rgb:
    """Resize to the scale: bilinear upwards, area average downwards."""
    height, width = image.shape[:2]
    if (width, height) == (scale.width, scale.height):
        return image
    shrinks = scale.width < width or scale.height < height
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (scale.width, scale.height), interpolation=method)  # type: ignore[return-value]
