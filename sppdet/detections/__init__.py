"""The result of detection."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import Boxes, as_boxes
from sppdet.boxes import area as areas_of
from sppdet.detections import conversions, pictures
from sppdet.detections.checks import chosen_classes, least_scores, limits_of_area, validated
from sppdet.detections.record import Detection
from sppdet.images import ImageLike, Rgb, as_image

__all__ = ["Detection", "Detections"]

if TYPE_CHECKING:
    import pandas
    import supervision

_SHOWN = 5
"""Detections that ``repr`` lists."""


@dataclass(frozen=True, repr=False, eq=False)
class Detections:
    """The objects found in one image, best score first; immutable, its arrays too.

    It is a sequence: ``len``, iteration and an index give :class:`Detection`; a slice, a mask or an
    array of indices gives ``Detections``.

    Attributes:
        boxes: (N, 4) float32, xyxy in pixels of the image, half-open.
        labels: (N,) int64, index into ``classes``.
        scores: (N,) float32, higher is surer. A detector gives probabilities in (0, 1);
            results that were read from elsewhere may have any scale.
        classes: the names of all classes that the detector knows.
        seconds: the time that each stage took, in seconds, in the order of the stages.
        size: (width, height) of the image in pixels; None where it is unknown.
        source: the image: its file, or its pixels (H, W, 3) uint8; None where it is unknown. A
            detector that was given a path keeps the path. Of other images it keeps nothing, so that
            a list of results does not hold all pixels: see :meth:`with_image`.

    Raises:
        ValueError: the numbers of boxes, labels and scores differ, a label is not an index of a
            class, a score or a box is not finite, a box is inverted, or the size is not positive.

    Examples:
        >>> boxes = [[0, 0, 5, 5], [2, 2, 8, 9]]
        >>> found = Detections(boxes, [1, 0], [0.41, 0.93], ("apple", "pear"))
        >>> found
        Detections(2: apple .93, pear .41)
        >>> found[0].box
        (2.0, 2.0, 8.0, 9.0)
        >>> found.filter(classes="pear")
        Detections(1: pear .41)
    """

    boxes: Boxes
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    classes: tuple[str, ...]
    seconds: Mapping[str, float] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    source: str | os.PathLike[str] | Rgb | None = None

    def __post_init__(self) -> None:
        classes = (self.classes,) if isinstance(self.classes, str) else tuple(self.classes)
        boxes = as_boxes(self.boxes)
        labels = np.asarray(self.labels, np.int64).reshape(-1)
        scores = np.asarray(self.scores, np.float32).reshape(-1)
        size = validated(boxes, labels, scores, classes, self.size)
        order = np.argsort(-scores, kind="stable")
        for name, values in (("boxes", boxes), ("labels", labels), ("scores", scores)):
            own = values[order]  # a copy
            own.setflags(write=False)
            object.__setattr__(self, name, own)
        object.__setattr__(self, "classes", classes)
        object.__setattr__(self, "seconds", MappingProxyType(dict(self.seconds)))
        object.__setattr__(self, "size", size)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle and copy, which cannot handle a read-only mapping."""
        return Detections, (
            self.boxes,
            self.labels,
            self.scores,
            self.classes,
            dict(self.seconds),
            self.size,
            self.source,
        )

    @staticmethod
    def none(classes: tuple[str, ...]) -> "Detections":
        """No detections, of a detector that knows ``classes``."""
        empty = np.zeros(0, np.int64)
        return Detections(np.zeros((0, 4), np.float32), empty, np.zeros(0, np.float32), classes)

    def __repr__(self) -> str:
        """Number, classes and scores, in one line: ``Detections(2: apple .93, pear .41)``."""
        shown = [
            f"{self.classes[label]} {f'{score:.2f}'.removeprefix('0')}"
            for label, score in zip(self.labels[:_SHOWN], self.scores[:_SHOWN], strict=True)
        ]
        rest = [f"and {len(self) - _SHOWN} more"] if len(self) > _SHOWN else []
        listed = f": {', '.join(shown + rest)}" if shown else ""
        return f"Detections({len(self)}{listed})"

    def __len__(self) -> int:
        return len(self.boxes)

    def __iter__(self) -> Iterator[Detection]:
        return (self[index] for index in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Detection: ...
    @overload
    def __getitem__(self, index: "slice | Sequence[int] | NDArray[Any]") -> "Detections": ...
    def __getitem__(
        self, index: "int | slice | Sequence[int] | NDArray[Any]"
    ) -> "Detection | Detections":
        """A :class:`Detection` by its number; ``Detections`` by a slice, a mask or indices."""
        if not isinstance(index, int | np.integer):
            return self.select(index)
        x1, y1, x2, y2 = (float(value) for value in self.boxes[index])
        return Detection(
            self.classes[self.labels[index]], float(self.scores[index]), (x1, y1, x2, y2)
        )

    def __eq__(self, other: object) -> bool:
        """Whether the objects, the classes and the size are equal; times and sources may differ."""
        if not isinstance(other, Detections):
            return NotImplemented
        return (
            (self.classes, self.size) == (other.classes, other.size)
            and np.array_equal(self.boxes, other.boxes)
            and np.array_equal(self.labels, other.labels)
            and np.array_equal(self.scores, other.scores)
        )

    __hash__ = None  # type: ignore[assignment]

    def select(self, keep: "slice | Sequence[int] | NDArray[Any]") -> "Detections":
        """The detections that ``keep`` (a slice, a mask or indices) chooses."""
        chosen = keep if isinstance(keep, slice) else np.asarray(keep)
        if isinstance(chosen, np.ndarray) and not chosen.size:
            chosen = np.zeros(0, np.int64)  # an empty list is an array of floats
        return replace(
            self, boxes=self.boxes[chosen], labels=self.labels[chosen], scores=self.scores[chosen]
        )

    def filter(
        self,
        score: float | Mapping[str, float] | None = None,
        classes: str | Sequence[str] | None = None,
        area: float | tuple[float, float] | None = None,
    ) -> "Detections":
        """The detections that fulfil every condition given.

        Args:
            score: the least score, or the least score of some classes by their names.
            classes: a name of a class, or several.
            area: the least area of a box in square pixels, or the least and the greatest.

        Raises:
            ValueError: a class is unknown.
        """
        keep = np.ones(len(self), bool)
        if score is not None:
            keep &= self.scores >= least_scores(score, self.classes)[self.labels]
        if classes is not None:
            keep &= np.isin(self.labels, chosen_classes(classes, self.classes))
        if area is not None:
            least, greatest = limits_of_area(area)
            areas = areas_of(self.boxes)
            keep &= (areas >= least) & (areas <= greatest)
        return self.select(keep)

    def with_image(self, image: ImageLike, *, channels: str = "RGB") -> "Detections":
        """These detections with their image, which pictures, crops and notebooks need.

        A path is kept, and read when the pixels are wanted; of what else
        :func:`sppdet.images.as_image` accepts the pixels are kept.
        """
        pixels = as_image(image, channels)
        kept = image if isinstance(image, str | os.PathLike) else pixels
        return replace(self, source=kept, size=(pixels.shape[1], pixels.shape[0]))

    # ---- pictures: ``image`` is by default the source; SppdetError where that is unknown

    def plot(self, image: "ImageLike | None" = None) -> Rgb:
        """The image (H, W, 3) uint8 with a frame, the class and the score of every detection."""
        return pictures.plot(self, image)

    def crops(self, image: "ImageLike | None" = None) -> list[Rgb]:
        """The part of the image in each box, (h, w, 3) uint8, in the order of the detections.

        Corners are rounded outwards to whole pixels and clipped to the image.
        """
        return pictures.crops(self, image)

    def save(self, path: str | os.PathLike[str], image: "ImageLike | None" = None) -> None:
        """Write a file: ``.json`` gets :meth:`to_dict`, the suffix of a picture :meth:`plot`.

        An existing file is replaced. Another suffix, or a file that cannot be written, raises
        SppdetError.
        """
        pictures.save(self, Path(path), image)

    def show(self, image: "ImageLike | None" = None) -> None:
        """Open :meth:`plot` in the system's viewer of images; SppdetError where there is none."""
        pictures.show(self, image)

    def _repr_png_(self) -> bytes | None:
        return pictures.png(self)

    def _repr_html_(self) -> str:
        return pictures.page(self)

    # ---- conversions

    def to_json(self) -> list[dict[str, Any]]:
        """``[{"label", "score", "box": [x1, y1, x2, y2]}, ...]``, best first, rounded.

        Scores have four decimals and coordinates one; :meth:`to_dict` rounds nothing.
        """
        return conversions.to_json(self)

    def to_dict(self) -> dict[str, Any]:
        """All that :meth:`from_dict` needs to make equal detections, as values of JSON.

        ``{"image", "width", "height", "classes", "detections": [{"label", "score", "box"}, ...],
        "seconds"}``; ``image`` is the path, or None.
        """
        return conversions.to_dict(self)

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> "Detections":
        """What :meth:`to_dict` gave, or a JSON file of ``sppdet detect`` has, as detections.

        Without ``classes`` the classes are the labels that occur, in the order of the alphabet.

        Raises:
            ValueError: the content is something else.
        """
        return Detections(*conversions.from_dict(content))

    def to_coco(
        self, image_id: int | str, category_ids: Mapping[str, int] | None = None
    ) -> list[dict[str, Any]]:
        """Entries of a COCO results file: ``bbox`` is [x, y, width, height].

        Args:
            image_id: of the image.
            category_ids: the category of each class by its name; detections of other classes are
                left out. None numbers the classes from 1 and adds ``category_name``.
        """
        return conversions.to_coco(self, image_id, category_ids)

    def to_yolo(self, size: tuple[int, int] | None = None) -> str:
        """Lines ``class cx cy w h score``: number of the class, fractions of the image's size.

        Args:
            size: width and height of the image in pixels; by default :attr:`size`.

        Raises:
            ValueError: the size is unknown.
        """
        return conversions.to_yolo(self, size)

    def to_voc(self, name: str | None = None, size: tuple[int, int] | None = None) -> str:
        """The XML of PASCAL VOC, which counts pixels from 1 and has no place for scores.

        Args:
            name: of the image file; by default that of :attr:`source`.
            size: width and height of the image in pixels; by default :attr:`size`.

        Raises:
            SppdetError: the name of a class cannot stand in XML.
            ValueError: the name or the size is unknown.
        """
        return conversions.to_voc(self, name, size)

    def to_pandas(self) -> "pandas.DataFrame":
        """A table with the columns ``label``, ``score``, ``x1``, ``y1``, ``x2`` and ``y2``.
        SppdetError where pandas is not installed.
        """
        return conversions.to_pandas(self)

    def to_supervision(self) -> "supervision.Detections":
        """The detections as the package supervision has them, with ``data["class_name"]``.
        SppdetError where supervision is not installed.
        """
        return conversions.to_supervision(self)
