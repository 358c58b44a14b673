"""Images that stay on the device, and training batches that are made there."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.classification.augment import Draws, crops_of, cut_out, draw, vary_color
from sppdet.classification.batches import ALL, Batch, Normalizer
from sppdet.classification.data import LabelledImages
from sppdet.classification.settings import Augmentation
from sppdet.trunks.weights import Preprocessing

LARGEST_PART = 0.25
"""Of a GPU's free memory: a split that is larger stays in the host's."""


class ResidentImages:
    """All images of a split as uint8 on a device.

    Args:
        data: images of equal size (``data.packed`` is an array).
        device: where to keep them.

    Attributes:
        data: as given.
        pixels: (N, H, 3, W) uint8, so that both directions are scaled by matrix products without a
            copy between them.
        labels: (N,) int64.
    """

    def __init__(self, data: LabelledImages, device: torch.device) -> None:
        assert data.packed is not None
        self.data = data
        packed = torch.from_numpy(np.require(data.packed, requirements="W"))
        self.pixels = packed.to(device).permute(0, 1, 3, 2).contiguous()
        self.labels = torch.from_numpy(data.labels).to(device)

    def whole(self, start: int, stop: int, normalizer: Normalizer) -> Tensor:
        """Images start to stop (not included), unscaled: (B, 3, H, W) preprocessed."""
        pixels = self.pixels[start:stop].permute(0, 2, 1, 3).to(torch.float32)
        return normalizer(pixels / 255)


def can_stay(data: LabelledImages, device: torch.device) -> bool:
    """Whether the device is a GPU whose free memory has room for the images."""
    if data.packed is None or device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return data.packed.nbytes <= LARGEST_PART * free


class EpochBatches:
    """The batches of one epoch after another, made of resident images.

    The images are those of :func:`sppdet.classification.batches.training_batches` with the same
    seed: the random numbers are drawn by the same function and uploaded once per epoch. Scaling is
    done in floating point and rounded to whole grey levels, where OpenCV counts in fixed point: a
    value may differ by one level. :meth:`take` launches the same kernels on the same memory in
    every step and waits for nothing, so a CUDA graph can hold it: the number of the step is itself
    on the device.

    Args:
        images: on the device.
        steps: of an epoch.
        batch_size: images of a step, over all processes.
        augmentation: how images vary.
        preprocessing: what the network expects.
        part: the images of each batch that this process takes.
    """

    def __init__(
        self,
        images: ResidentImages,
        steps: int,
        batch_size: int,
        augmentation: Augmentation,
        preprocessing: Preprocessing,
        part: slice = ALL,
    ) -> None:
        device = images.pixels.device
        self.images = images
        self.steps = steps
        self.batch_size = batch_size
        self.augmentation = augmentation
        self.part = part
        self.normalizer = Normalizer(preprocessing, device)
        count = len(range(batch_size)[part])
        self._indices = torch.zeros(steps, count, dtype=torch.int64, device=device)
        self._numbers = torch.zeros(steps, 12, count, device=device)
        self._schedule = torch.zeros(steps, 2, device=device)
        self._step = torch.zeros(1, dtype=torch.int64, device=device)

    def begin(self, seed: tuple[int, ...], schedule: NDArray[np.float64]) -> None:
        """Draw an epoch and go to its first step.

        Args:
            seed: of the order and of all that varies.
            schedule: (steps, 2): two numbers of each step, which :meth:`take` gives back; the
                learning rate, and the part by which the averaged weights move.
        """
        height, width = self.images.pixels.shape[1], self.images.pixels.shape[3]
        indices, draws = _epoch(self, seed)
        sizes = np.broadcast_to(np.array([width, height], np.int64), (len(indices), 2))
        boxes = self.images.data.boxes[indices]
        left, top, right, bottom = crops_of(draws.crops, sizes, boxes, self.augmentation).T
        rows = [left, top, right - left, bottom - top, draws.flips, *draws.shifts]
        numbers = np.stack([*rows, *draws.colors, *draws.squares]).astype(np.float32)
        numbers = numbers.reshape(12, self.steps, -1).transpose(1, 0, 2)
        self._numbers.copy_(torch.from_numpy(np.ascontiguousarray(numbers)))
        self._indices.copy_(torch.from_numpy(indices.reshape(self.steps, -1)))
        self._schedule.copy_(torch.from_numpy(schedule.astype(np.float32)))
        self._step.zero_()

    def take(self, side: int) -> tuple[Batch, Tensor]:
        """The batch of the next step with images of ``side`` pixels, and its (2,) schedule."""
        indices = self._indices.index_select(0, self._step)[0]
        numbers = self._numbers.index_select(0, self._step)[0]
        schedule = self._schedule.index_select(0, self._step)[0]
        self._step += 1
        batch = crops_and_colors(self.images.pixels, indices, numbers, side, self.augmentation)
        batch = self.normalizer(batch)
        if self.augmentation.cutout:
            batch = cut_out(batch, numbers[10:12], self.augmentation.cutout)
        return Batch(batch, self.images.labels.index_select(0, indices), indices), schedule


def _epoch(batches: EpochBatches, seed: tuple[int, ...]) -> tuple[NDArray[np.int64], Draws]:
    """Which images this process takes, in order, and their random numbers."""
    size, part = batches.batch_size, batches.part
    order = np.random.default_rng(seed).permutation(len(batches.images.data))
    order = order[: batches.steps * size].reshape(batches.steps, size)[:, part]
    drawn = [
        draw(np.random.default_rng((*seed, step)), size, batches.augmentation).of(part)
        for step in range(batches.steps)
    ]
    names = ("crops", "flips", "shifts", "colors", "squares")
    together = (np.concatenate([getattr(d, name) for d in drawn], axis=-1) for name in names)
    return order.ravel(), Draws(*together)


def crops_and_colors(
    pixels: Tensor, indices: Tensor, numbers: Tensor, side: int, chosen: Augmentation
) -> Tensor:
    """Crops scaled to side x side, mirrored, shifted and coloured.

    Args:
        pixels: (N, H, 3, W) uint8.
        indices: (B,) int64, the images to take.
        numbers: (12 or 10, B) float32: left, top, width and height of the crop in pixels; 1 for a
            mirror image; pixels to the right and down; brightness, contrast, saturation.
        side: of the result in pixels.
        chosen: whether shifts and colours vary.

    Returns:
        (B, 3, side, side) float32 in 0..1, RGB, channels-last.
    """
    left, top, width, height, flip, right, down, *_ = numbers
    count, (_, rows, _, columns) = len(indices), pixels.shape
    places = torch.arange(side, device=pixels.device, dtype=torch.float32).expand(count, side)
    across, along = places, places
    if chosen.shift:
        across, along = (_reflected(places - by[:, None], side) for by in (right, down))
    across = torch.where(flip[:, None] > 0, side - 1 - across, across)
    shrinks = None
    if rows > side and columns > side:
        shrinks = ((width > side) & (height > side))[:, None, None]
    horizontal = axis_weights(left, width, side, across, columns, shrinks)
    vertical = axis_weights(top, height, side, along, rows, shrinks)
    values = pixels.index_select(0, indices).to(torch.float32).view(count, rows * 3, columns)
    values = torch.bmm(values, horizontal.transpose(1, 2)).view(count, rows, 3 * side)
    values = torch.bmm(vertical, values).view(count, side, 3, side)
    batch = values.round().clamp(0, 255).permute(0, 2, 1, 3) / 255
    batch = batch.contiguous(memory_format=torch.channels_last)
    return vary_color(batch, numbers[7:10]) if chosen.color else batch


def _reflected(places: Tensor, side: int) -> Tensor:
    last = max(side - 1, 1)
    return (last - ((places % (2 * last)) - last).abs()).clamp(max=side - 1)


def axis_weights(
    start: Tensor, extent: Tensor, side: int, places: Tensor, length: int, shrinks: Tensor | None
) -> Tensor:
    """How one direction of an image is scaled, as OpenCV does, as a matrix.

    Linear interpolation puts the middle of pixel d of the result at ``(d + 0.5) extent / side``
    (``INTER_LINEAR``; beyond the outermost middles the outermost pixel counts alone). Where the
    image shrinks, a pixel is the mean of the stretch ``d .. d + 1`` times ``extent / side``
    (``INTER_AREA``).

    Args:
        start, extent: (B,) float32, first pixel and length of each crop.
        side: pixels of the scaled crop.
        places: (B, S) float32, which pixel d of the scaled crop each pixel of the result is.
        length: pixels of the image.
        shrinks: (B, 1, 1) bool, where areas are averaged; None for nowhere.

    Returns:
        (B, S, length) float32 weights; each row has the sum 1.
    """
    scale = (extent / side)[:, None]
    pixels = torch.arange(length, device=start.device, dtype=torch.float32)
    pixels = pixels - start[:, None, None]
    middle = ((places + 0.5) * scale - 0.5).clamp(min=0).minimum(extent[:, None] - 1)
    weights = (1 - (middle[:, :, None] - pixels).abs()).clamp(min=0)
    if shrinks is None:
        return weights
    first = (places * scale)[:, :, None]
    overlap = torch.minimum(first + scale[:, :, None], pixels + 1) - torch.maximum(first, pixels)
    return torch.where(shrinks, overlap.clamp(min=0) / scale[:, :, None], weights)
