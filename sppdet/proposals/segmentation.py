"""Graph-based segmentation (Felzenszwalb and Huttenlocher, 2004), fast enough to be repeated.

The edges of the 4-connected grid are sorted by counting, on weights in eighths of a grey level. The
union-find runs over pixels once, at the smallest k; what it leaves between regions is replayed on
the regions for larger k.
"""

import numpy as np

from sppdet.runtime.compiled import compiled

# Weights are Euclidean colour distances of 8-bit channels in steps of 1/8: at most 3534.
STEPS = 8
_BINS = 3536


@compiled(inline="always")
def find(parent, node):  # type: ignore[no-untyped-def]
    """The root of ``node``; every node on its path is moved up to its grandparent."""
    above = parent[node]
    while above != node:
        top = parent[above]
        parent[node] = top
        node = above
        above = top
    return node


@compiled(inline="always")
def _ends(edge, width):  # type: ignore[no-untyped-def]
    """The two pixels of an edge: see :func:`_sorted_edges`."""
    first = edge >> np.uint32(1)
    return first, np.uint32(first + np.uint32(width if edge & np.uint32(1) else 1))


@compiled()
def segment(image, k, minimum_size):  # type: ignore[no-untyped-def]
    """Segment a smoothed image.

    Two regions are joined along an edge of weight w when w is at most Int(R) + k / |R| for both
    (section 3 of the paper); regions of fewer than ``minimum_size`` pixels are then joined to their
    nearest neighbour, in the order of the edges.

    Args:
        image: (H, W, 3) uint8, C-contiguous.
        k: scale of observation, in grey levels.
        minimum_size: pixels.

    Returns:
        labels (H, W) int32, numbered from 0 in raster order of first pixels; and for every two
        regions that touch the lightest edge between them, in ascending weight: their labels
        (E,) int32 and (E,) int32, and weights (E,) int32; and Int of each region (n,) float32,
        in the same steps of 1/8.
    """
    scale = np.float32(k * STEPS)
    labels, size, internal, edge_a, edge_b, edge_weight = _regions(image, scale)
    coarse, internal = _join_small(edge_a, edge_b, size, internal, minimum_size)
    flat = labels.reshape(-1)
    for p in range(len(flat)):
        flat[p] = coarse[flat[p]]
    kept = 0
    for i in range(len(edge_a)):
        a, b = coarse[edge_a[i]], coarse[edge_b[i]]
        if a != b:
            edge_a[kept], edge_b[kept], edge_weight[kept] = a, b, edge_weight[i]
            kept += 1
    lightest = _lightest(edge_a[:kept], edge_b[:kept], len(internal))
    some = 0
    for i in range(kept):  # numba takes a second longer to compile edge_a[:kept][lightest]
        if lightest[i]:
            edge_a[some], edge_b[some], edge_weight[some] = edge_a[i], edge_b[i], edge_weight[i]
            some += 1
    return labels, edge_a[:some], edge_b[:some], edge_weight[:some], internal


@compiled()
def _regions(image, scale):  # type: ignore[no-untyped-def]
    """The regions before the small ones are joined to others.

    Returns:
        labels (H, W) int32, numbered from 0 in raster order of first pixels; pixels (n,) int32 and
        Int (n,) float32 of each region; and for every pixel edge between two regions, in ascending
        weight: their labels (E,) int32 and (E,) int32, and weights (E,) int32.
    """
    height, width = image.shape[:2]
    count = height * width
    order, ends = _sorted_edges(image)
    # Unsigned numbers of pixels: numba then leaves out the test for negative indices.
    parent = np.arange(count, dtype=np.uint32)
    # Pixels and limit of a root lie side by side, because they are read together.
    size = np.ones((count, 2), np.int32)
    limit = size.view(np.float32)
    limit[:, 1] = scale
    left_weight, left = _join(order, ends, width, scale, parent, size, limit)
    labels, roots = _numbered(parent)
    regions = len(roots)
    sizes = np.empty(regions, np.int32)
    internal = np.empty(regions, np.float32)
    for region in range(regions):
        root = roots[region]
        sizes[region] = size[root, 0]
        internal[region] = limit[root, 1] - scale / np.float32(size[root, 0])
    edge_a = np.empty(left, np.int32)
    edge_b = np.empty(left, np.int32)
    edge_weight = np.empty(left, np.int32)
    kept = 0
    for i in range(left):
        p, q = _ends(np.uint32(order[i]), width)
        if labels[p] != labels[q]:
            edge_a[kept], edge_b[kept], edge_weight[kept] = labels[p], labels[q], left_weight[i]
            kept += 1
    labels = labels.reshape(height, width)
    return labels, sizes, internal, edge_a[:kept], edge_b[:kept], edge_weight[:kept]


@compiled()
def _join_small(edge_a, edge_b, size, internal, minimum_size):  # type: ignore[no-untyped-def]
    """Join regions of fewer pixels to their nearest neighbour, in the order of the edges.

    Returns:
        (n,) int32, the new number of each region, in the order of first regions; and Int of each
        new region (m,) float32.
    """
    size, internal = size.copy(), internal.copy()
    parent = np.arange(len(size), dtype=np.int32)
    for i in range(len(edge_a)):
        a, b = find(parent, edge_a[i]), find(parent, edge_b[i])
        if a != b and (size[a] < minimum_size or size[b] < minimum_size):
            if size[a] < size[b]:
                a, b = b, a
            parent[b] = a
            size[a] += size[b]
            internal[a] = max(internal[a], internal[b])
    coarse, roots = _numbered(parent)
    return coarse, internal[roots]


@compiled()
def _numbered(parent):  # type: ignore[no-untyped-def]
    """New numbers (n,) int32 of the nodes' trees, in the order of first nodes; their roots (m,)."""
    name = np.full(len(parent), -1, np.int32)
    roots = np.empty(len(parent), np.int32)
    coarse = np.empty(len(parent), np.int32)
    regions = 0
    for node in range(len(parent)):
        root = find(parent, parent[node])
        if name[root] < 0:
            name[root] = regions
            roots[regions] = root
            regions += 1
        coarse[node] = name[root]
    return coarse, roots[:regions]


@compiled()
def coarsen(edge_a, edge_b, edge_weight, internal, size, k, minimum_size):  # type: ignore[no-untyped-def]
    """Replay the edges between regions at a larger k.

    Args:
        edge_a, edge_b, edge_weight, internal: as :func:`segment` returns them.
        size: (n,) int32, pixels of each region.
        k, minimum_size: as in :func:`segment`.

    Returns:
        (n,) int32: the coarse region of each region, numbered from 0 in the order of first regions.
    """
    count = len(size)
    parent = np.arange(count, dtype=np.int32)
    size = size.copy()
    scale = np.float32(k * STEPS)
    limit = internal + scale / size.astype(np.float32)
    for forced in range(2):
        for i in range(len(edge_a)):
            a = find(parent, edge_a[i])
            b = find(parent, edge_b[i])
            if a == b:
                continue
            w = edge_weight[i]
            if forced:
                join = size[a] < minimum_size or size[b] < minimum_size
            else:
                join = w <= limit[a] and w <= limit[b]
            if join:
                if size[a] < size[b]:
                    a, b = b, a
                parent[b] = a
                size[a] += size[b]
                limit[a] = w + scale / np.float32(size[a])
    return _numbered(parent)[0]


@compiled()
def _join(order, ends, width, scale, parent, size, limit):  # type: ignore[no-untyped-def]
    """Join along the edges of ``order``; move those left over to its beginning.

    Changes ``parent``, ``size`` (column 0) and ``limit`` (column 1), which is Int + k / size of
    each root. Returns the weights of the edges that are left over, and how many these are.
    """
    left_weight = np.empty(len(order), np.uint16)
    left = 0
    i = 0
    for weight in range(len(ends)):
        w = np.float32(weight)
        while i < ends[weight]:
            edge = np.uint32(order[i])
            i += 1
            a, b = _ends(edge, width)
            a, b = find(parent, a), find(parent, b)
            if a == b:
                continue
            size_a, size_b = size[a, 0], size[b, 0]
            if w <= min(limit[a, 1], limit[b, 1]):
                larger = a if size_a >= size_b else b
                parent[a], parent[b] = larger, larger
                size[larger, 0] = size_a + size_b
                limit[larger, 1] = w + scale / np.float32(size_a + size_b)
            else:
                order[left] = edge
                left_weight[left] = weight
                left += 1
    return left_weight, left


@compiled()
def _lightest(edge_a, edge_b, count):  # type: ignore[no-untyped-def]
    """(E,) bool: whether an edge is the first between its two regions, out of ``count``."""
    start = np.zeros(count + 1, np.int32)
    for i in range(len(edge_a)):
        start[min(edge_a[i], edge_b[i]) + 1] += 1
    for region in range(count):
        start[region + 1] += start[region]
    edges = np.empty(len(edge_a), np.int32)
    fill = start[:count].copy()
    for i in range(len(edge_a)):
        low = min(edge_a[i], edge_b[i])
        edges[fill[low]] = i
        fill[low] += 1
    first = np.zeros(len(edge_a), np.bool_)
    seen = np.full(count, -1, np.int32)
    for region in range(count):
        for i in range(start[region], start[region + 1]):
            edge = edges[i]
            high = max(edge_a[edge], edge_b[edge])
            if seen[high] != region:
                seen[high] = region
                first[edge] = True
    return first


@compiled()
def _sorted_edges(image):  # type: ignore[no-untyped-def]
    """The numbers of the edges in ascending weight (ties: ascending number), and for each weight
    where its edges end in this order.

    Edge 2 p goes from pixel p to its right, edge 2 p + 1 from pixel p downwards.
    """
    height, width = image.shape[:2]
    weight = np.empty(2 * height * width, np.uint16)
    first = np.zeros(_BINS + 1, np.int32)
    for y in range(height):
        for x in range(width):
            edge = 2 * (y * width + x)
            r, g, b = np.int32(image[y, x, 0]), np.int32(image[y, x, 1]), np.int32(image[y, x, 2])
            if x + 1 < width:
                w = _distance(r, g, b, image[y, x + 1])
                weight[edge] = w
                first[w + 1] += 1
            if y + 1 < height:
                w = _distance(r, g, b, image[y + 1, x])
                weight[edge + 1] = w
                first[w + 1] += 1
    for w in range(_BINS):
        first[w + 1] += first[w]
    order = np.empty(first[_BINS], np.int32)
    for y in range(height):
        for x in range(width):
            edge = 2 * (y * width + x)
            if x + 1 < width:
                w = weight[edge]
                order[first[w]] = edge
                first[w] += 1
            if y + 1 < height:
                w = weight[edge + 1]
                order[first[w]] = edge + 1
                first[w] += 1
    return order, first[:_BINS]


@compiled(inline="always")
def _distance(r, g, b, other):  # type: ignore[no-untyped-def]
    dr = r - np.int32(other[0])
    dg = g - np.int32(other[1])
    db = b - np.int32(other[2])
    return np.int32(np.sqrt(np.float32(dr * dr + dg * dg + db * db)) * np.float32(STEPS))
