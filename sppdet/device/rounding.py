"""Rounded sides: a few sizes of a network's input serve images of all sizes.

Libraries plan every convolution anew for every size of its input, and a CUDA graph serves one size.
An image therefore lies at the near corner of a canvas whose sides are rounded up. What the network
makes of the rest of the canvas must not reach the image's own cells: before each layer that looks
beyond its cell, the cells behind the image are set to what that layer sees behind the border of an
image of this size. These are zeros, as in the padding of a convolution, or minus infinity before a
maximum. The image's cells of the map are then those without a canvas, to rounding.

Those cells lie in strips at the far ends, whose greatest width is known for a canvas. Which cells
of a strip lie behind the image comes with the image, as one byte for each.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sppdet.device.canvas import Rounding
from sppdet.device.clearing import clear, split_masks, with_clearing
from sppdet.device.layers import converted
from sppdet.trunks.trunk import Trunk

NEARNESS = 1e-4
"""Largest difference of a map on a canvas from that without one, in single precision, as a part of
its largest value. Rounding makes about 1e-6."""


def seen_sides(trunk: Trunk) -> NDArray[np.int64]:
    """Sides that the network sees without a canvas: more than a period of what layers round."""
    first = -(-trunk.smallest_side // trunk.multiple)
    return (first + np.arange(512)) * trunk.multiple


@torch.inference_mode()
def rounding_of(trunk: Trunk) -> Rounding | None:
    """How the sides of a trunk's images are rounded; None where they stay as they are.

    They stay where a layer has no rule here, and where the map of an example is another one on a
    canvas. The example is computed on the CPU in single precision.
    """
    try:
        network = converted(trunk.network, torch.float32).cpu()
        function, sizes, of_map = with_clearing(network, seen_sides(trunk))
        rounding = Rounding(sizes, of_map, trunk.smallest_side, trunk.multiple)
        return rounding if _agrees(rounding, network, function) else None
    except Exception:  # of a network of one's own: many types
        return None


def _agrees(rounding: Rounding, network: nn.Module, function: nn.Module) -> bool:
    """Whether the map of an example on a canvas is that without one."""
    rows, columns = (rounding.side(rounding.smallest_side + more, False) for more in (11, 37))
    random = torch.Generator().manual_seed(0)
    canvas = torch.randn(1, 3, rows.canvas, columns.canvas, generator=random)
    masks = split_masks(
        (torch.from_numpy(rows.mask).bool(), torch.from_numpy(columns.mask).bool()),
        (rows.strips, columns.strips),
    )
    clear(canvas, masks, 0, 0.0)
    wanted = network(canvas[:, :, : rows.seen, : columns.seen].clone())
    found = function(canvas, masks)
    if wanted.shape[2:] != (rows.cells, columns.cells):
        return False
    if found.shape[2:] != (rows.all_cells, columns.all_cells):
        return False
    distance = (found[:, :, : rows.cells, : columns.cells] - wanted).abs().max()
    return bool(distance <= NEARNESS * wanted.abs().max())
