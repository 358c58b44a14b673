"""R-CNN's crops: every box warped, with some context, to the size that the network wants.

R-CNN paper (Girshick et al., 2014), section 2.1 and appendix A.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from sppdet.boxes import Boxes
from sppdet.settings import CropMode


def crop_windows(
    boxes: Boxes, size: int, context: int, mode: CropMode = "warp"
) -> NDArray[np.float32]:
    """The part of the image that each crop shows; it may leave the image.

    A box that fills ``size - 2 context`` pixels of its crop leaves ``context`` pixels around it.

    Args:
        boxes: (N, 4), pixels of the image.
        size: side of a crop, in pixels.
        context: pixels of context on each side, at crop scale.
        mode: ``"warp"`` stretches the box to a square; ``"tight"`` takes the smallest square
            around the box, so that its content keeps its shape.

    Returns:
        (N, 4) float32, pixels of the image.

    Raises:
        ValueError: an unknown mode, or a context that leaves no room for the box.
    """
    if mode not in ("warp", "tight"):
        raise ValueError(f"the crop mode is warp or tight, not {mode}")
    if not 0 <= 2 * context < size:
        raise ValueError(f"{context} px of context on each side leave nothing of {size} px")
    boxes = np.asarray(boxes, np.float32)
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    sides = boxes[:, 2:] - boxes[:, :2]
    if mode == "tight":
        sides = np.repeat(sides.max(axis=1, keepdims=True), 2, axis=1)
    half = sides * np.float32(size / (size - 2 * context) / 2)
    return np.concatenate([centers - half, centers + half], axis=1)


def warp(image: Tensor, windows: NDArray[np.float32], size: int) -> Tensor:
    """Resample windows of one image to squares, all in one call, on the image's device.

    Bilinear between pixel centres, without smoothing before shrinking, as R-CNN's released code
    does it. Outside the image everything is 0: the mean colour, if the mean has been subtracted.

    Args:
        image: (1, C, H, W) float, the mean subtracted.
        windows: (N, 4) from :func:`crop_windows`.
        size: side of a crop, in pixels.

    Returns:
        (N, C, size, size) in channels-last layout, same type and device.
    """
    if len(windows) == 0:
        return image.new_zeros(0, image.shape[1], size, size)
    height, width = image.shape[2:]
    limits = np.array([width, height], np.float64)
    spans = (windows[:, 2:] - windows[:, :2]) / limits
    middles = (windows[:, 2:] + windows[:, :2]) / limits - 1
    affine = np.zeros((len(windows), 2, 3))
    affine[:, 0, 0], affine[:, 1, 1], affine[:, :, 2] = spans[:, 0], spans[:, 1], middles
    matrices = torch.from_numpy(affine).to(image.device, image.dtype)
    grid = affine_grid(matrices, [len(windows), image.shape[1], size, size], align_corners=False)
    crops = grid_sample(image.expand(len(windows), -1, -1, -1), grid, align_corners=False)
    return crops.contiguous(memory_format=torch.channels_last)
