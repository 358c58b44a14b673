import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sppdet.boxes import as_boxes
from sppdet.features.warp import crop_windows, warp


def slow_warp(image: Tensor, window: np.ndarray, size: int) -> Tensor:
    """One crop, pixel by pixel: the mean of four pixels, each weighted by its nearness."""
    channels, height, width = image.shape
    x1, y1, x2, y2 = map(float, window)
    crop = torch.zeros(channels, size, size)
    for row in range(size):
        for column in range(size):
            x = x1 + (column + 0.5) * (x2 - x1) / size - 0.5
            y = y1 + (row + 0.5) * (y2 - y1) / size - 0.5
            for j in (math.floor(y), math.floor(y) + 1):
                for i in (math.floor(x), math.floor(x) + 1):
                    if 0 <= i < width and 0 <= j < height:
                        weight = (1 - abs(x - i)) * (1 - abs(y - j))
                        crop[:, row, column] += weight * image[:, j, i]
    return crop


BOXES = as_boxes(
    [[3, 4, 20, 12], [0, 0, 30, 24], [-5, 10, 8, 40], [12.5, 7.25, 13.5, 9], [25, 20, 30, 24]]
)


@pytest.mark.parametrize("mode", ["warp", "tight"])
@pytest.mark.parametrize("context", [0, 3])
def test_crops_equal_those_made_pixel_by_pixel(mode: str, context: int) -> None:
    image = torch.randn(1, 3, 24, 30, generator=torch.Generator().manual_seed(0))
    windows = crop_windows(BOXES, 16, context, mode)  # type: ignore[arg-type]
    crops = warp(image, windows, 16)
    assert crops.shape == (5, 3, 16, 16)
    assert crops.is_contiguous(memory_format=torch.channels_last)
    for crop, window in zip(crops, windows, strict=True):
        torch.testing.assert_close(crop, slow_warp(image[0], window, 16), atol=1e-4, rtol=1e-4)


def test_a_box_of_the_crops_size_is_copied() -> None:
    image = torch.randn(1, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    windows = crop_windows(as_boxes([[10, 12, 26, 28]]), 16, 0)
    copied = image[0, :, 12:28, 10:26]
    torch.testing.assert_close(warp(image, windows, 16)[0], copied, atol=1e-4, rtol=1e-4)


def test_the_context_is_measured_in_the_crop() -> None:
    """R-CNN's 16 px in 227: the box itself fills the middle 195."""
    image = torch.zeros(1, 1, 400, 600)
    image[:, :, 100:200, 150:450] = 1
    crop = warp(image, crop_windows(as_boxes([[150, 100, 450, 200]]), 227, 16), 227)[0, 0]
    inside = crop > 0.5
    assert inside.any(0).nonzero().flatten()[[0, -1]].tolist() == [16, 210]
    assert inside.any(1).nonzero().flatten()[[0, -1]].tolist() == [16, 210]


def test_a_tight_crop_keeps_the_shape() -> None:
    windows = crop_windows(as_boxes([[100, 100, 140, 180], [0, 0, 30, 10]]), 227, 16, "tight")
    sides = windows[:, 2:] - windows[:, :2]
    np.testing.assert_allclose(sides, [[80 * 227 / 195] * 2, [30 * 227 / 195] * 2], rtol=1e-6)
    np.testing.assert_allclose((windows[:, :2] + windows[:, 2:]) / 2, [[120, 140], [15, 5]])


def test_outside_the_image_is_the_mean() -> None:
    image = torch.full((1, 3, 20, 20), 5.0)
    assert warp(image, np.float32([[-60, -60, -20, -20]]), 8).abs().sum() == 0
    half = warp(image, np.float32([[-20, 0, 20, 20]]), 8)
    assert half[..., :4].abs().sum() == 0
    torch.testing.assert_close(half[..., 4:], torch.full((1, 3, 8, 4), 5.0))


def test_no_boxes() -> None:
    windows = crop_windows(as_boxes([]), 16, 2)
    assert windows.shape == (0, 4)
    assert warp(torch.zeros(1, 3, 9, 9), windows, 16).shape == (0, 3, 16, 16)


@pytest.mark.parametrize(("context", "mode"), [(8, "warp"), (-1, "warp"), (2, "square")])
def test_impossible_crops_are_refused(context: int, mode: str) -> None:
    with pytest.raises(ValueError, match=r"context|mode"):
        crop_windows(BOXES, 16, context, mode)  # type: ignore[arg-type]
