"""Upright hulls of shapes: polygons, turned boxes, ellipses, run-length masks."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from sppdet.runtime.words import counted

Box = tuple[float, float, float, float]
"""xyxy, 0-based, half-open, pixels."""


def hull(points: Iterable[Sequence[float]]) -> Box:
    """The upright hull of points.

    Raises:
        ValueError: there are fewer than two.
    """
    pairs = [(float(x), float(y)) for x, y in points]
    if len(pairs) < 2:
        raise ValueError(counted(len(pairs), "point"))
    xs, ys = zip(*pairs, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def turned(
    x: float, y: float, w: float, h: float, degrees: float, about: tuple[float, float]
) -> Box:
    """The upright hull of a box that is turned clockwise about a point (the y axis points down)."""
    if degrees == 0:
        return x, y, x + w, y + h
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
    a, b = about
    return hull(
        (
            a + cosine * (px - a) - sine * (py - b),
            b + sine * (px - a) + cosine * (py - b),
        )
        for px, py in corners
    )


def ellipse(cx: float, cy: float, rx: float, ry: float, degrees: float = 0.0) -> Box:
    """The upright hull of an ellipse with half axes rx and ry, turned by an angle."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    half_width = math.hypot(rx * cosine, ry * sine)
    half_height = math.hypot(rx * sine, ry * cosine)
    return cx - half_width, cy - half_height, cx + half_width, cy + half_height


def flat_polygons(polygons: Any) -> Box:
    """The hull of COCO polygons: lists x1, y1, x2, y2, ..., or one such list.

    Raises:
        ValueError, TypeError: they are something else, or empty.
    """
    if polygons and all(isinstance(value, int | float) for value in polygons):
        polygons = [polygons]
    points = [
        point for polygon in polygons for point in zip(polygon[0::2], polygon[1::2], strict=False)
    ]
    return hull(points)


def run_lengths(counts: Any, height: int) -> Box:
    """The hull of a COCO mask: runs of 0 and 1 by turns, down the columns of the image.

    Args:
        counts: a list of lengths, or COCO's compressed text.
        height: of the mask in pixels.

    Raises:
        ValueError, TypeError: it is no mask, or an empty one.
    """
    if isinstance(counts, str):
        counts = _decompressed(counts)
    if height <= 0:
        raise ValueError("a mask of height 0")
    x1, y1, x2, y2 = math.inf, height, -math.inf, 0
    position = 0
    for index, length in enumerate(int(value) for value in counts):
        if length < 0:
            raise ValueError("a mask with a run of negative length")
        if index % 2 and length:
            first, last = position, position + length - 1
            x1, x2 = min(x1, first // height), max(x2, last // height + 1)
            if first // height == last // height:
                y1, y2 = min(y1, first % height), max(y2, last % height + 1)
            else:
                y1, y2 = 0, height
        position += length
    if x2 < x1:
        raise ValueError("an empty mask")
    return float(x1), float(y1), float(x2), float(y2)


def _decompressed(text: str) -> list[int]:
    """COCO's text: groups of 5 bits from character 48 on, and from the third run on differences to
    the run before the last (the format of pycocotools' maskApi)."""
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError("a mask that is not COCO's text")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts
