"""Random crops, flips, shifts, colours and squares, drawn for a whole batch at once."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.classification.data import Rgb
from sppdet.classification.settings import Augmentation


@dataclass(frozen=True)
class Draws:
    """The random numbers of N images, one image in each column.

    They are drawn on the CPU whatever the device is, so that equal seeds give equal images on every
    device and with any number of threads.

    Attributes:
        crops: (6, N) float64 in 0..1, see :func:`crops_of`.
        flips: (N,) bool, whether the image is mirrored.
        shifts: (2, N) int64, pixels to the right and down.
        colors: (3, N) float32 factors of brightness, contrast and saturation.
        squares: (2, N) float32 in 0..1, where the middle of the erased square is.
    """

    crops: NDArray[np.float64]
    flips: NDArray[np.bool_]
    shifts: NDArray[np.int64]
    colors: NDArray[np.float32]
    squares: NDArray[np.float32]

    def of(self, images: slice | NDArray[np.bool_]) -> "Draws":
        """The numbers of some of the images."""
        return Draws(
            self.crops[:, images],
            self.flips[images],
            self.shifts[:, images],
            self.colors[:, images],
            self.squares[:, images],
        )


def draw(rng: np.random.Generator, count: int, chosen: Augmentation) -> Draws:
    """Draw for ``count`` images; what ``chosen`` does not vary, takes no number from ``rng``."""
    crops = rng.random((6, count))
    flips = rng.random(count) < chosen.flip
    shifts = np.zeros((2, count), np.int64)
    if chosen.shift:
        shifts = rng.integers(-chosen.shift, chosen.shift + 1, (2, count))
    colors = np.ones((3, count), np.float32)
    if chosen.color:
        colors = rng.uniform(1 - chosen.color, 1 + chosen.color, (3, count)).astype(np.float32)
    squares = np.zeros((2, count), np.float32)
    if chosen.cutout:
        squares = rng.random((2, count)).astype(np.float32)
    return Draws(crops, flips, shifts, colors, squares)


def random_crops(
    rng: np.random.Generator,
    sizes: NDArray[np.int64],
    boxes: NDArray[np.float32],
    chosen: Augmentation,
) -> NDArray[np.int64]:
    """Draw one crop per image; the same numbers are drawn whatever the images are.

    See :func:`crops_of` for the other arguments and the result.
    """
    return crops_of(rng.random((6, len(sizes))), sizes, boxes, chosen)


def crops_of(
    drawn: NDArray[np.float64],
    sizes: NDArray[np.int64],
    boxes: NDArray[np.float32],
    chosen: Augmentation,
) -> NDArray[np.int64]:
    """The crops that random numbers stand for.

    Args:
        drawn: (6, N) in 0..1: whether the object's box is taken, how far it is enlarged, the crop's
            area, its ratio of width to height, its place across and down.
        sizes: (N, 2) width and height of each image in pixels.
        boxes: (N, 4) float32 half-open box of the object; NaN for none.
        chosen: how crops vary.

    Returns:
        (N, 4) int64 half-open crops inside the images, at least one pixel each.
    """
    count = len(sizes)
    take_box, enlarge, area, shape, across, down = drawn
    whole = np.concatenate([np.zeros((count, 2)), sizes], axis=1)
    objects = boxes.astype(np.float64)
    margin = (objects[:, 2:] - objects[:, :2]) * (0.05 + 0.45 * enlarge[:, None])
    objects = np.concatenate([objects[:, :2] - margin, objects[:, 2:] + margin], axis=1)
    objects = np.clip(objects, 0, np.concatenate([sizes, sizes], axis=1))
    known = np.isfinite(objects).all(axis=1) & (objects[:, 2:] > objects[:, :2] + 1).all(axis=1)
    region = np.where((known & (take_box < chosen.object_crops))[:, None], objects, whole)
    extent = region[:, 2:] - region[:, :2]
    part = chosen.smallest_crop + (1 - chosen.smallest_crop) * area
    root = np.sqrt(np.exp((2 * shape - 1) * np.log(chosen.ratio)))
    crop = extent * np.sqrt(part)[:, None] * np.stack([root, 1 / root], axis=1)
    crop = np.clip(np.rint(crop), 1, np.maximum(np.floor(extent), 1))
    start = region[:, :2] + (extent - crop) * np.stack([across, down], axis=1)
    start = np.clip(np.floor(start), 0, sizes - crop)
    return np.concatenate([start, start + crop], axis=1).astype(np.int64)


def resized_crop(image: Rgb, crop: NDArray[np.int64], width: int, height: int, flip: bool) -> Rgb:
    """Cut ``crop`` (half-open) out of the image, scale it to width x height, mirror it if asked."""
    left, top, right, bottom = crop
    part = image[top:bottom, left:right]
    if part.shape[:2] != (height, width):
        shrinks = part.shape[0] > height and part.shape[1] > width
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        resized = cv2.resize(part, (width, height), interpolation=method)
        part = np.asarray(resized, np.uint8)
    return part[:, ::-1] if flip else part


def shifted(image: Rgb, shift: NDArray[np.int64]) -> Rgb:
    """Move the image to the right and down by ``shift`` pixels; its edge pixels are mirrors.

    So pixel (x, y) is that of (x - right, y - down), as crops of an image that is padded by
    reflection (without repeating the edge) are.
    """
    right, down = shift.tolist()
    if not right and not down:
        return image
    height, width = image.shape[:2]
    rows, columns = np.arange(height) - down, np.arange(width) - right
    return image[_reflected(rows, height)[:, None], _reflected(columns, width)]


def _reflected(places: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    last = max(side - 1, 1)
    return np.minimum(last - np.abs(places % (2 * last) - last), side - 1)


def vary_color(batch: Tensor, factors: Tensor) -> Tensor:
    """Vary brightness, contrast and saturation of (B, 3, H, W) in 0..1, each image its own way.

    Args:
        batch: RGB images.
        factors: (3, B) of brightness, contrast and saturation; 1 changes nothing.
    """
    light, contrast, saturation = factors[..., None, None, None]
    grey = batch.mean(dim=1, keepdim=True)
    batch = grey + (batch - grey) * saturation
    middle = batch.mean(dim=(1, 2, 3), keepdim=True)
    return ((middle + (batch - middle) * contrast) * light).clamp_(0, 1)


def cut_out(batch: Tensor, middles: Tensor, side: int) -> Tensor:
    """Set a square of preprocessed images (B, 3, H, W) to zero, the mean (DeVries, Taylor, 2017).

    Args:
        batch: the images.
        middles: (2, B) float32 in 0..1, the middle of the square in units of width and height.
        side: of the square in pixels; what lies outside the image is cut off.

    Returns:
        A new tensor, channels-last.
    """
    inside = []
    for middle, length in zip(middles, (batch.shape[3], batch.shape[2]), strict=True):
        first = (middle * length).floor()[:, None] - side // 2
        places = torch.arange(length, device=batch.device)
        inside.append((places >= first) & (places < first + side))
    across, down = inside
    batch = batch.masked_fill((down[:, :, None] & across[:, None, :])[:, None], 0.0)
    return batch.contiguous(memory_format=torch.channels_last)
