"""Colour spaces for the search (Uijlings et al., section 3.2), as 8-bit images."""

import cv2
import numpy as np
from numpy.typing import NDArray

# Felzenszwalb and Huttenlocher smooth with this before they compare pixels.
SIGMA = 0.8

SPACES = ("hsv", "lab", "rgi", "hue", "intensity", "rgb")


def smooth(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gaussian smoothing with sigma 0.8 pixels; (H, W, 3) uint8 to the same."""
    return np.asarray(
        cv2.GaussianBlur(image, (0, 0), SIGMA, borderType=cv2.BORDER_REPLICATE), np.uint8
    )


def convert(image: NDArray[np.uint8], space: str) -> NDArray[np.uint8]:
    """An RGB image in another space, each channel spread over 0 to 255.

    ``rgi`` is the red and green parts of the sum, and intensity; ``hue`` and ``intensity`` are one
    channel three times.

    Raises:
        ValueError: the space is not one of :data:`SPACES`.
    """
    if space == "hsv":
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL), np.uint8)
    if space == "lab":
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2Lab), np.uint8)
    if space == "rgb":
        return np.ascontiguousarray(image)
    if space == "hue":
        hue = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)[:, :, 0]
        return np.asarray(cv2.merge([hue, hue, hue]), np.uint8)
    intensity = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if space == "intensity":
        return np.asarray(cv2.merge([intensity, intensity, intensity]), np.uint8)
    if space == "rgi":
        total = np.maximum(image.sum(axis=2, dtype=np.uint16), 1)
        parts = image[:, :, :2].astype(np.uint16) * np.uint16(255) // total[:, :, None]
        return np.asarray(
            cv2.merge(
                [parts[:, :, 0].astype(np.uint8), parts[:, :, 1].astype(np.uint8), intensity]
            ),
            np.uint8,
        )
    raise ValueError(f"a colour space is one of {', '.join(SPACES)}, not {space!r}")
