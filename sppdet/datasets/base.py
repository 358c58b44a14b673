"""What every reader returns: images, their annotations, and a list of problems."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import Boxes, as_boxes

TOLERANCE = 1.0
"""Pixels by which a box may leave its image without a report, because labelling tools round."""

MOST_OBJECTS = 5000
"""Objects of an image that are kept; the largest public data sets have about a thousand. Overlaps
are computed of all pairs, and a damaged file must not ask for all memory."""


@dataclass(frozen=True)
class Annotations:
    """The annotated objects of one image.

    Attributes:
        boxes: (N, 4) float32, xyxy, 0-based, half-open, inside the image.
        labels: (N,) int64, index into the classes of the data set.
        difficult: (N,) bool; such an object counts neither as a positive nor as a negative (VOC).
        crowd: (N,) bool; such a box surrounds a group of objects (COCO).
    """

    boxes: Boxes
    labels: NDArray[np.int64]
    difficult: NDArray[np.bool_]
    crowd: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True)
class Problem:
    """Something wrong in a data set that did not stop the reader; ``str`` gives the line to print.

    Attributes:
        kind: "missing image", "unreadable image", "unreadable annotation", "inverted box",
            "tiny box", "outside box", "wrong size", "bad object", "unknown class", "same name",
            "two annotations", "too many objects", "other encoding" or "unlabelled images".
        file: where it is.
        message: what it is, and what was done about it.
    """

    kind: str
    file: Path
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


@dataclass(frozen=True)
class RawObject:
    """One object as a file describes it: the box is xyxy, 0-based, half-open, not yet checked."""

    name: str
    box: tuple[float, float, float, float]
    difficult: bool = False
    crowd: bool = False


@dataclass(frozen=True)
class Record:
    """One image as a reader found it.

    Attributes:
        image: the image file.
        source: the file that its objects come from.
        size: (width, height) in pixels; None when it is unknown; boxes are then not clipped.
        objects: in the order of the file.
    """

    image: Path
    source: Path
    size: tuple[int, int] | None
    objects: list[RawObject]


class Dataset:
    """Images and their annotations, read once and held in memory.

    Attributes:
        path: where it was opened.
        format: one of :data:`sppdet.datasets.FORMATS`.
        split: the name of the part, or None for the whole.
        images: the image files.
        classes: the class names; labels index into them.
        problems: the problems of the files, in the order of the files.
        notes: what the reader decided, a line each, such as how many images are background.
        image_ids: for COCO JSON the id of each image, otherwise None.
        category_ids: for COCO JSON the category id of each class, otherwise None.
        annotation_file: the COCO JSON file, otherwise None.
    """

    def __init__(
        self,
        path: Path,
        format: str,
        split: str | None,
        records: Sequence[Record],
        classes: Sequence[str] | None = None,
        problems: Sequence[Problem] = (),
        image_ids: list[int] | None = None,
        category_ids: dict[str, int] | None = None,
        annotation_file: Path | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        """Check the records' boxes; objects of classes that are not in ``classes`` are left out.

        ``classes`` None means all names that occur, sorted.
        """
        if classes is None:
            classes = sorted({entry.name for record in records for entry in record.objects})
        self.path, self.format, self.split = path, format, split
        self.images = [record.image for record in records]
        self.classes = tuple(classes)
        self.problems = list(problems)
        self.notes = list(notes)
        self.image_ids = image_ids
        self.annotation_file = annotation_file
        self.category_ids = category_ids and {name: category_ids[name] for name in self.classes}
        index = {name: label for label, name in enumerate(self.classes)}
        self._annotations = [_checked(record, index, self.problems) for record in records]

    def __len__(self) -> int:
        return len(self.images)

    def annotations(self, index: int) -> Annotations:
        """The objects of image ``index``."""
        return self._annotations[index]

    def subset(self, indices: Sequence[int], split: str | None) -> "Dataset":
        """The images of these indices as a part of that name, with the same classes."""
        part = copy.copy(self)
        part.split = split
        part.images = [self.images[index] for index in indices]
        part.image_ids = self.image_ids and [self.image_ids[index] for index in indices]
        part.annotation_file = None
        part._annotations = [self._annotations[index] for index in indices]
        return part

    def of_classes(self, classes: Sequence[str]) -> "Dataset":
        """The same images with the objects of these classes only, whose labels index into them."""
        part = copy.copy(self)
        part.classes = tuple(classes)
        part.category_ids = self.category_ids and {
            name: self.category_ids[name] for name in classes
        }
        part.annotation_file = None
        number = {name: label for label, name in enumerate(classes)}
        table = np.array([number.get(name, -1) for name in self.classes], np.int64)
        part._annotations = []
        for entry in self._annotations:
            labels = table[entry.labels]
            keep = labels >= 0
            one = Annotations(
                entry.boxes[keep], labels[keep], entry.difficult[keep], entry.crowd[keep]
            )
            part._annotations.append(one)
        return part

    def all_annotations(self) -> list[Annotations]:
        """The objects of every image."""
        return list(self._annotations)


def _checked(record: Record, index: dict[str, int], problems: list[Problem]) -> Annotations:
    boxes, labels, difficult, crowd = [], [], [], []
    for entry in record.objects:
        if entry.name not in index:
            continue
        box, found = check_box(entry, record.size)
        if found is not None:
            kind, message = found
            problems.append(Problem(kind, record.source, f"{entry.name} {message}"))
        if box is not None:
            boxes.append(box)
            labels.append(index[entry.name])
            difficult.append(entry.difficult)
            crowd.append(entry.crowd)
    if len(boxes) > MOST_OBJECTS:
        text = f"has {len(boxes)} objects in {record.image.name}; the first {MOST_OBJECTS} are kept"
        problems.append(Problem("too many objects", record.source, text))
    kept = slice(MOST_OBJECTS)
    return Annotations(
        as_boxes(boxes[kept]),
        np.array(labels[kept], np.int64),
        np.array(difficult[kept], bool),
        np.array(crowd[kept], bool),
    )


Box = tuple[float, float, float, float]


def check_box(
    entry: RawObject, size: tuple[int, int] | None
) -> tuple[Box | None, tuple[str, str] | None]:
    """The box of an object cut to its image, or None where it is unusable; and the problem or None.

    A box is unusable when it is inverted, or when a side of the part inside the image is at most 1
    pixel. Parts outside are cut off; up to :data:`TOLERANCE` pixels this is not a problem.
    """
    x1, y1, x2, y2 = entry.box
    text = f"box [{x1:g}, {y1:g}, {x2:g}, {y2:g}]"
    if not np.isfinite(entry.box).all():
        return None, (
            "bad object",
            f"{text} has a coordinate that is not finite, left out",
        )
    if x2 < x1 or y2 < y1:
        return None, ("inverted box", f"{text} ends before it begins, left out")
    problem = None
    if size is not None:
        width, height = size
        excess = max(-x1, -y1, x2 - width, y2 - height)
        if excess > TOLERANCE:
            problem = ("outside box", f"{text} leaves the image of {width} x {height}, cut off")
        x1, x2 = min(max(x1, 0), width), min(max(x2, 0), width)
        y1, y2 = min(max(y1, 0), height), min(max(y2, 0), height)
    if x2 - x1 <= 1 or y2 - y1 <= 1:
        if problem is not None:
            return None, ("outside box", f"{text} lies outside the image, left out")
        return None, ("tiny box", f"{text} is at most 1 pixel wide or high, left out")
    return (x1, y1, x2, y2), problem
