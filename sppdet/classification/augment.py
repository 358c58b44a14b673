"""Random crops, flips and colours, drawn for a whole batch at once: threads change nothing."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.classification.data import Rgb
from sppdet.classification.settings import Augmentation


def random_crops(
    rng: np.random.Generator,
    sizes: NDArray[np.int64],
    boxes: NDArray[np.float32],
    chosen: Augmentation,
) -> NDArray[np.int64]:
    """Draw one crop per image.

    Args:
        rng: the source of chance; the same numbers are drawn whatever the images are.
        sizes: (N, 2) width and height of each image in pixels.
        boxes: (N, 4) float32 half-open box of the object; NaN for none.
        chosen: how crops vary.

    Returns:
        (N, 4) int64 half-open crops inside the images, at least one pixel each.
    """
    count = len(sizes)
    take_box, enlarge, area, shape, across, down = rng.random((6, count))
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


def vary_color(batch: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Vary brightness, contrast and saturation of (B, 3, H, W) in 0..1, each image its own way."""
    factors = rng.uniform(1 - strength, 1 + strength, (3, len(batch), 1, 1, 1)).astype(np.float32)
    light, contrast, saturation = torch.from_numpy(factors)
    grey = batch.mean(dim=1, keepdim=True)
    batch = grey + (batch - grey) * saturation
    middle = batch.mean(dim=(1, 2, 3), keepdim=True)
    return ((middle + (batch - middle) * contrast) * light).clamp_(0, 1)
