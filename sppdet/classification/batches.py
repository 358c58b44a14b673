"""Batches of training images, prepared beside the network's work and equal in every run."""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sppdet.classification.augment import Augmentation, random_crops, resized_crop, vary_color
from sppdet.classification.data import LabelledImages, Rgb
from sppdet.errors import SppdetError
from sppdet.trunks.weights import Preprocessing

AHEAD = 2
"""Batches that are prepared in advance."""


@dataclass(frozen=True)
class Batch:
    """Some images of one size.

    Attributes:
        images: (B, 3, H, W) float32, channels-last, preprocessed.
        labels: (B,) int64.
        indices: (B,) int64, which images of the split they are.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor


def training_batches(
    data: LabelledImages,
    sides: list[int],
    batch_size: int,
    augmentation: Augmentation,
    preprocessing: Preprocessing,
    seed: tuple[int, ...],
) -> Iterator[Batch]:
    """One epoch in a new order; batch i has images of side ``sides[i]``, the rest is left out.

    All chance comes from ``seed`` in the order of the batches, so threads do not change the result.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(data))
    threads = min(os.cpu_count() or 1, 8)
    with ThreadPoolExecutor(threads) as readers, ThreadPoolExecutor(1) as assembler:
        waiting: list[Future[Batch]] = []
        try:
            for step, side in enumerate(sides):
                chosen = order[step * batch_size : (step + 1) * batch_size]
                task = np.random.default_rng((*seed, step))
                waiting.append(
                    assembler.submit(
                        _assemble, data, chosen, side, augmentation, preprocessing, task, readers
                    )
                )
                if len(waiting) > AHEAD:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


def _assemble(
    data: LabelledImages,
    chosen: NDArray[np.int64],
    side: int,
    augmentation: Augmentation,
    preprocessing: Preprocessing,
    rng: np.random.Generator,
    readers: ThreadPoolExecutor,
) -> Batch:
    if data.packed is not None:
        sources = list(data.packed[chosen])
    else:
        read = list(readers.map(data.try_read, chosen))
        sources = [image for image in read if image is not None]
        chosen = chosen[[image is not None for image in read]]
        if not sources:
            raise SppdetError(f"{next(iter(data.skipped.values()))}; no image of a batch is left")
    sizes = np.array([(image.shape[1], image.shape[0]) for image in sources], np.int64)
    crops = random_crops(rng, sizes, data.boxes[chosen], augmentation)
    flips = rng.random(len(sources)) < augmentation.flip
    pixels = np.stack(
        [
            resized_crop(image, crop, side, side, flip)
            for image, crop, flip in zip(sources, crops, flips, strict=True)
        ]
    )
    batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(torch.float32) / 255
    if augmentation.color:
        batch = vary_color(batch, rng, augmentation.color)
    labels = torch.from_numpy(data.labels[chosen])
    return Batch(normalized(batch, preprocessing), labels, torch.from_numpy(chosen))


def normalized(batch: Tensor, preprocessing: Preprocessing) -> Tensor:
    """RGB values in 0..1, (B, 3, H, W), to what the network wants to see; channels-last."""
    if preprocessing.channels == "BGR":
        batch = batch.flip(1)
    mean = torch.tensor(preprocessing.mean, device=batch.device)[:, None, None]
    std = torch.tensor(preprocessing.std, device=batch.device)[:, None, None]
    batch = (batch * preprocessing.scale - mean) / std
    return batch.contiguous(memory_format=torch.channels_last)


def whole_image(image: Rgb, side: int | None) -> Rgb:
    """The whole image with its shorter side scaled to ``side`` pixels (None: unscaled)."""
    height, width = image.shape[:2]
    if side is None or min(height, width) == side:
        return image
    factor = side / min(height, width)
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def _whole(image: Rgb | None, side: int | None) -> Rgb | None:
    return None if image is None else whole_image(image, side)


def test_batches(
    data: LabelledImages, side: int | None, batch_size: int, preprocessing: Preprocessing
) -> Iterator[Batch]:
    """All images whole and in order, in any size and aspect ratio; equal shapes go together.

    Images that cannot be read are left out.
    """
    threads = min(os.cpu_count() or 1, 8)
    with ThreadPoolExecutor(threads) as readers:
        for start in range(0, len(data), batch_size):
            chosen = range(start, min(start + batch_size, len(data)))
            images = readers.map(lambda i: _whole(data.try_read(i), side), chosen)
            groups: dict[tuple[int, ...], list[tuple[int, Rgb]]] = {}
            for index, image in zip(chosen, images, strict=True):
                if image is not None:
                    groups.setdefault(image.shape, []).append((index, image))
            for members in groups.values():
                pixels = torch.from_numpy(np.stack([image for _, image in members]))
                batch = pixels.permute(0, 3, 1, 2).to(torch.float32) / 255
                indices = np.array([index for index, _ in members])
                labels = torch.from_numpy(data.labels[indices])
                yield Batch(normalized(batch, preprocessing), labels, torch.from_numpy(indices))
