"""The fast segmentation against the paper's algorithm in plain Python, exactly."""

import numpy as np
import pytest

from sppdet.proposals.segmentation import STEPS, coarsen, segment


def edges_of(image: np.ndarray) -> list[tuple[int, int, int]]:
    """(weight, pixel, pixel), ascending; a pixel's right edge before its lower one among equals."""
    height, width, _ = image.shape
    edges = []
    for y in range(height):
        for x in range(width):
            for dy, dx in ((0, 1), (1, 0)):
                if y + dy < height and x + dx < width:
                    difference = image[y, x].astype(int) - image[y + dy, x + dx]
                    distance = np.sqrt(np.float32((difference**2).sum()))
                    p, q = y * width + x, (y + dy) * width + x + dx
                    edges.append((int(distance * np.float32(STEPS)), p, q))
    return sorted(edges, key=lambda edge: edge[0])


def slow_join(edges, component, internal, k, minimum_size):
    """Relabel whole components at each union: no trees, no paths."""
    scale = np.float32(k * STEPS)

    def size(c):
        return int((component == c).sum())

    def limit(c):
        return np.float32(internal[c]) + scale / np.float32(pixels[c])

    pixels = {c: size(c) for c in np.unique(component)}
    for forced in (False, True):
        for w, p, q in edges:
            a, b = component[p], component[q]
            if a == b:
                continue
            if forced:
                join = pixels[a] < minimum_size or pixels[b] < minimum_size
            else:
                join = np.float32(w) <= limit(a) and np.float32(w) <= limit(b)
            if join:
                component[component == b] = a
                pixels[a] += pixels.pop(b)
                internal[a] = max(internal[a], internal[b]) if forced else w
    return component


def in_raster_order(component: np.ndarray) -> np.ndarray:
    _, first, inverse = np.unique(component, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def blocks(seed: int, height: int, width: int, noise: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (-(-height // 6), -(-width // 6), 3))
    image = coarse.repeat(6, 0).repeat(6, 1)[:height, :width]
    return np.clip(image + rng.integers(-noise, noise + 1, image.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("height", "width", "noise", "k", "minimum_size"),
    [
        (20, 24, 6, 60, 5),
        (17, 23, 30, 100, 1),
        (24, 20, 60, 300, 12),
        (1, 30, 20, 50, 3),
        (1, 1, 0, 9, 4),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_segment_equals_the_slow_twin(height, width, noise, k, minimum_size, seed):
    image = blocks(seed, height, width, noise)
    labels, edge_a, edge_b, weight, internal = segment(image, float(k), minimum_size)
    count = height * width
    expected = slow_join(
        edges_of(image), np.arange(count), dict.fromkeys(range(count), 0), k, minimum_size
    )
    np.testing.assert_array_equal(labels.ravel(), in_raster_order(expected))
    assert len(internal) == labels.max() + 1
    assert (np.diff(weight) >= 0).all()

    lightest: dict[tuple[int, int], int] = {}
    for w, p, q in edges_of(image):
        a, b = sorted((int(labels.flat[p]), int(labels.flat[q])))
        if a != b:
            lightest.setdefault((a, b), w)
    found = {
        (min(a, b), max(a, b)): w
        for a, b, w in zip(edge_a.tolist(), edge_b.tolist(), weight.tolist(), strict=True)
    }
    assert found == lightest
    assert len(edge_a) == len(lightest)


@pytest.mark.parametrize("seed", range(3))
def test_coarsen_equals_the_slow_twin(seed):
    image = blocks(seed, 36, 40, 25)
    labels, edge_a, edge_b, weight, internal = segment(image, 30.0, 4)
    size = np.bincount(labels.ravel()).astype(np.int32)
    coarse = coarsen(edge_a, edge_b, weight, internal, size, 200.0, 15)
    edges = list(zip(weight.tolist(), edge_a.tolist(), edge_b.tolist(), strict=True))
    expected = _slow_regions(edges, size, internal, 200.0, 15)
    np.testing.assert_array_equal(coarse, in_raster_order(expected))
    assert 1 <= coarse.max() + 1 < len(size)


def _slow_regions(edges, size, internal, k, minimum_size):
    """As ``slow_join``, on regions: every region repeated once per pixel."""
    owner = np.repeat(np.arange(len(size)), size)
    first = np.concatenate([[0], np.cumsum(size)[:-1]])
    pixel_edges = [(w, first[a], first[b]) for w, a, b in edges]
    return slow_join(pixel_edges, owner, dict(enumerate(internal)), k, minimum_size)[first]


def test_every_region_is_large_enough():
    image = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    labels = segment(image, 50.0, 40)[0]
    assert np.bincount(labels.ravel()).min() >= 40
