"""Hierarchical grouping (Uijlings et al., section 3.1): join the most similar neighbours, again."""

import numpy as np

from sppdet.proposals.regions import COLOUR_LENGTH, DIRECTIONS
from sppdet.proposals.segmentation import find
from sppdet.runtime.compiled import compiled


@compiled()
def group(sizes, boxes, histograms, pairs, image_area, weights):  # type: ignore[no-untyped-def]
    """Group n connected regions into one; all 2 n - 1 regions are candidates.

    Step k joins the neighbours (a, b) = argmax s(a, b) into region n + k, with s of
    :func:`similarity`; among equal pairs the one with the lower numbers. The new region has

        size = size_a + size_b, histogram = histogram_a + histogram_b,
        box = (min x1, min y1, max x2, max y2),

    and the neighbours of both. The neighbours of a region are a linked list: a join appends one
    list to the other, and the next pass over the list removes repetitions. The queue is a heap;
    entries with a region that is already joined are skipped.

    Args:
        sizes: (n,) int32.
        boxes: (n, 4) int32.
        histograms: (n, D) float32, as :func:`sppdet.proposals.regions.describe` counts them.
        pairs: (M, 2) int32, the neighbours.
        image_area: pixels.
        weights: (4,) float32, of the similarities of colour, texture, size and fill.

    Returns:
        For the 2 n - 1 regions, the n given ones first: sizes (int32), boxes (.., 4) int32, the two
        parts (n - 1, 2) int32 of each joined region, and the similarities (n - 1,) float32 of the
        parts when they were joined.
    """
    count = len(sizes)
    total = 2 * count - 1
    all_sizes = np.empty(total, np.int32)
    all_boxes = np.empty((total, 4), np.int32)
    all_histograms = np.empty((total, histograms.shape[1]), np.float32)
    for i in range(count):  # loops: numba takes seconds to compile assignments of arrays
        all_sizes[i] = sizes[i]
        for side in range(4):
            all_boxes[i, side] = boxes[i, side]
        for j in range(histograms.shape[1]):
            all_histograms[i, j] = histograms[i, j]
    parts = np.empty((count - 1, 2), np.int32)
    joined_at = np.empty(count - 1, np.float32)
    parent = np.arange(total, dtype=np.int32)

    target = np.empty(2 * len(pairs), np.int32)
    following = np.full(2 * len(pairs), -1, np.int32)
    head = np.full(total, -1, np.int32)
    tail = np.full(total, -1, np.int32)
    heap_value = np.empty(max(8 * len(pairs), 16), np.float32)
    heap_pair = np.empty((len(heap_value), 2), np.int32)
    length = 0
    for i in range(len(pairs)):
        a, b = np.int64(pairs[i, 0]), np.int64(pairs[i, 1])
        _append(head, tail, following, target, a, 2 * i, b)
        _append(head, tail, following, target, b, 2 * i + 1, a)
        value = similarity(all_sizes, all_boxes, all_histograms, a, b, image_area, weights)
        length = _push(heap_value, heap_pair, length, value, a, b)

    seen = np.full(total, -1, np.int32)
    made = count
    while length > 0 and made < total:
        value = heap_value[0]
        a, b = np.int64(heap_pair[0, 0]), np.int64(heap_pair[0, 1])
        length = _pop(heap_value, heap_pair, length)
        if parent[a] != a or parent[b] != b:
            continue
        new = made
        made += 1
        parts[new - count, 0] = a
        parts[new - count, 1] = b
        joined_at[new - count] = value
        parent[a] = new
        parent[b] = new
        all_sizes[new] = all_sizes[a] + all_sizes[b]
        for side in range(2):
            all_boxes[new, side] = min(all_boxes[a, side], all_boxes[b, side])
            all_boxes[new, side + 2] = max(all_boxes[a, side + 2], all_boxes[b, side + 2])
        for j in range(histograms.shape[1]):
            all_histograms[new, j] = all_histograms[a, j] + all_histograms[b, j]
        following[tail[a]] = head[b]
        previous = -1
        node = head[a]
        while node >= 0:
            other = np.int64(find(parent, target[node]))
            if other == new or seen[other] == new:
                if previous >= 0:
                    following[previous] = following[node]
            else:
                seen[other] = new
                target[node] = other
                if previous < 0:
                    head[new] = node
                previous = node
                if length == len(heap_value):
                    heap_value, heap_pair = _grow(heap_value, heap_pair)
                value = similarity(
                    all_sizes, all_boxes, all_histograms, other, new, image_area, weights
                )
                length = _push(heap_value, heap_pair, length, value, other, new)
            node = following[node]
        tail[new] = previous
    return all_sizes, all_boxes, parts, joined_at


@compiled(fastmath={"reassoc", "contract", "nsz", "nnan"})
def _overlap(counts_a, counts_b, share_a, share_b):  # type: ignore[no-untyped-def]
    """sum over i of min(a_i / size_a, b_i / size_b), in any order, so that it is vectorised."""
    total = np.float32(0)
    for i in range(len(counts_a)):
        total += min(counts_a[i] * share_a, counts_b[i] * share_b)
    return total


@compiled()
def similarity(sizes, boxes, histograms, a, b, image_area, weights):  # type: ignore[no-untyped-def]
    """Weighted sum of the four similarities (section 3.2), each from 0 to 1.

    With the shares h = counts / size of a region's histograms, C = 3 channels, T = 3 channels times
    directions, and box(a, b) the area of the box around both:

        colour  = sum over the colour bins of min(h_a, h_b) / C
        texture = sum over the texture bins of min(h_a, h_b) / T
        size    = 1 - (size_a + size_b) / image_area
        fill    = 1 - (box(a, b) - size_a - size_b) / image_area
    """
    size_a, size_b = np.float32(sizes[a]), np.float32(sizes[b])
    share_a, share_b = np.float32(1) / size_a, np.float32(1) / size_b
    result = np.float32(0)
    if weights[0] > 0:
        colour = _overlap(
            histograms[a, :COLOUR_LENGTH], histograms[b, :COLOUR_LENGTH], share_a, share_b
        )
        result += weights[0] * colour / np.float32(3)
    if weights[1] > 0:
        texture = _overlap(
            histograms[a, COLOUR_LENGTH:], histograms[b, COLOUR_LENGTH:], share_a, share_b
        )
        result += weights[1] * texture / np.float32(3 * DIRECTIONS)
    area = np.float32(image_area)
    result += weights[2] * (np.float32(1) - (size_a + size_b) / area)
    wide = max(boxes[a, 2], boxes[b, 2]) - min(boxes[a, 0], boxes[b, 0])
    high = max(boxes[a, 3], boxes[b, 3]) - min(boxes[a, 1], boxes[b, 1])
    hole = np.float32(wide * high) - size_a - size_b
    result += weights[3] * (np.float32(1) - hole / area)
    return result


@compiled(inline="always")
def _append(head, tail, following, target, region, node, other):  # type: ignore[no-untyped-def]
    target[node] = other
    if head[region] < 0:
        head[region] = node
    else:
        following[tail[region]] = node
    tail[region] = node


@compiled(inline="always")
def _before(value, pair, i, j):  # type: ignore[no-untyped-def]
    if value[i] != value[j]:
        return value[i] > value[j]
    if pair[i, 0] != pair[j, 0]:
        return pair[i, 0] < pair[j, 0]
    return pair[i, 1] < pair[j, 1]


@compiled()
def _swap(value, pair, i, j):  # type: ignore[no-untyped-def]
    value[i], value[j] = value[j], value[i]
    for side in range(2):
        pair[i, side], pair[j, side] = pair[j, side], pair[i, side]


@compiled()
def _push(value, pair, length, new_value, a, b):  # type: ignore[no-untyped-def]
    value[length] = new_value
    pair[length, 0] = a
    pair[length, 1] = b
    i = length
    while i > 0 and _before(value, pair, i, (i - 1) >> 1):
        _swap(value, pair, i, (i - 1) >> 1)
        i = (i - 1) >> 1
    return length + 1


@compiled()
def _pop(value, pair, length):  # type: ignore[no-untyped-def]
    length -= 1
    value[0] = value[length]
    pair[0, 0], pair[0, 1] = pair[length, 0], pair[length, 1]
    i = 0
    while True:
        best = i
        for child in (2 * i + 1, 2 * i + 2):
            if child < length and _before(value, pair, child, best):
                best = child
        if best == i:
            return length
        _swap(value, pair, i, best)
        i = best


@compiled()
def _grow(value, pair):  # type: ignore[no-untyped-def]
    more_value = np.empty(2 * len(value), np.float32)
    more_pair = np.empty((2 * len(value), 2), np.int32)
    for i in range(len(value)):
        more_value[i] = value[i]
        more_pair[i, 0], more_pair[i, 1] = pair[i, 0], pair[i, 1]
    return more_value, more_pair
