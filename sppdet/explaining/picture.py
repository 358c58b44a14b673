"""An explanation as a picture: a row of panels for each detection."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sppdet.boxes import Corners
from sppdet.drawing import class_colour, drawable_names, frame, text_colour
from sppdet.explaining.cells import cell_parts, heat_on_image
from sppdet.explaining.record import Explanation
from sppdet.heads.kept import SIDE
from sppdet.images import Rgb
from sppdet.runtime.fonts import font

PANEL = 200
"""Height of a row's panels in pixels."""

GRID = 120
"""Width and height of a grid."""

GAP, LINE, TEXT = 10, 18, 12
"""Pixels between panels, of a line of text, and of its letters."""

CONTEXT = 0.4
"""What a close-up shows on each side of the box, as a part of the box's sides."""

UP, DOWN = np.array([214, 39, 40]), np.array([31, 90, 180])
"""Colours of parts that raise the score and of parts that lower it."""

INK, PAPER = "#374151", "white"


def explanation_picture(
    image: Rgb, explanations: Sequence[Explanation], classes: Sequence[str]
) -> Rgb:
    """A row for each explanation, (H, W, 3) uint8.

    From left to right: the photograph with the detection (colour of its class), the proposal
    (white) and the window (yellow); the parts as a heat map over the window; the window on the
    feature map; a grid for each level, with the sum of the level; the nearest positives above the
    nearest negatives. Red raises the score, and blue lowers it.
    """
    names = dict(zip(classes, drawable_names(classes), strict=True))
    rows = [_row(image, one, names, list(classes)) for one in explanations]
    if not rows:
        rows = [_captioned(_fitted(image, 3 * PANEL, 2 * PANEL), "no detection")]
    width = max(row.width for row in rows)
    sheet = Image.new("RGB", (width, sum(row.height for row in rows)), PAPER)
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    return np.asarray(sheet)


def _row(image: Rgb, one: Explanation, names: dict[str, str], classes: list[str]) -> Image.Image:
    colour = class_colour(classes.index(one.label), len(classes))
    panels = [
        _captioned(_whole(image, one, colour), "detection, proposal (white), window (yellow)"),
        _captioned(_heat(image, one, colour), "parts over the window"),
        _captioned(_map(one), f"map {one.map_size[1]} x {one.map_size[0]}"),
    ]
    for level, grid in zip(one.levels, one.grids(), strict=True):
        title = f"{level} x {level}: {grid.sum(dtype=np.float64):+.2f}"
        panels.append(_captioned(grid_picture(grid), title))
    if one.neighbours:
        panels.append(_captioned(_neighbours(one), "nearest examples"))
    width = sum(panel.width for panel in panels) + GAP * (len(panels) + 1)
    row = Image.new("RGB", (width, PANEL + 2 * LINE + 2 * GAP), PAPER)
    level_sums = " ".join(f"{grid.sum(dtype=np.float64):+.3f}" for grid in one.grids())
    text = (
        f"{names[one.label]} {100 * one.probability:.1f} %:  score {one.score:+.3f} = "
        f"bias {one.bias:+.3f} {level_sums}"
    )
    if one.lowered:
        text += f";  lowered by {one.lowered:.3f}: holds two others"
    _write(row, text, (GAP, 4))
    left = GAP
    for panel in panels:
        row.paste(panel, (left, LINE + GAP))
        left += panel.width + GAP
    return row


def grid_picture(grid: NDArray[np.float32], side: int = GRID) -> Image.Image:
    """A grid of parts in colours, the greatest magnitude strongest; with numbers up to 3 x 3."""
    count = len(grid)
    strongest = max(float(np.abs(grid).max()), 1e-12)
    colours = diverging(grid / strongest)
    picture = Image.fromarray(colours).resize((side, side), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(picture)
    for line in range(count + 1):
        at = min(round(line * side / count), side - 1)
        pen.line((at, 0, at, side), fill="#9ca3af")
        pen.line((0, at, side, at), fill="#9ca3af")
    if count <= 3:
        for y in range(count):
            for x in range(count):
                place = ((x + 0.5) * side / count, (y + 0.5) * side / count)
                red, green, blue = colours[y, x].tolist()
                ink = text_colour((red, green, blue))
                text = f"{grid[y, x]:+.2f}"
                pen.text(place, text, fill=ink, font=font(text, TEXT), anchor="mm")
    return picture


def diverging(values: NDArray[np.float32] | NDArray[np.float64]) -> Rgb:
    """Values from -1 to 1 as colours from blue over white to red: (..., 3) uint8."""
    strength = np.clip(np.abs(values), 0, 1)[..., None]
    full = np.where(values[..., None] > 0, UP, DOWN)
    return np.asarray(np.round(255 + strength * (full - 255.0)), np.uint8)


def heat_picture(image: Rgb, one: Explanation) -> Rgb:
    """The photograph with the parts of a score over the window, spread evenly over each bin."""
    left, top, right, bottom = one.window
    cells = cell_parts(one.parts, one.levels, bottom - top, right - left)
    cells = cells / max(float(np.abs(cells).max()), 1e-12)
    heat = heat_on_image(cells, one.window_box, (image.shape[1], image.shape[0]))
    strength = 0.75 * np.abs(heat)[..., None]
    colour = np.where(heat[..., None] > 0, UP, DOWN)
    grey = image.mean(axis=2, keepdims=True) * 0.6 + 80  # so that only the parts have a colour
    return np.asarray(np.round(grey * (1 - strength) + colour * strength), np.uint8)


def _whole(image: Rgb, one: Explanation, colour: tuple[int, int, int]) -> Image.Image:
    picture = _fitted(image, round(1.4 * PANEL), PANEL)
    scale = picture.width / image.shape[1]
    pen = ImageDraw.Draw(picture)
    for box, ink, line in (
        (one.window_box, "#facc15", 1),
        (one.proposal, "white", 1),
        (one.box, colour, 2),
    ):
        frame(pen, [value * scale for value in box], ink, line, edge="#4b5563")
    return picture


def _heat(image: Rgb, one: Explanation, colour: tuple[int, int, int]) -> Image.Image:
    x1, y1, x2, y2 = one.proposal
    height, width = image.shape[:2]
    x, y = CONTEXT * (x2 - x1), CONTEXT * (y2 - y1)
    left, top = max(round(x1 - x), 0), max(round(y1 - y), 0)
    right, bottom = min(round(x2 + x) + 1, width), min(round(y2 + y) + 1, height)
    moved: Corners = (
        one.window_box[0] - left,
        one.window_box[1] - top,
        one.window_box[2] - left,
        one.window_box[3] - top,
    )
    part = np.ascontiguousarray(image[top:bottom, left:right])
    shifted = Explanation(**{**vars(one), "window_box": moved})
    picture = _fitted(heat_picture(part, shifted), PANEL, PANEL)
    scale = picture.width / part.shape[1]
    pen = ImageDraw.Draw(picture)
    for box, ink in ((one.proposal, "white"), (one.box, colour)):
        own = [(box[0] - left) * scale, (box[1] - top) * scale]
        own += [(box[2] - left) * scale, (box[3] - top) * scale]
        frame(pen, own, ink, 1)
    return picture


def _map(one: Explanation) -> Image.Image:
    rows, columns = one.map_size
    scale = min(GRID / columns, GRID / rows)
    size = max(round(columns * scale), 1), max(round(rows * scale), 1)
    picture = Image.new("RGB", size, "#e5e7eb")
    left, top, right, bottom = one.window
    box = (left * scale, top * scale, right * scale - 1, bottom * scale - 1)
    ImageDraw.Draw(picture).rectangle(
        (box[0], box[1], max(box[2], box[0]), max(box[3], box[1])), fill="#facc15", outline=INK
    )
    return picture


def _neighbours(one: Explanation) -> Image.Image:
    kinds = [[n for n in one.neighbours if n.positive == positive] for positive in (True, False)]
    width = max(len(kind) for kind in kinds) * (SIDE + 4)
    picture = Image.new("RGB", (max(width, 2 * SIDE), 2 * (SIDE + LINE)), PAPER)
    for y, (word, kind) in enumerate(zip(("positive", "negative"), kinds, strict=True)):
        top = y * (SIDE + LINE)
        _write(picture, word, (0, top), 10)
        for x, neighbour in enumerate(kind):
            picture.paste(Image.fromarray(neighbour.thumbnail), (x * (SIDE + 4), top + LINE - 4))
    return picture


def _captioned(picture: Image.Image, text: str) -> Image.Image:
    """With a line of text below, as high as a row."""
    letters = font(text, 10)
    assert letters is not None
    width = max(picture.width, round(letters.getlength(text)) + 1)
    result = Image.new("RGB", (width, max(PANEL, picture.height) + LINE), PAPER)
    result.paste(picture, (0, 0))
    _write(result, text, (0, picture.height + 2), 10)
    return result


def _fitted(image: Rgb, width: int, height: int) -> Image.Image:
    scale = min(width / image.shape[1], height / image.shape[0])
    size = max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return Image.fromarray(np.asarray(cv2.resize(image, size, interpolation=how), np.uint8))


def _write(picture: Image.Image, text: str, place: tuple[int, int], size: int = TEXT) -> None:
    ImageDraw.Draw(picture).text(place, text, fill=INK, font=font(text, size))
