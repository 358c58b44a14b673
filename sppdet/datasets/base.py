"""What every data set offers, whatever its format on disk."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import Boxes, as_boxes


@dataclass(frozen=True)
class Annotations:
    """The annotated objects of one image.

    Attributes:
        boxes: (N, 4) float32, 0-based half-open pixels, inside the image.
        labels: (N,) int64, index into the data set's classes.
        difficult: (N,) bool, neither to be learnt nor to be counted (VOC).
        crowd: (N,) bool, a region of many objects (COCO); likewise.
    """

    boxes: Boxes
    labels: NDArray[np.int64]
    difficult: NDArray[np.bool_]
    crowd: NDArray[np.bool_]


@dataclass(frozen=True)
class LabelledBox:
    """One object as its file tells it, with the name of its class."""

    box: tuple[float, float, float, float]
    name: str
    difficult: bool = False
    crowd: bool = False


@dataclass
class Dataset:
    """Images with their objects.

    Attributes:
        images: the image files.
        classes: names of the classes; labels are indices into them.
        split: name of the part that was opened, if the format has parts.
        problems: flaws of the annotations, a line each, naming file and box; what could be mended
            is mended, the rest left out.
    """

    images: list[Path]
    classes: tuple[str, ...]
    split: str | None
    objects: Sequence[Sequence[LabelledBox]]
    problems: list[str] = field(default_factory=list)

    def annotations(self, index: int) -> Annotations:
        """The objects of image ``index``; those of classes that are not asked for are left out."""
        number = {name: label for label, name in enumerate(self.classes)}
        known = [item for item in self.objects[index] if item.name in number]
        return Annotations(
            as_boxes([item.box for item in known]),
            np.array([number[item.name] for item in known], np.int64),
            np.array([item.difficult for item in known], bool),
            np.array([item.crowd for item in known], bool),
        )

    def __len__(self) -> int:
        return len(self.images)


def tidy_box(
    box: tuple[float, float, float, float], width: int, height: int, where: str, problems: list[str]
) -> tuple[float, float, float, float] | None:
    """The box clipped to the image, or None when it holds less than a pixel; says what it did.

    Args:
        box: 0-based, half-open.
        where: the file (and object) that a problem names.
        problems: gets a line for a box that was clipped by more than a pixel or left out.
    """
    x1, y1, x2, y2 = box
    shown = "({:g}, {:g}, {:g}, {:g})".format(*box)
    if x2 <= x1 or y2 <= y1:
        problems.append(f"{where}: box {shown} is inverted or empty; left out")
        return None
    clipped = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height)))
    if clipped[2] - clipped[0] < 1 or clipped[3] - clipped[1] < 1:
        problems.append(f"{where}: box {shown} is outside the {width} x {height} image; left out")
        return None
    if max(abs(a - b) for a, b in zip(box, clipped, strict=True)) > 1:
        problems.append(f"{where}: box {shown} leaves the {width} x {height} image; clipped")
    if min(clipped[2] - clipped[0], clipped[3] - clipped[1]) <= 1:
        problems.append(f"{where}: box {shown} is at most a pixel wide; left out")
        return None
    return clipped
