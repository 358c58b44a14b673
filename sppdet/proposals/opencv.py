"""OpenCV's selective search, made repeatable: the reference for our own."""

import ctypes
import os
import threading
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from sppdet.errors import SppdetError

# OpenCV crashes or returns nonsense on strips of a few pixels; a shorter side is padded to this.
SHORTEST_SIDE = 16
SEED = 1

REMEDY = (
    "OpenCV lacks ximgproc (plain opencv-python was installed over opencv-contrib-python): "
    "pip uninstall -y opencv-python opencv-python-headless opencv-contrib-python && "
    "pip install opencv-contrib-python; or use --proposals fast"
)
"""The error where OpenCV has no contributed modules."""

# The C library has one state of random numbers per process, so one search at a time.
_lock = threading.Lock()


@dataclass(frozen=True)
class OpenCvSettings:
    """Settings of OpenCV's selective search.

    mode: ``fast`` (HSV and Lab, k = 150, 300, 450, two similarities) or ``quality`` (five colour
        spaces, four similarities), as OpenCV defines them.
    side: longer side of the searched image, in pixels.
    minimum_side: boxes with a shorter side, in pixels of the searched image, are dropped (R-CNN's
        released code: 20 pixels at a width of 500).
    """

    mode: Literal["fast", "quality"] = "fast"
    side: int = 500
    minimum_side: int = 20


def opencv_search(image: NDArray[np.uint8], mode: str = "fast") -> NDArray[np.float32]:
    """All boxes of OpenCV's selective search in ``image``, best first, the same on every run.

    OpenCV multiplies each region's level in the hierarchy by a number from the C library's
    ``rand`` and sorts by the product. The generator is seeded before each search; searches in
    several threads wait for one another. The seed of the process's ``rand`` is left changed.
    Where the C library cannot be reached (Windows, whose OpenCV carries its own), the boxes are
    sorted by a product of the same kind that we draw ourselves.

    Args:
        image: (H, W, 3) uint8 RGB, searched at its own size.
        mode: ``fast`` or ``quality``.

    Returns:
        (N, 4) float32 boxes.

    Raises:
        SppdetError: OpenCV is installed without its contributed modules.
    """
    segmentation = _segmentation_module()
    height, width = image.shape[:2]
    padded = cv2.copyMakeBorder(
        image,
        0,
        max(SHORTEST_SIDE - height, 0),
        0,
        max(SHORTEST_SIDE - width, 0),
        cv2.BORDER_REPLICATE,
    )
    search = segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(cv2.cvtColor(padded, cv2.COLOR_RGB2BGR))
    if mode == "fast":
        search.switchToSelectiveSearchFast()
    elif mode == "quality":
        search.switchToSelectiveSearchQuality()
    else:
        raise ValueError(f"mode is fast or quality, not {mode!r}")
    with _lock:
        seeded = _seed_c_library(SEED)
        found = np.asarray(search.process(), np.float32).reshape(-1, 4)
    boxes = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:]], axis=1)
    boxes = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
    return boxes if seeded else _own_order(boxes)


def _segmentation_module():  # type: ignore[no-untyped-def]
    module = getattr(getattr(cv2, "ximgproc", None), "segmentation", None)
    if module is None:
        raise SppdetError(REMEDY)
    return module


def _seed_c_library(seed: int) -> bool:
    """Seed ``rand`` of the C library; False where it is not the one that OpenCV calls."""
    if os.name != "posix":
        return False
    try:
        ctypes.CDLL(None).srand(ctypes.c_uint(seed))
    except (OSError, AttributeError):
        return False
    return True


def _own_order(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Large boxes, which stand high in the hierarchy, tend to come first; chance mixes the rest."""
    boxes = boxes[np.lexsort(boxes.T)]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    level = np.empty(len(boxes))
    level[np.argsort(-area, kind="stable")] = np.arange(1, len(boxes) + 1)
    drawn = np.random.default_rng(SEED).random(len(boxes))
    return boxes[np.argsort(level * drawn, kind="stable")]
