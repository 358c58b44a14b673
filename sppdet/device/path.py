"""An image's detections on a device: queued at once, fetched later.

:func:`find_later` packs the resized images, the boxes and the thresholds into one pinned buffer,
queues the work and returns. On a GPU that is, for sizes that came before, three launches: the copy
of the buffer to the device, a CUDA graph of everything (:mod:`sppdet.device.graphs`), and the copy
of the detections back. Eagerly the graph's kernels are launched one by one: four before the
network, two or three per convolution, about 20 for the windows, 3 for the pooling, 4 for all scores
and regressions, 20 for the candidates, 14 for their boxes, and 100 for suppression and voting.

Nothing waits for the device between the two copies. :meth:`Pending.result` waits for the second
one. What the fixed sizes cannot hold (a map that is not finite, a suppression that takes more
rounds) comes back as a flag, and the image is then done again.
"""

import threading
import weakref
from typing import Protocol

import numpy as np
import torch

from sppdet.boxes import Boxes
from sppdet.device.heads import DeviceHeads
from sppdet.features.regions import RegionExtractor, Regions
from sppdet.features.spp import SppRegionFeatures
from sppdet.features.windows import image_scales, resize
from sppdet.heads.base import Scorer
from sppdet.heads.linear import LinearScorer
from sppdet.heads.path import find
from sppdet.heads.regression import BoxRegression
from sppdet.heads.selection import Scored, Threshold, one_class_per_object
from sppdet.images import Rgb
from sppdet.settings import DetectorSettings

ROUNDS = 16
"""Rounds of suppression that an image takes at first."""


class Detecting(Protocol):
    """What :class:`sppdet.detector.Detector` is here."""

    extractor: RegionExtractor
    scorer: Scorer
    regression: BoxRegression | None
    settings: DetectorSettings


def resize_all(extractor: RegionExtractor, image: Rgb) -> list[Rgb]:
    """The image at each size at which the features see it: the part that needs no device.

    For features other than SPP-net's that is the image itself.
    """
    if not isinstance(extractor, SppRegionFeatures):
        return [image]
    chosen = extractor.settings
    height, width = image.shape[:2]
    scales = image_scales(width, height, chosen.scales, chosen.longest_side)
    return [resize(image, scale) for scale in scales]


class Pending:
    """The detections of an image that may still be computed."""

    def __init__(self, work: "_Queued | Scored") -> None:
        self._work = work
        self._lock = threading.Lock()

    def result(self) -> Scored:
        """Wait for the detections: class by class, the best first, with scores of the scorer.

        Raises:
            SppdetError: the map holds values that are not finite.
        """
        with self._lock:
            if isinstance(self._work, _Queued):
                self._work = self._work.fetch()
            return self._work


def find_later(
    detector: Detecting,
    resized: list[Rgb],
    size: tuple[int, int],
    boxes: Boxes,
    threshold: Threshold,
) -> Pending:
    """Queue the detections among the boxes of an image: :func:`sppdet.heads.path.find`, later.

    Threads may call it at the same time, and any number of images may be pending. Features other
    than SPP-net's pooled ones, and heads other than linear ones, are computed before it returns.

    Args:
        detector: whose features, heads and settings are used.
        resized: what :func:`resize_all` made of the image.
        size: width and height of the image in pixels.
        boxes: (N, 4) float32, pixels of the image.
        threshold: least probability of a detection, for all classes or (K,) for each; None keeps
            all that survive suppression.
    """
    if not is_supported(detector):
        return Pending(_find_now(detector, resized, size, boxes, threshold))
    if len(boxes) == 0:
        return Pending(Scored.none())
    return Pending(_Queued(detector, resized, size, boxes, threshold))


def is_supported(detector: Detecting) -> bool:
    """Whether the device computes this detector's features and heads without waiting."""
    extractor, regression = detector.extractor, detector.regression
    return (
        isinstance(extractor, SppRegionFeatures)
        and extractor.trunk.head is None
        and not extractor.settings.normalize_levels
        and extractor.settings.pooling == "max"
        and extractor.settings.mapping == "paper"
        and isinstance(detector.scorer, LinearScorer)
        and (regression is None or regression.layers is None)
    )


@torch.inference_mode()
def _find_now(
    detector: Detecting,
    resized: list[Rgb],
    size: tuple[int, int],
    boxes: Boxes,
    threshold: Threshold,
) -> Scored:
    extractor, chosen = detector.extractor, detector.settings.selection
    regions: Regions
    if isinstance(extractor, SppRegionFeatures):
        maps = [extractor.trunk.map(one) for one in resized]
        regions = extractor.with_maps(maps, *size, boxes)
    else:
        regions = extractor.prepare(resized[0], boxes)
    return find(regions, boxes, size, detector.scorer, detector.regression, chosen, threshold)


class _Queued:
    """An image whose detections are on their way; it keeps what a second try needs."""

    def __init__(
        self,
        detector: Detecting,
        resized: list[Rgb],
        size: tuple[int, int],
        boxes: Boxes,
        threshold: Threshold,
    ) -> None:
        self._heads = _heads_of(detector)
        self._image = resized, size, boxes, threshold
        self._selection = detector.settings.selection
        self._queue(ROUNDS)

    def _queue(self, rounds: int) -> None:
        plan, buffer = self._heads.pack(*self._image, self._selection, rounds)
        self._kind, self._host, self._event = self._heads.queue(plan, buffer)

    def fetch(self) -> Scored:
        """Wait for the detections; do the image again where a flag says so."""
        while True:
            if self._event is not None:
                self._event.synchronize()
            values = self._host.numpy()
            if not np.isfinite(values[0]):
                self._heads.demote(self._kind)
                self._queue(ROUNDS)
            elif not values[1]:
                self._queue(self._selection.max_candidates + 1)
            else:
                break
        found = self._heads.unpack(values[2:])
        return one_class_per_object(found, self._heads.scorer, self._selection.one_class_iou)


_heads: "weakref.WeakKeyDictionary[Detecting, DeviceHeads]" = weakref.WeakKeyDictionary()
_heads_lock = threading.Lock()


def _heads_of(detector: Detecting) -> DeviceHeads:
    """The work of a detector, made when it is first wanted or when a part of it has changed."""
    extractor, scorer, regression = detector.extractor, detector.scorer, detector.regression
    assert isinstance(extractor, SppRegionFeatures)
    assert isinstance(scorer, LinearScorer)
    with _heads_lock:
        made = _heads.get(detector)
        if (
            made is None
            or made.features.extractor is not extractor
            or made.scorer is not scorer
            or made.regression is not regression
        ):
            with torch.inference_mode():
                made = _heads[detector] = DeviceHeads(extractor, scorer, regression)
        return made
