"""One packed buffer of all that the device needs of an image: one copy in place of many."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from sppdet.boxes import Boxes
from sppdet.device.canvas import Rounding, Strips
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
        sides: height and width of the canvas of each resized image, which lies at its near corner.
        boxes: how many boxes there is room for.
        classes: number of thresholds.
        strips: of each canvas; empty where all images lie on canvases of their own size.
    """

    sides: tuple[tuple[int, int], ...]
    boxes: int
    classes: int = 0
    strips: tuple[Strips, ...] = ()

    @property
    def lengths(self) -> tuple[int, ...]:
        """Bytes of the parts, in the order of :class:`Packed`."""
        images = (3 * height * width for height, width in self.sides)
        masks = (sum(widths) for pair in self.strips for widths in pair)
        numbers, cells = 8 * (3 * len(self.sides) + 5), 24 * len(self.strips)
        return numbers, cells, 16 * self.boxes, 4 * self.classes, *masks, *images

    def views(self, buffer: Tensor) -> "Packed":
        """The parts of the buffer."""
        parts = buffer[: sum(self.lengths)].split(list(self.lengths))
        numbers, cells, boxes, least, *rest = parts
        masks, images = rest[: 2 * len(self.strips)], rest[2 * len(self.strips) :]
        return Packed(
            numbers.view(torch.float64),
            cells.view(torch.float64).view(-1, 3),
            boxes.view(torch.float32).view(-1, 4),
            least.view(torch.float32),
            list(zip(masks[::2], masks[1::2], strict=True)),
            [one.view(*sides, 3) for one, sides in zip(images, self.sides, strict=True)],
        )


@dataclass(frozen=True)
class Packed:
    """The parts of a packed buffer.

    Attributes:
        numbers: float64, those of :func:`sppdet.device.windows.scale_numbers`, the width and the
            height of the image, and the number of boxes.
        cells: float64, :func:`sppdet.device.windows.canvas_cells` of the images' own cells; (0, 3)
            without strips.
        boxes: (boxes, 4) float32.
        least: (K,) float32, thresholds.
        masks: uint8, :attr:`sppdet.device.canvas.Side.mask` of the height and the width of each
            image; empty without strips.
        images: (H, W, 3) uint8, the canvases.
    """

    numbers: Tensor
    cells: Tensor
    boxes: Tensor
    least: Tensor
    masks: list[tuple[Tensor, Tensor]]
    images: list[Tensor]


def pack(
    extractor: SppRegionFeatures,
    resized: Sequence[Rgb],
    size: tuple[int, int],
    boxes: Boxes,
    thresholds: ArrayLike = (),
    rounding: Rounding | None = None,
) -> tuple[Layout, Tensor]:
    """The packed buffer (n,) uint8 of an image, pinned if the device is a GPU.

    Args:
        extractor: says how the image is seen.
        resized: the image at each of its sizes.
        size: width and height of the image in pixels.
        boxes: (N, 4) float32, at least one, pixels of the image.
        thresholds: (K,), the least probabilities of detections.
        rounding: of the images' sides; None leaves them as they are.
    """
    thresholds = np.asarray(thresholds, np.float32)
    chosen, geometry = extractor.settings, extractor.trunk.geometry
    sides = [(one.shape[0], one.shape[1]) for one in resized]
    # One side of an image is in general that of its scale, whatever the image.
    steady = {*chosen.scales, chosen.longest_side}
    canvases = [
        tuple(rounding.side(side, side in steady) for side in pair)
        for pair in sides
        if rounding is not None
    ]
    layout = Layout(
        tuple((one[0].canvas, one[1].canvas) for one in canvases) or tuple(sides),
        max(FEWEST_BOXES, 1 << (len(boxes) - 1).bit_length()),
        len(thresholds),
        tuple((rows.strips, columns.strips) for rows, columns in canvases),
    )
    pinned = extractor.trunk.device.type == "cuda"
    # PyTorch reuses pinned memory when the copies from it have been made.
    buffer = torch.empty(sum(layout.lengths), dtype=torch.uint8, pin_memory=pinned)
    packed = layout.views(buffer)
    scales = image_scales(*size, chosen.scales, chosen.longest_side)
    packed.numbers.numpy()[:] = np.array([*scale_numbers(scales, geometry), *size, len(boxes)])
    corners = packed.boxes.numpy()
    corners[: len(boxes)] = boxes
    corners[len(boxes) :] = (0, 0, 1, 1)
    packed.least.numpy()[:] = thresholds
    first = 0
    for place, pair in enumerate(canvases):
        rows, columns = pair
        packed.cells.numpy()[place] = (columns.cells - 1, rows.cells - 1, first)
        first += rows.all_cells
        for target, one in zip(packed.masks[place], pair, strict=True):
            target.numpy()[:] = one.mask
    for canvas, image in zip(packed.images, resized, strict=True):
        pixels = canvas.numpy()
        pixels[: len(image), : image.shape[1]] = image
        pixels[len(image) :] = pixels[: len(image), image.shape[1] :] = 0
    return layout, buffer
