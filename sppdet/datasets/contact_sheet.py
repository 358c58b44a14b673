"""One picture with many annotated samples of a data set."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sppdet.datasets.base import Dataset
from sppdet.drawing import class_colour
from sppdet.errors import SppdetError
from sppdet.images import Rgb, read_image

CELL = (256, 200)
CAPTION = 16


def contact_sheet(dataset: Dataset, count: int = 24, columns: int = 4, seed: int = 0) -> Rgb:
    """Draw images with their boxes; each next image shows the class that was drawn least so far.

    Images that cannot be read are passed over. Crowds and difficult objects have thin frames.

    Args:
        dataset: what to show.
        count: images at most.
        columns: images in a row.
        seed: of the choice.

    Returns:
        (H, W, 3) uint8.
    """
    pictures: list[Image.Image] = []
    for index in choose_images(dataset, seed):
        if len(pictures) == count:
            break
        try:
            pictures.append(_cell(dataset, index))
        except SppdetError:
            continue
    width, height = CELL[0] + 6, CELL[1] + CAPTION + 6
    rows = max(-(-len(pictures) // columns), 1)
    sheet = Image.new("RGB", (columns * width + 6, rows * height + 6), "white")
    for place, picture in enumerate(pictures):
        sheet.paste(picture, (6 + place % columns * width, 6 + place // columns * height))
    return np.asarray(sheet)


def choose_images(dataset: Dataset, seed: int = 0) -> list[int]:
    """All images in an order in which rare classes come early; those without objects come last."""
    random = np.random.default_rng(seed)
    by_class: list[list[int]] = [[] for _ in dataset.classes]
    for index in random.permutation(len(dataset.images)):
        for label in np.unique(dataset.annotations(int(index)).labels):
            by_class[label].append(int(index))
    shown = np.zeros(len(dataset.classes))
    order: dict[int, None] = {}
    waiting = [iter(images) for images in by_class]
    alive = [bool(images) for images in by_class]
    while any(alive):
        label = min((k for k in range(len(alive)) if alive[k]), key=lambda k: shown[k])
        index = next((i for i in waiting[label] if i not in order), None)
        if index is None:
            alive[label] = False
            continue
        order[index] = None
        shown[dataset.annotations(index).labels] += 1
    rest = [index for index in range(len(dataset.images)) if index not in order]
    return [*order, *rest]


def _cell(dataset: Dataset, index: int) -> Image.Image:
    image = Image.fromarray(read_image(dataset.images[index]))
    scale = min(CELL[0] / image.width, CELL[1] / image.height)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    cell = Image.new("RGB", (CELL[0], CELL[1] + CAPTION), "#f3f4f6")
    left, top = (CELL[0] - size[0]) // 2, (CELL[1] - size[1]) // 2
    cell.paste(image.resize(size), (left, top))
    pen = ImageDraw.Draw(cell)
    font = ImageFont.load_default(size=11)
    entry = dataset.annotations(index)
    for box, label, faint in zip(
        entry.boxes, entry.labels, entry.difficult | entry.crowd, strict=True
    ):
        colour = class_colour(int(label), len(dataset.classes))
        x1, y1, x2, y2 = (float(value) * scale for value in box)
        frame = (left + x1, top + y1, left + max(x2 - 1, x1), top + max(y2 - 1, y1))
        pen.rectangle(frame, outline=colour, width=1 if faint else 2)
        if x2 - x1 < 20:
            continue  # the name would hide the object
        name = dataset.classes[label]
        text = pen.textbbox((frame[0], frame[1]), name, font=font)
        pen.rectangle(text, fill=colour)
        pen.text((frame[0], frame[1]), name, fill="white", font=font)
    pen.rectangle((0, CELL[1], CELL[0], CELL[1] + CAPTION), fill="white")
    pen.text((2, CELL[1] + 1), dataset.images[index].name[:44], fill="#374151", font=font)
    return cell
