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

from sppdet.classification.augment import (
    crops_of,
    cut_out,
    draw,
    resized_crop,
    shifted,
    vary_color,
)
from sppdet.classification.data import LabelledImages, Rgb
from sppdet.classification.settings import Augmentation
from sppdet.errors import SppdetError
from sppdet.trunks.weights import Preprocessing

AHEAD = 2
"""Batches that are prepared in advance."""

ALL = slice(None)
"""All images of a batch."""


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
    part: slice = ALL,
) -> Iterator[Batch]:
    """One epoch in a new order; batch i has images of side ``sides[i]``, the rest is left out.

    All chance comes from ``seed`` in the order of the batches, so threads do not change the result.
    ``part`` says which images of each batch are wanted: the numbers are drawn for all of them.
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
                        _assemble,
                        data,
                        chosen,
                        part,
                        side,
                        augmentation,
                        preprocessing,
                        task,
                        readers,
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
    part: slice,
    side: int,
    augmentation: Augmentation,
    preprocessing: Preprocessing,
    rng: np.random.Generator,
    readers: ThreadPoolExecutor,
) -> Batch:
    count, chosen = len(chosen), chosen[part]
    if data.packed is not None:
        sources = list(data.packed[chosen])
        draws = draw(rng, count, augmentation).of(part)
    else:
        read = list(readers.map(data.try_read, chosen))
        sources = [image for image in read if image is not None]
        kept = np.array([image is not None for image in read])
        chosen = chosen[kept]
        if not sources:
            raise SppdetError(f"{next(iter(data.skipped.values()))}; no image of a batch is left")
        if part == ALL:
            draws = draw(rng, len(sources), augmentation)
        else:
            draws = draw(rng, count, augmentation).of(part).of(kept)
    sizes = np.array([(image.shape[1], image.shape[0]) for image in sources], np.int64)
    crops = crops_of(draws.crops, sizes, data.boxes[chosen], augmentation)
    pixels = np.stack(
        [
            shifted(resized_crop(image, crop, side, side, flip), shift)
            for image, crop, flip, shift in zip(
                sources, crops, draws.flips, draws.shifts.T, strict=True
            )
        ]
    )
    batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(torch.float32) / 255
    if augmentation.color:
        batch = vary_color(batch, torch.from_numpy(draws.colors))
    batch = normalized(batch, preprocessing)
    if augmentation.cutout:
        batch = cut_out(batch, torch.from_numpy(draws.squares), augmentation.cutout)
    return Batch(batch, torch.from_numpy(data.labels[chosen]), torch.from_numpy(chosen))


class Normalizer:
    """RGB values in 0..1, (B, 3, H, W), to what the network wants to see; channels-last.

    Its constants are on the device: a call copies nothing there.
    """

    def __init__(self, preprocessing: Preprocessing, device: torch.device) -> None:
        self.reverse = preprocessing.channels == "BGR"
        self.scale = preprocessing.scale
        self.mean = torch.tensor(preprocessing.mean, device=device)[:, None, None]
        self.std = torch.tensor(preprocessing.std, device=device)[:, None, None]

    def __call__(self, batch: Tensor) -> Tensor:
        if self.reverse:
            batch = batch.flip(1)
        batch = (batch * self.scale - self.mean) / self.std
        return batch.contiguous(memory_format=torch.channels_last)


def normalized(batch: Tensor, preprocessing: Preprocessing) -> Tensor:
    """RGB values in 0..1, (B, 3, H, W), to what the network wants to see; channels-last."""
    return Normalizer(preprocessing, batch.device)(batch)


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
