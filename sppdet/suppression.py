"""The loop of greedy non-maximum suppression, compiled.

torchvision's function gives the same indices; importing torchvision takes longer than a detection.
"""

import numpy as np
from numpy.typing import NDArray

from sppdet.runtime.compiled import compiled


@compiled()
def greedy(
    boxes: NDArray[np.float32], order: NDArray[np.int64], threshold: float
) -> NDArray[np.int64]:
    """The indices that survive, in the sequence of ``order``.

    Args:
        boxes: (N, 4).
        order: (N,), the indices of the boxes, the best first.
        threshold: a box goes when its IoU with one already taken is above this.
    """
    gone = np.zeros(len(boxes), np.bool_)
    kept = np.empty(len(boxes), np.int64)
    count = 0
    for place in range(len(order)):
        one = order[place]
        if gone[one]:
            continue
        kept[count] = one
        count += 1
        x1, y1, x2, y2 = boxes[one]
        own = (x2 - x1) * (y2 - y1)
        for later in range(place + 1, len(order)):
            other = order[later]
            if gone[other]:
                continue
            width = min(x2, boxes[other, 2]) - max(x1, boxes[other, 0])
            height = min(y2, boxes[other, 3]) - max(y1, boxes[other, 1])
            if width <= 0 or height <= 0:
                continue
            shared = width * height
            area = (boxes[other, 2] - boxes[other, 0]) * (boxes[other, 3] - boxes[other, 1])
            gone[other] = shared / (own + area - shared) > threshold
    return kept[:count].copy()
