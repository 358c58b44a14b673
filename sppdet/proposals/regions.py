"""What selective search compares: size, box, colour, texture and neighbours of regions."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from sppdet.runtime.compiled import compiled

# Uijlings et al., section 3.2: 25 colour bins per channel.
COLOUR_BINS = 25
# Their texture is Gaussian derivatives in 8 directions, 10 bins each; a signed derivative holds two
# opposite directions in one histogram.
DIRECTIONS = 4
TEXTURE_BINS = 12
COLOUR_LENGTH = 3 * COLOUR_BINS
TEXTURE_LENGTH = 3 * DIRECTIONS * TEXTURE_BINS


@cache
def texture_table() -> NDArray[np.int32]:
    """The bin of a derivative from -255 to 255, fine near zero: (511,), indexed by value + 255.

    The bins are equal steps of the signed square root, up to a derivative of 128 grey levels.
    """
    value = np.arange(-255, 256)
    root = np.sign(value) * np.sqrt(np.minimum(np.abs(value), 128) / 128)
    return np.clip((root + 1) / 2 * TEXTURE_BINS, 0, TEXTURE_BINS - 1).astype(np.int32)


@compiled()
def describe(image, labels, count, table):  # type: ignore[no-untyped-def]
    """Describe the regions of a segmentation.

    Args:
        image: (H, W, 3) uint8.
        labels: (H, W) int32 from 0 to ``count`` - 1.
        count: number of regions n.
        table: of :func:`texture_table`.

    Returns:
        sizes (n,) int32 in pixels; boxes (n, 4) int32, half-open; histograms
        (n, COLOUR_LENGTH + TEXTURE_LENGTH) float32 of counts: each pixel counts once per channel in
        the colour part and once per channel and direction in the texture part. Derivatives are
        differences of the two neighbours (at the border, of the pixel itself and one neighbour).
    """
    height, width = image.shape[:2]
    sizes = np.zeros(count, np.int32)
    boxes = np.empty((count, 4), np.int32)
    boxes[:, 0] = width
    boxes[:, 1] = height
    boxes[:, 2:] = 0
    histograms = np.zeros((count, COLOUR_LENGTH + TEXTURE_LENGTH), np.float32)
    for y in range(height):
        up = max(y - 1, 0)
        down = min(y + 1, height - 1)
        for x in range(width):
            region = labels[y, x]
            sizes[region] += 1
            box = boxes[region]
            box[0] = min(box[0], x)
            box[1] = min(box[1], y)
            box[2] = max(box[2], x + 1)
            box[3] = max(box[3], y + 1)
            left = max(x - 1, 0)
            right = min(x + 1, width - 1)
            row = histograms[region]
            for c in range(3):
                row[c * COLOUR_BINS + ((image[y, x, c] * COLOUR_BINS) >> 8)] += 1
                at = COLOUR_LENGTH + c * DIRECTIONS * TEXTURE_BINS
                row[at + table[255 + image[y, right, c] - image[y, left, c]]] += 1
                at += TEXTURE_BINS
                row[at + table[255 + image[down, x, c] - image[up, x, c]]] += 1
                at += TEXTURE_BINS
                row[at + table[255 + image[down, right, c] - image[up, left, c]]] += 1
                at += TEXTURE_BINS
                row[at + table[255 + image[down, left, c] - image[up, right, c]]] += 1
    return sizes, boxes, histograms


@compiled()
def aggregate(coarse, sizes, boxes, histograms):  # type: ignore[no-untyped-def]
    """The same descriptions for unions of regions; ``coarse`` (n,) numbers the union of each."""
    count = coarse.max() + 1
    all_sizes = np.zeros(count, np.int32)
    all_boxes = np.empty((count, 4), np.int32)
    all_boxes[:, :2] = np.int32(1 << 30)
    all_boxes[:, 2:] = 0
    all_histograms = np.zeros((count, histograms.shape[1]), np.float32)
    for region in range(len(coarse)):
        union = coarse[region]
        all_sizes[union] += sizes[region]
        for side in range(2):
            all_boxes[union, side] = min(all_boxes[union, side], boxes[region, side])
            all_boxes[union, side + 2] = max(all_boxes[union, side + 2], boxes[region, side + 2])
        for i in range(histograms.shape[1]):
            all_histograms[union, i] += histograms[region, i]
    return all_sizes, all_boxes, all_histograms


@compiled()
def neighbours(edge_a, edge_b, coarse, count):  # type: ignore[no-untyped-def]
    """The distinct pairs of touching regions, from the edges between finer ones.

    Args:
        edge_a, edge_b: (E,) int32 labels of the finer regions on the two sides of each edge.
        coarse: (n,) int32, the region of each finer one.
        count: number of regions.

    Returns:
        (M, 2) int32 with the lower number first, in ascending order of the first.
    """
    start = np.zeros(count + 1, np.int32)
    for i in range(len(edge_a)):
        a, b = coarse[edge_a[i]], coarse[edge_b[i]]
        if a != b:
            start[min(a, b) + 1] += 1
    for region in range(count):
        start[region + 1] += start[region]
    other = np.empty(start[count], np.int32)
    fill = start[:count].copy()
    for i in range(len(edge_a)):
        a, b = coarse[edge_a[i]], coarse[edge_b[i]]
        if a != b:
            low = min(a, b)
            other[fill[low]] = max(a, b)
            fill[low] += 1
    seen = np.full(count, -1, np.int32)
    pairs = np.empty((len(other), 2), np.int32)
    found = 0
    for region in range(count):
        for i in range(start[region], start[region + 1]):
            if seen[other[i]] != region:
                seen[other[i]] = region
                pairs[found, 0] = region
                pairs[found, 1] = other[i]
                found += 1
    return pairs[:found].copy()
