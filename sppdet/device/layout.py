"""One packed buffer of all that the device needs of an image: one copy in place of many."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from sppdet.boxes import Boxes
from sppdet.device.windows import scale_numbers
from sppdet.features.spp import SppRegionFeatures
from sppdet.features.windows import image_scales
from sppdet.images import Rgb

FEWEST_BOXES = 256
"""The number of boxes is filled up to this, or to the next power of two: few graphs do for all."""


@dataclass(frozen=True)
class Layout:
    """Where things lie in the packed buffer of an image.

    Attributes:
        sides: height and width of each resized image.
        boxes: how many boxes there is room for.
        classes: number of thresholds.
    """

    sides: tuple[tuple[int, int], ...]
    boxes: int
    classes: int = 0

    @property
    def lengths(self) -> tuple[int, ...]:
        """Bytes of the numbers, the boxes, the thresholds and the images."""
        images = (3 * height * width for height, width in self.sides)
        return 8 * (3 * len(self.sides) + 5), 16 * self.boxes, 4 * self.classes, *images

    def views(self, buffer: Tensor) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """The parts of the buffer: numbers float64, boxes (boxes, 4) and thresholds float32, and
        the images (H, W, 3) uint8. The numbers are those of
        :func:`sppdet.device.windows.scale_numbers`, the width and the height of the image, and the
        number of boxes."""
        numbers, boxes, least, *images = buffer[: sum(self.lengths)].split(list(self.lengths))
        return (
            numbers.view(torch.float64),
            boxes.view(torch.float32).view(-1, 4),
            least.view(torch.float32),
            [one.view(*sides, 3) for one, sides in zip(images, self.sides, strict=True)],
        )


def pack(
    extractor: SppRegionFeatures,
    resized: Sequence[Rgb],
    size: tuple[int, int],
    boxes: Boxes,
    thresholds: ArrayLike = (),
) -> tuple[Layout, Tensor]:
    """The packed buffer (n,) uint8 of an image, pinned if the device is a GPU.

    Args:
        extractor: says how the image is seen.
        resized: the image at each of its sizes.
        size: width and height of the image in pixels.
        boxes: (N, 4) float32, at least one, pixels of the image.
        thresholds: (K,), the least probabilities of detections.
    """
    thresholds = np.asarray(thresholds, np.float32)
    sides = tuple((one.shape[0], one.shape[1]) for one in resized)
    room = max(FEWEST_BOXES, 1 << (len(boxes) - 1).bit_length())
    layout = Layout(sides, room, len(thresholds))
    pinned = extractor.trunk.device.type == "cuda"
    # PyTorch reuses pinned memory when the copies from it have been made.
    buffer = torch.empty(sum(layout.lengths), dtype=torch.uint8, pin_memory=pinned)
    numbers, corners, least, images = layout.views(buffer)
    chosen, geometry = extractor.settings, extractor.trunk.geometry
    scales = image_scales(*size, chosen.scales, chosen.longest_side)
    numbers.numpy()[:] = np.array([*scale_numbers(scales, geometry), *size, len(boxes)])
    corners.numpy()[: len(boxes)] = boxes
    corners.numpy()[len(boxes) :] = (0, 0, 1, 1)
    least.numpy()[:] = thresholds
    for target, image in zip(images, resized, strict=True):
        target.numpy()[:] = image
    return layout, buffer
