"""What was found as one picture: the example, then the regions, the best first."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from sppdet.boxes import Corners
from sppdet.drawing import frame
from sppdet.errors import SppdetError
from sppdet.images import Rgb, read_image
from sppdet.retrieval.search import Match
from sppdet.runtime.fonts import can_draw, font
from sppdet.runtime.names import visible

CELL, CAPTION, TEXT, GAP = 150, 16, 11, 6
"""Pixels: side of a picture, height of the line below it, its letters, and the space between."""

CONTEXT = 0.3
"""What is shown on each side of a box, as a part of the box's sides."""

EXAMPLE, FOUND = "#dc2626", "#22c55e"
"""Colours of the frames."""


def match_sheet(
    example: Rgb, box: Sequence[float], matches: Sequence[Match], columns: int = 8
) -> Rgb:
    """The example with a red frame, then the regions with green frames: (H, W, 3) uint8.

    A region whose image cannot be read any more is left out.
    """
    x1, y1, x2, y2 = (float(value) for value in box)
    cells = [_cell(example, (x1, y1, x2, y2), "example", EXAMPLE)]
    for rank, one in enumerate(matches, 1):
        try:
            image = read_image(one.image)
        except SppdetError:
            continue
        text = f"{rank}  {one.score:+.2f}  {visible(one.image.name)[:60]}"
        cells.append(_cell(image, one.box, text, FOUND))
    columns = min(columns, len(cells))
    width, height = CELL + GAP, CELL + CAPTION + GAP
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * width + GAP, rows * height + GAP), "white")
    for place, cell in enumerate(cells):
        sheet.paste(cell, (GAP + place % columns * width, GAP + place // columns * height))
    return np.asarray(sheet)


def _cell(image: Rgb, box: Corners, text: str, colour: str) -> Image.Image:
    x1, y1, x2, y2 = box
    height, width = image.shape[:2]
    x, y = CONTEXT * (x2 - x1), CONTEXT * (y2 - y1)
    left, top = int(np.clip(x1 - x, 0, width - 1)), int(np.clip(y1 - y, 0, height - 1))
    right = int(np.clip(x2 + x, left + 1, width))
    bottom = int(np.clip(y2 + y, top + 1, height))
    scale = CELL / max(right - left, bottom - top)
    size = max(round((right - left) * scale), 1), max(round((bottom - top) * scale), 1)
    picture = Image.fromarray(image[top:bottom, left:right]).resize(size)
    inner = [(x1 - left) * scale, (y1 - top) * scale, (x2 - left) * scale, (y2 - top) * scale]
    frame(ImageDraw.Draw(picture), inner, colour, 2)
    cell = Image.new("RGB", (CELL, CELL + CAPTION), "#f3f4f6")
    cell.paste(picture, ((CELL - size[0]) // 2, (CELL - size[1]) // 2))
    pen = ImageDraw.Draw(cell)
    pen.rectangle((0, CELL, CELL, CELL + CAPTION), fill="white")
    if not can_draw(text):
        text = text.encode("ascii", "replace").decode()
    pen.text((2, CELL + 1), text, fill="#374151", font=font(text, TEXT))
    return cell
