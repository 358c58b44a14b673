"""Proposals computed earlier, as JSON: ``{"photo.jpg": [[x1, y1, x2, y2], ...], ...}``."""

import json
from collections import Counter
from pathlib import Path

import numpy as np

from sppdet.boxes import FARTHEST, Boxes, as_boxes
from sppdet.datasets.files import parse_json
from sppdet.datasets.image_names import relative_names
from sppdet.errors import SppdetError
from sppdet.runtime.outputs import write_recorded


def write_proposals(path: Path, proposals: dict[str, Boxes]) -> None:
    """Write boxes, (N, 4) each, by the relative name of their image, to a tenth of a pixel.

    Raises:
        SppdetError: the file cannot be written.
    """
    lists = {
        name: [[round(float(value), 1) for value in box] for box in boxes]
        for name, boxes in proposals.items()
    }
    write_recorded(path, json.dumps(lists) + "\n")


def read_proposals(path: Path, images: list[Path]) -> list[Boxes]:
    """The boxes of each image, (N, 4), in the images' order; files are found by their relative
    names (:func:`sppdet.datasets.image_names.relative_names`), or by a file name that only one has.

    Raises:
        SppdetError: the file cannot be read, is not such a JSON file, or has no boxes for an image.
    """
    content = parse_json(path)
    if not isinstance(content, dict):
        raise SppdetError(f"{path}: is not a JSON object of image names and boxes")
    found = []
    alone = Counter(image.name for image in images)
    for name, image in zip(relative_names(images), images, strict=True):
        if name not in content and alone[image.name] == 1:
            name = image.name
        if name not in content:
            raise SppdetError(f"{path}: has no boxes for {name}; make it with these images")
        try:
            boxes = as_boxes(content[name])
        except (TypeError, ValueError, OverflowError):
            boxes = np.full((1, 4), np.nan, np.float32)
        near = bool((np.abs(boxes) <= FARTHEST).all())  # not so for NaN
        if not near or len(boxes) == 0 or not (boxes[:, 2:] > boxes[:, :2]).all():
            raise SppdetError(
                f"{path}: the boxes of {name} are not a list of [x1, y1, x2, y2] with "
                "x1 < x2 and y1 < y2"
            )
        found.append(boxes)
    return found
