"""The cost against the number of proposals and against the size of the image."""

import cv2
import numpy as np

from sppdet.benchmark.contenders import Contender
from sppdet.benchmark.speed import Progress, random_boxes, stage_seconds, using_threads
from sppdet.images import Rgb

NUMBERS = (100, 500, 1000, 2000, 4000)
"""Proposals per image."""

SIDES = (256, 512, 1024, 2048)
"""Longer sides of the image, in pixels."""

SIDE_BOXES = 500
"""Proposals while the image's size varies."""


def measure_scaling(
    image: Rgb,
    contenders: list[Contender],
    threads: int,
    numbers: tuple[int, ...] = NUMBERS,
    sides: tuple[int, ...] = SIDES,
    progress: Progress | None = None,
) -> list[dict[str, object]]:
    """Seconds for features on one image, by proposals and by size.

    The boxes are random, so that their number is exact.

    Returns:
        ``{"axis": "boxes" | "side", "value": .., "method": .., "scales": .., "seconds": ..}`` each.
    """
    points: list[dict[str, object]] = []
    cases = [("boxes", number, image, number) for number in numbers]
    height, width = image.shape[:2]
    for side in sides:
        factor = side / max(height, width)
        size = (max(round(width * factor), 1), max(round(height * factor), 1))
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        resized = np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)
        cases.append(("side", side, resized, SIDE_BOXES))
    with using_threads(threads):
        for axis, value, shown, count in cases:
            boxes = random_boxes(shown, count)
            for contender in contenders:
                detector = contender.detector(count)
                stage_seconds(detector, shown, boxes[:16])
                seconds = stage_seconds(detector, shown, boxes)
                points.append(
                    {
                        "axis": axis,
                        "value": value,
                        "method": contender.method,
                        "scales": list(contender.scales),
                        "seconds": seconds["features"],
                    }
                )
                if progress is not None:
                    progress()
    return points
