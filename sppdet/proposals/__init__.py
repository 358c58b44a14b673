"""Region proposals: one function, :func:`propose`, and the methods behind it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from sppdet.errors import SppdetError
from sppdet.images import ImageLike, as_image
from sppdet.proposals.edge_boxes import EdgeBoxesSettings, edge_boxes
from sppdet.proposals.opencv import OpenCvSettings, opencv_search
from sppdet.proposals.selective_search import (
    COMPLETE,
    FAST,
    FINEST,
    QUALITY,
    TINY,
    SearchSettings,
)
from sppdet.proposals.selective_search import search as search_hierarchies

Settings = SearchSettings | OpenCvSettings | EdgeBoxesSettings

METHODS: dict[str, Settings] = {
    "fast": FAST,
    "complete": COMPLETE,
    "quality": QUALITY,
    "tiny": TINY,
    "finest": FINEST,
    "opencv-fast": OpenCvSettings("fast"),
    "opencv-quality": OpenCvSettings("quality"),
}

# A small image is enlarged to the searched side, but not by more than this.
MAX_ENLARGEMENT = 4.0


def settings_of(method: str | Settings) -> Settings:
    """The settings that a name in :data:`METHODS` stands for; settings are returned as they are.

    Raises:
        SppdetError: no method has this name.
        TypeError: ``method`` is neither a name nor settings.
    """
    if isinstance(method, SearchSettings | OpenCvSettings | EdgeBoxesSettings):
        return method
    if not isinstance(method, str):
        raise TypeError(
            f"method is {method!r}: give one of {', '.join(METHODS)}, or settings of a method"
        )
    if method not in METHODS:
        raise SppdetError(f"no proposal method {method!r}: choose one of {', '.join(METHODS)}")
    return METHODS[method]


def propose(
    image: ImageLike,
    method: str | Settings = "fast",
    max_boxes: int = 2000,
) -> NDArray[np.float32]:
    """Boxes that may contain objects, best first, the same on every run.

    The image is searched at a longer side of ``side`` pixels (a setting of the method; small images
    are enlarged at most four times) and the boxes are mapped back. Repeated boxes, and boxes with a
    side under ``minimum_side`` pixels of the searched image, are removed. The first boxes of a long
    list are those of a shorter one: ``propose(image, max_boxes=500)`` equals
    ``propose(image, max_boxes=2000)[:500]``.

    Args:
        image: (H, W, 3) uint8 RGB, any size from 1 x 1 up, or another form that
            :func:`sppdet.images.as_image` accepts.
        method: a name in :data:`METHODS`, or settings.
        max_boxes: the largest number of boxes, at least 1.

    Returns:
        (N, 4) float32, xyxy in pixels of ``image``, N from 0 to ``max_boxes``.

    Raises:
        SppdetError: unknown method, its part of OpenCV is missing, or a file cannot be read.
        TypeError, ValueError: ``image`` has another form (see :func:`sppdet.images.as_image`),
            ``method`` is neither a name nor settings, or ``max_boxes`` is not a positive whole
            number.

    Examples:
        >>> image = np.full((60, 80, 3), 200, np.uint8)
        >>> image[20:40, 30:60] = (180, 20, 20)
        >>> propose(image, max_boxes=2)
        array([[ 0.  ,  0.  , 80.  , 60.  ],
               [29.25, 19.5 , 60.75, 40.5 ]], dtype=float32)
    """
    settings = settings_of(method)
    max_boxes = check_max_boxes(max_boxes)
    image = as_image(image)
    height, width = image.shape[:2]
    small = resize_for_search(image, settings.side)
    if isinstance(settings, OpenCvSettings):
        boxes = opencv_search(small, settings.mode)
    elif isinstance(settings, EdgeBoxesSettings):
        boxes = edge_boxes(small, settings, max_boxes)
    else:
        boxes = search_hierarchies(small, settings)
    boxes = _large_enough(boxes, settings.minimum_side)
    boxes = boxes * np.array([width / small.shape[1], height / small.shape[0]] * 2, np.float32)
    boxes = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
    return _distinct(boxes)[:max_boxes]


def check_max_boxes(max_boxes: int) -> int:
    """``max_boxes`` as a Python integer.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is below 1.
    """
    if not isinstance(max_boxes, int | np.integer) or isinstance(max_boxes, bool):
        raise TypeError(f"max_boxes is {max_boxes!r}: give a whole number, such as 2000")
    if max_boxes < 1:
        raise ValueError(f"max_boxes is {max_boxes}: give 1 or more")
    return int(max_boxes)


def resize_for_search(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """``image`` with its longer side at ``side`` pixels, or four times as large if that is less."""
    height, width = image.shape[:2]
    factor = min(side / max(height, width), MAX_ENLARGEMENT)
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    if size == (width, height):
        return np.ascontiguousarray(image)
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


def _large_enough(boxes: NDArray[np.float32], minimum_side: int) -> NDArray[np.float32]:
    sides: NDArray[np.float32] = boxes[:, 2:] - boxes[:, :2]
    large: NDArray[np.float32] = boxes[sides.min(axis=1) >= max(minimum_side, 1)]
    return large


def _distinct(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Boxes without repetitions, in their order."""
    # Two numbers per box instead of four: sorting those takes a fifth of the time of sorting rows.
    halves = np.ascontiguousarray(boxes + np.float32(0)).view(np.int64)
    order = np.lexsort(halves.T)
    ordered = halves[order]
    new = np.ones(len(boxes), np.bool_)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return boxes[np.sort(order[new])]
