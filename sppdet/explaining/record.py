"""What an explanation says."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import Corners
from sppdet.images import Rgb


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A training example with a great inner product with the region.

    Attributes:
        positive: whether it is a positive of the class, or a negative.
        product: the inner product of both features.
        image: name of its image file.
        box: x1, y1, x2, y2 in pixels of that image.
        thumbnail: (64, 64, 3) uint8, what the box shows, with grey beside it.
    """

    positive: bool
    product: float
    image: str
    box: Corners
    thumbnail: Rgb


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a region has its score for a class.

    Attributes:
        label: name of the class.
        probability: of the detection; the logistic function of ``score - lowered``.
        score: of the SVM, ``bias + parts.sum()`` to the rounding of float32.
        bias: b of the SVM.
        levels: of the pyramid, bins per side.
        parts: (bins,) float32, what each bin adds to the score: level by level, row by row.
        box: the detection, x1, y1, x2, y2 in pixels of the image, after regression and voting.
        proposal: the box that was scored.
        window: the cells that were pooled: first column, first row, end column, end row of the map.
        window_box: the pixels of the image that these cells stand for.
        map_size: rows and columns of the map.
        seen_size: width and height in pixels at which the network saw the image.
        neighbours: the nearest training examples, positives before negatives, the nearest first;
            empty where the detector keeps none.
        lowered: what the score loses because the box holds two others of its class
            (:func:`sppdet.heads.groups.lower_groups`); 0 for nearly all detections.
    """

    label: str
    probability: float
    score: float
    bias: float
    levels: tuple[int, ...]
    parts: NDArray[np.float32]
    box: Corners
    proposal: Corners
    window: tuple[int, int, int, int]
    window_box: Corners
    map_size: tuple[int, int]
    seen_size: tuple[int, int]
    neighbours: tuple[Neighbour, ...] = field(default=(), repr=False)
    lowered: float = 0.0

    def grids(self) -> list[NDArray[np.float32]]:
        """The parts of each level, (n, n) for a level of n bins per side."""
        ends = np.cumsum([level * level for level in self.levels])
        return [
            part.reshape(level, level)
            for part, level in zip(np.split(self.parts, ends[:-1]), self.levels, strict=True)
        ]
