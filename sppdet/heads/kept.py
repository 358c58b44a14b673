"""A few training examples that a detector keeps, so that it can show what a region resembles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.boxes import Boxes
from sppdet.images import Rgb

SIDE = 64
"""Width and height of a thumbnail in pixels."""

PER_CLASS = 24
"""Positives that a class keeps at most, and negatives likewise."""

MEMORY = 64 << 20
"""Bytes that the examples of all classes may take in the model file."""

LONGEST_NAME = 255
"""Characters of an image's name that are kept."""

_GREY = 128
_ARRAYS = ("labels", "positive", "background", "thumbnails", "boxes")


@dataclass(frozen=True, eq=False)
class KeptExamples:
    """E training examples of a detector with linear heads, for features of D values.

    Attributes:
        features: (E, D) float16 on the CPU, as the extractor gives them.
        labels: (E,) int64, the class of which each is an example.
        positive: (E,) bool, whether it is a positive of its class; the others are negatives.
        background: (E,) bool, whether it is a negative of every class.
        thumbnails: (E, SIDE, SIDE, 3) uint8, what the region shows, with grey beside it.
        boxes: (E, 4) float32, pixels of its image.
        images: E names of the image files, without folders.
    """

    features: Tensor
    labels: NDArray[np.int64]
    positive: NDArray[np.bool_]
    background: NDArray[np.bool_]
    thumbnails: NDArray[np.uint8]
    boxes: Boxes
    images: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @staticmethod
    def none(dimension: int) -> "KeptExamples":
        """No examples, for features of ``dimension`` values."""
        return KeptExamples(
            torch.zeros(0, dimension, dtype=torch.float16),
            np.zeros(0, np.int64),
            np.zeros(0, bool),
            np.zeros(0, bool),
            np.zeros((0, SIDE, SIDE, 3), np.uint8),
            np.zeros((0, 4), np.float32),
            (),
        )

    def nearest(
        self, feature: Tensor, label: int, positive: bool, count: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The examples of a class with the greatest inner products with a feature (D,).

        Returns:
            The numbers of at most ``count`` examples, the nearest first, and their products.
        """
        mine = np.flatnonzero((self.labels == label) & (self.positive == positive))
        vectors = self.features[torch.from_numpy(mine)].float()
        products = (vectors @ feature.float().cpu()).numpy()
        best = np.argsort(-products, kind="stable")[:count]
        return mine[best], products[best]

    def take(self, index: NDArray[np.int64]) -> "KeptExamples":
        """The examples ``index`` (M,)."""
        arrays = {name: getattr(self, name)[index] for name in _ARRAYS}
        names = tuple(self.images[one] for one in index)
        return KeptExamples(self.features[torch.from_numpy(index)], **arrays, images=names)

    def of_classes(self, labels: Sequence[int]) -> "KeptExamples":
        """The examples of some classes, whose numbers become their places in ``labels``."""
        chosen = self.take(np.flatnonzero(np.isin(self.labels, labels)))
        places = {label: place for place, label in enumerate(labels)}
        own = np.array([places[label] for label in chosen.labels.tolist()], np.int64)
        return replace(chosen, labels=own)

    def joined(self, other: "KeptExamples", first: int) -> "KeptExamples":
        """These examples and those of another detector, whose classes begin at ``first``.

        None is background any more: none was compared with the objects of the other's classes.
        """
        both = KeptExamples.together([self, replace(other, labels=other.labels + first)])
        return replace(both, background=np.zeros(len(both), np.bool_))

    @staticmethod
    def together(parts: "Sequence[KeptExamples]") -> "KeptExamples":
        """The examples of all parts, at least one."""
        arrays = {name: np.concatenate([getattr(one, name) for one in parts]) for name in _ARRAYS}
        features = torch.cat([one.features for one in parts])
        return KeptExamples(features, **arrays, images=sum((one.images for one in parts), ()))

    def tensors(self) -> dict[str, Tensor]:
        """What a model file keeps, beside the names of the images."""
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in _ARRAYS}
        tensors = {f"kept.{name}": torch.from_numpy(array) for name, array in arrays.items()}
        return {"kept.features": self.features, **tensors}

    @staticmethod
    def restore(
        tensors: Mapping[str, Tensor], images: object, classes: int, dimension: int
    ) -> "KeptExamples | None":
        """The examples whose :meth:`tensors` these are; None when there are none among them.

        Args:
            tensors: of a model file.
            images: the names of the images.
            classes: K of the detector.
            dimension: D of the detector.

        Raises:
            KeyError, ValueError: a tensor is missing or does not fit to the others.
        """
        if images is None and not any(name.startswith("kept.") for name in tensors):
            return None
        own = {name: tensors[f"kept.{name}"] for name in ("features", *_ARRAYS)}
        count = len(own["features"])
        wanted = {
            "features": ((count, dimension), torch.float16),
            "labels": ((count,), torch.int64),
            "positive": ((count,), torch.bool),
            "background": ((count,), torch.bool),
            "thumbnails": ((count, SIDE, SIDE, 3), torch.uint8),
            "boxes": ((count, 4), torch.float32),
        }
        for name, (shape, kind) in wanted.items():
            if tuple(own[name].shape) != shape or own[name].dtype != kind:
                raise ValueError(
                    f"kept.{name} is {tuple(own[name].shape)} {own[name].dtype}, not {shape} {kind}"
                )
        if not isinstance(images, list | tuple) or len(images) != count:
            raise ValueError(f"the names of its {count} kept examples are missing")
        if not all(isinstance(name, str) and len(name) <= LONGEST_NAME for name in images):
            raise ValueError("a name of its kept examples is no text, or too long")
        labels = own["labels"].numpy()
        if count and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(f"a kept example is of a class beyond its {classes}")
        return KeptExamples(
            own["features"],
            labels,
            own["positive"].numpy(),
            own["background"].numpy(),
            own["thumbnails"].numpy(),
            own["boxes"].numpy(),
            tuple(images),
        )


def most_kept(dimension: int, classes: int) -> int:
    """Positives, and negatives likewise, that each class may keep: at least 1.

    Examples:
        >>> most_kept(22750, 3), most_kept(22750, 200)
        (24, 2)
    """
    each = 2 * dimension + 3 * SIDE * SIDE
    return min(PER_CLASS, max(MEMORY // (2 * each * max(classes, 1)), 1))


def thumbnail(image: Rgb, box: Sequence[float] | Boxes) -> Rgb:
    """What a box (x1, y1, x2, y2) of an image shows, (SIDE, SIDE, 3) uint8, with grey beside it.

    At least one pixel of the image is shown, whatever the box is.
    """
    height, width = image.shape[:2]
    left, top, right, bottom = np.array([*np.floor(box[:2]), *np.ceil(box[2:])], np.int64)
    left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    right, bottom = min(max(right, left + 1), width), min(max(bottom, top + 1), height)
    part = image[top:bottom, left:right]
    factor = SIDE / max(part.shape[:2])
    w, h = (max(round(side * factor), 1) for side in (part.shape[1], part.shape[0]))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    result = np.full((SIDE, SIDE, 3), _GREY, np.uint8)
    y, x = (SIDE - h) // 2, (SIDE - w) // 2
    result[y : y + h, x : x + w] = cv2.resize(part, (w, h), interpolation=how)
    return result
