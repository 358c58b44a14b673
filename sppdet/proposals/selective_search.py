"""Selective search (Uijlings et al., IJCV 2013): hierarchies of regions, their boxes in order."""

import sys
import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sppdet.proposals.colour import convert, smooth
from sppdet.proposals.grouping import group
from sppdet.proposals.ranking import Hierarchy, rank
from sppdet.proposals.regions import aggregate, describe, neighbours, texture_table
from sppdet.proposals.segmentation import coarsen, segment

# Weights of the similarities of colour, texture, size and fill.
ALL = (1.0, 1.0, 1.0, 1.0)
NO_COLOUR = (0.0, 1.0, 1.0, 1.0)
FILL = (0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class SearchSettings:
    """Settings of our selective search; the defaults are ``fast``.

    spaces: colour spaces, see :data:`sppdet.proposals.colour.SPACES`.
    scales: k of the segmentation, ascending.
    minimum_size: least pixels of a segment.
    similarities: one hierarchy for each, as weights of colour, texture, size and fill.
    side: longer side of the searched image, in pixels.
    minimum_side: boxes with a shorter side, in pixels of the searched image, are dropped (R-CNN's
        released code: 20 pixels at a width of 500).
    nearly_the_same: IoU above which a box goes behind all others, see
        :mod:`sppdet.proposals.ranking`.
    """

    spaces: tuple[str, ...] = ("hsv", "lab")
    scales: tuple[float, ...] = (100.0, 200.0, 400.0)
    minimum_size: int = 60
    similarities: tuple[tuple[float, float, float, float], ...] = (ALL, NO_COLOUR)
    side: int = 500
    minimum_side: int = 20
    nearly_the_same: float = 0.8


FAST = SearchSettings()
# Boxes of every size. With 500, 1,000 and 2,000 boxes its recall is at least that of OpenCV's fast
# mode, which drops no small boxes either (BENCHMARKS.md). The folds of kangaroo prefer ``fast``.
COMPLETE = SearchSettings(minimum_size=40, minimum_side=1, nearly_the_same=0.85)
QUALITY = SearchSettings(
    spaces=("hsv", "lab", "rgi", "hue", "intensity"),
    similarities=(ALL, NO_COLOUR, FILL),
)
# Small objects, such as blood cells and platelets. It finds more boxes than the other
# settings: use max_boxes of 4,000 or more.
TINY = SearchSettings(minimum_size=40, side=640, minimum_side=10)
# Objects of a hundredth of the image's side, such as a ball on a playing field; three times as slow
# as ``tiny``.
FINEST = SearchSettings(minimum_size=20, side=960, minimum_side=8)


def search(image: NDArray[np.uint8], settings: SearchSettings) -> NDArray[np.float32]:
    """All boxes of the search in ``image``, distinct, best first.

    Args:
        image: (H, W, 3) uint8 RGB, searched at its own size.
        settings: ``side`` is not used; the caller resizes the image.

    Returns:
        (N, 4) float32 with sides of at least ``settings.minimum_side`` pixels.
    """
    compile_once()
    return _search(image, settings)


def _search(image: NDArray[np.uint8], settings: SearchSettings) -> NDArray[np.float32]:
    smoothed = smooth(image)
    found = [_hierarchies(smoothed, space, settings) for space in settings.spaces]
    hierarchies = [hierarchy for several in found for hierarchy in several]
    return rank(hierarchies, settings.minimum_side, settings.nearly_the_same)


def _hierarchies(
    smoothed: NDArray[np.uint8], space: str, settings: SearchSettings
) -> list[Hierarchy]:
    """The hierarchies of one colour space, by scale, then by similarity."""
    image = convert(smoothed, space)
    area = image.shape[0] * image.shape[1]
    scales = settings.scales
    labels, edge_a, edge_b, edge_weight, internal = segment(image, scales[0], settings.minimum_size)
    finest = describe(image, labels, len(internal), texture_table())
    found = []
    for scale in scales:
        if scale == scales[0]:
            coarse = np.arange(len(internal), dtype=np.int32)
            regions = finest
        else:
            coarse = coarsen(
                edge_a, edge_b, edge_weight, internal, finest[0], scale, settings.minimum_size
            )
            regions = aggregate(coarse, *finest)
        pairs = neighbours(edge_a, edge_b, coarse, len(regions[0]))
        for weights in settings.similarities:
            chosen = np.array(weights, np.float32)
            grouped = group(*regions, pairs, area, chosen)  # type: ignore[call-arg]
            found.append(Hierarchy(*grouped))
    return found


# A search that was compiled earlier is ready in less than this number of seconds.
_NOTICE_AFTER = 2.0
_compiling = threading.Lock()
_compiled = False


def compile_once() -> None:
    """Load the compiled search, or compile it (once per installation; half a minute).

    Numba keeps the machine code beside the package, or in the user's cache folder where that cannot
    be written. While it compiles, one line on standard error says so. Later calls do nothing.
    """
    global _compiled
    with _compiling:
        if _compiled:
            return
        notice = threading.Timer(
            _NOTICE_AFTER,
            print,
            ["sppdet: compiling the selective search, once (about half a minute) ..."],
            {"file": sys.stderr, "flush": True},
        )
        notice.daemon = True
        notice.start()
        try:
            image = np.zeros((40, 40, 3), np.uint8)
            image[10:30, 10:30] = 200
            _search(image, SearchSettings())
        finally:
            notice.cancel()
        _compiled = True
