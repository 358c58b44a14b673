"""What the CPU does for an image before a device takes over: read, search, resize.

This module does not import PyTorch, so that worker processes begin soon.
"""

import functools
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sppdet.features.scales import image_scales, resize
from sppdet.images import ImageLike, Rgb, as_image, is_panorama
from sppdet.proposals import Settings, propose
from sppdet.proposals.cache import ProposalCache
from sppdet.proposals.selective_search import compile_once


@dataclass(frozen=True)
class Recipe:
    """How a detector's images are prepared.

    Attributes:
        proposals, max_boxes: of the search.
        scales, longest_side: of the resized images, see
            :func:`sppdet.features.scales.image_scales`; no scales leave the image as it is.
    """

    proposals: str | Settings
    max_boxes: int
    scales: tuple[int, ...] = ()
    longest_side: int = 0


@dataclass(frozen=True)
class Prepared:
    """An image, ready for the device.

    Attributes:
        size: width and height of the image in pixels.
        boxes: proposals (N, 4) float32, pixels of the image.
        resized: what the network sees, one (H, W, 3) uint8 RGB per scale.
        seconds: of the search.
    """

    size: tuple[int, int]
    boxes: NDArray[np.float32]
    resized: list[Rgb]
    seconds: float


def prepare(
    image: ImageLike,
    recipe: Recipe,
    boxes: NDArray[np.float32] | None = None,
    cache: ProposalCache | None = None,
    in_parts: bool = True,
) -> Prepared | Rgb:
    """Read an image, find its proposals, and resize it.

    Args:
        image: what :func:`sppdet.images.as_image` accepts.
        recipe: how.
        boxes: the proposals, if they are there.
        cache: where proposals are looked up and kept; None searches always.
        in_parts: give a panorama (:func:`sppdet.images.is_panorama`) back as it is.

    Returns:
        The prepared image; or the pixels of a panorama without ``boxes``, whose parts are prepared.

    Raises:
        SppdetError: the image cannot be read.
    """
    pixels = as_image(image)
    height, width = pixels.shape[:2]
    start = time.perf_counter()
    if boxes is None:
        if in_parts and is_panorama(pixels):
            return pixels
        search = propose if cache is None else cache.get
        boxes = search(pixels, recipe.proposals, recipe.max_boxes)
    seconds = time.perf_counter() - start
    scales = image_scales(width, height, recipe.scales, recipe.longest_side)
    resized = [resize(pixels, scale) for scale in scales] or [pixels]
    return Prepared((width, height), boxes, resized, seconds)


def begin(max_pixels: int | None) -> None:
    """What a worker process does first: it takes over Pillow's limit, and it loads the search.

    OpenCV gets one thread.
    """
    Image.MAX_IMAGE_PIXELS = max_pixels
    cv2.setNumThreads(1)
    compile_once()


def prepare_with_folder(
    image: ImageLike,
    recipe: Recipe,
    boxes: NDArray[np.float32] | None,
    folder: Path | None,
    in_parts: bool,
) -> tuple[Prepared | Rgb, int, int, str | None]:
    """:func:`prepare` in a worker process, with the cache in a folder.

    Returns:
        What it gives; how many entries the cache found and made; and why one could not be kept.
    """
    if folder is None:
        return prepare(image, recipe, boxes, None, in_parts), 0, 0, None
    cache = _cache_in(folder, threading.get_ident())
    disk = cache.disk
    disk.found = disk.made = 0
    return prepare(image, recipe, boxes, cache, in_parts), disk.found, disk.made, disk.problem


@functools.cache
def _cache_in(folder: Path, thread: int) -> ProposalCache:
    """One for all images of a process, so that it looks through the folder only at its first entry.

    Where threads do the work of a process, each has one, whose numbers it alone changes.
    """
    return ProposalCache(folder)
