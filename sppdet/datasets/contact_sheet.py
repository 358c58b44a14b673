"""One picture with many annotated samples of a data set."""

import numpy as np
from PIL import Image, ImageDraw

from sppdet.datasets.base import Dataset
from sppdet.drawing import Rectangle, class_colour, drawable_names, frame, place_label
from sppdet.errors import SppdetError
from sppdet.images import Rgb, read_image
from sppdet.runtime.fonts import can_draw, font
from sppdet.runtime.names import visible

CELL = (256, 200)
CAPTION = 16
TEXT = 11
"""Sizes in pixels: of a picture, of the line below it, and of the letters."""

NARROW = 20
"""Width in pixels below which a box gets no name, which would hide the object."""


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
    names = drawable_names(dataset.classes)
    for index in choose_images(dataset, seed):
        if len(pictures) == count:
            break
        try:
            pictures.append(_cell(dataset, index, names))
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


def _cell(dataset: Dataset, index: int, names: list[str]) -> Image.Image:
    image = Image.fromarray(read_image(dataset.images[index]))
    scale = min(CELL[0] / image.width, CELL[1] / image.height)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    picture = image.resize(size)
    pen = ImageDraw.Draw(picture)
    entry = dataset.annotations(index)
    boxes = (entry.boxes * scale).tolist()
    colours = [class_colour(int(label), len(names)) for label in entry.labels]
    for box, colour, faint in zip(boxes, colours, entry.difficult | entry.crowd, strict=True):
        frame(pen, box, colour, 1 if faint else 2)
    taken: list[Rectangle] = []
    for box, label, colour in zip(boxes, entry.labels, colours, strict=True):
        if box[2] - box[0] >= NARROW:
            place_label(pen, names[label], box, colour, TEXT, taken)
    cell = Image.new("RGB", (CELL[0], CELL[1] + CAPTION), "#f3f4f6")
    cell.paste(picture, ((CELL[0] - size[0]) // 2, (CELL[1] - size[1]) // 2))
    pen = ImageDraw.Draw(cell)
    pen.rectangle((0, CELL[1], CELL[0], CELL[1] + CAPTION), fill="white")
    name = visible(dataset.images[index].name[:44])
    if not can_draw(name):
        name = name.encode("ascii", "replace").decode()
    pen.text((2, CELL[1] + 1), name, fill="#374151", font=font(name, TEXT))
    return cell
