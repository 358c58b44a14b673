"""Detection on many images: many at a time, results in order, a bounded number under way.

On a CPU each worker is a thread that does all of an image (:meth:`Detector.detect`) on its share of
PyTorch's threads. On a GPU the workers read, search and resize, in threads or in processes, and one
thread gives the device its work, image after image, without waiting for it; a worker then waits for
the result of its image.
"""

import os
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType
from typing import Protocol, TypeVar

import torch
from numpy.typing import ArrayLike
from PIL import Image

from sppdet.boxes import Boxes, check_boxes
from sppdet.detections import Detections
from sppdet.features.regions import RegionExtractor
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.base import Scorer
from sppdet.heads.regression import BoxRegression
from sppdet.heads.selection import Threshold
from sppdet.heads.thresholds import least_probabilities
from sppdet.images import ImageLike, Rgb, as_image, is_panorama
from sppdet.panorama import detect_in_parts
from sppdet.pipeline.preparing import Prepared, Recipe, begin, prepare, prepare_with_folder
from sppdet.proposals.cache import ProposalCache
from sppdet.proposals.selective_search import compile_once
from sppdet.runtime.compiled import tally
from sppdet.runtime.processes import Processes
from sppdet.runtime.threads import ordered_map
from sppdet.runtime.torch_threads import set_own_torch_threads, torch_threads
from sppdet.settings import DetectorSettings

Item = TypeVar("Item")
Result = TypeVar("Result")

ENOUGH_FOR_PROCESSES = 100
"""Images for which processes, which need about two seconds to begin, are worth it on a GPU."""

WAITING = 4
"""Threads on a GPU beyond the number of workers. They wait for the device while others work."""


class Detecting(Protocol):
    """What :class:`sppdet.detector.Detector` is here."""

    extractor: RegionExtractor
    scorer: Scorer
    regression: BoxRegression | None
    settings: DetectorSettings
    classes: tuple[str, ...]
    thresholds: tuple[float, ...]

    def detect(
        self,
        image: ImageLike,
        threshold: float | Mapping[str, float] | None = None,
        boxes: ArrayLike | None = None,
        *,
        channels: str = "RGB",
    ) -> Detections:
        """One image."""
        ...


class Pipeline:
    """Detects on many images at a time; used in a ``with`` block.

    Args:
        detector: what to run.
        workers: images at a time; None means one per thread of PyTorch. On a CPU they share these.
            With one the calling thread does the work.
        number: how many images are expected at least, as far as that is known.
        processes: whether images are prepared in processes. None means on a GPU for
            :data:`ENOUGH_FOR_PROCESSES` images and more; a CPU has no use for them.
    """

    def __init__(
        self,
        detector: Detecting,
        workers: int | None = None,
        number: int = 0,
        processes: bool | None = None,
    ) -> None:
        threads = torch_threads()
        self.detector = detector
        device = detector.extractor.trunk.device
        self.workers = workers or (threads if device.type == "cpu" or uses_lane(device) else 2)
        self._torch_threads = max(threads // self.workers, 1)
        self._lane: ThreadPoolExecutor | None = None
        self._processes: Processes | None = None
        self._recipe = recipe_of(detector)
        if self.workers == 1 or not uses_lane(device):
            return
        self._lane = ThreadPoolExecutor(1, "sppdet-device")
        if processes is None:
            processes = number >= ENOUGH_FOR_PROCESSES
        if processes:
            compile_once()
            if tally.loaded + tally.compiled:  # else each process would compile for itself
                self._processes = Processes(self.workers, begin, Image.MAX_IMAGE_PIXELS)

    def __enter__(self) -> "Pipeline":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._lane is not None:
            self._lane.shutdown(cancel_futures=True)
        if self._processes is not None:
            self._processes.close()

    def map(
        self, work: Callable[[Item], Result], items: Iterable[Item]
    ) -> Generator[Result, None, None]:
        """``map(work, items)`` in worker threads, in order; ``work`` calls :meth:`detect`.

        At most ``workers`` + 1 results wait, or are under way, on a CPU, and :data:`WAITING` more
        on a GPU. When the caller stops early, what has not begun is dropped.
        """
        if self._lane is not None:
            return ordered_map(work, items, self.workers + WAITING)
        return ordered_map(
            work, items, self.workers, lambda: set_own_torch_threads(self._torch_threads)
        )

    def detect(
        self,
        image: ImageLike,
        threshold: float | Mapping[str, float] | None = None,
        boxes: ArrayLike | None = None,
        *,
        channels: str = "RGB",
        cache: ProposalCache | None = None,
    ) -> Detections:
        """:meth:`Detector.detect`, called by a worker.

        Args:
            image, threshold, boxes, channels: as there.
            cache: where proposals are looked up and kept.

        On a GPU the seconds of ``device`` contain those in which other images had it, and the ones
        of ``total`` the reading.
        """
        if self._lane is not None:
            return self._detect_with_lane(image, threshold, boxes, channels, cache)
        source = image if isinstance(image, str | os.PathLike) else None
        if cache is not None and boxes is None:
            image = as_image(image, channels)
            if not is_panorama(image):
                settings = self.detector.settings
                boxes = cache.get(image, settings.proposals, settings.max_boxes)
            channels = "RGB"
        found = self.detector.detect(image, threshold, boxes, channels=channels)
        return replace(found, source=source)

    def _detect_with_lane(
        self,
        image: ImageLike,
        threshold: float | Mapping[str, float] | None,
        boxes: ArrayLike | None,
        channels: str,
        cache: ProposalCache | None,
    ) -> Detections:
        start = time.perf_counter()
        least = least_probabilities(threshold, self.detector.classes, self.detector.thresholds)
        source = image if isinstance(image, str | os.PathLike) else None
        if source is None and not isinstance(image, bytes):
            image = as_image(image, channels)
        given: Boxes | None = None
        if boxes is not None:
            image = as_image(image)
            given = check_boxes(boxes, image.shape[1], image.shape[0])
        prepared = self._prepare(image, given, cache)
        if isinstance(prepared, Prepared):
            found = self._find(prepared, least)
            size = prepared.size
        else:
            size = prepared.shape[1], prepared.shape[0]

            def detect_part(part: Rgb) -> Detections:
                one = self._prepare(part, None, None, in_parts=False)
                assert isinstance(one, Prepared)
                return self._find(one, least)

            iou = self.detector.settings.selection.nms_iou
            found = detect_in_parts(prepared, detect_part, self.detector.classes, iou)
        seconds = {**found.seconds, "total": time.perf_counter() - start}
        return replace(found, seconds=seconds, size=size, source=source)

    def _prepare(
        self,
        image: ImageLike,
        boxes: Boxes | None,
        cache: ProposalCache | None,
        in_parts: bool = True,
    ) -> Prepared | Rgb:
        if self._processes is None:
            return prepare(image, self._recipe, boxes, cache, in_parts)
        folder = cache.folder if cache is not None else None
        prepared, found, made, problem = self._processes.call(
            prepare_with_folder, image, self._recipe, boxes, folder, in_parts
        )
        if cache is not None:
            cache.disk.count(found, made, problem)
        result: Prepared | Rgb = prepared
        return result

    def _find(self, prepared: Prepared, least: Threshold) -> Detections:
        from sppdet.device.path import Pending, find_later

        assert self._lane is not None
        detector = self.detector
        seconds = {"proposals": prepared.seconds}
        if not len(prepared.boxes):
            return replace(Detections.none(detector.classes), seconds=seconds)
        start = time.perf_counter()

        def give() -> Pending:
            with torch.inference_mode():
                return find_later(detector, prepared.resized, prepared.size, prepared.boxes, least)

        scored = self._lane.submit(give).result().result()
        seconds["device"] = time.perf_counter() - start
        scores = detector.scorer.probabilities(scored.scores, scored.labels)
        return Detections(scored.boxes, scored.labels, scores, detector.classes, seconds)


def uses_lane(device: torch.device) -> bool:
    """Whether one thread gives a device its work, while others prepare images."""
    return device.type == "cuda"


def recipe_of(detector: Detecting) -> Recipe:
    """How the images of a detector are prepared for a device."""
    settings, extractor = detector.settings, detector.extractor
    recipe = Recipe(settings.proposals, settings.max_boxes)
    if isinstance(extractor, SppRegionFeatures):
        chosen = extractor.settings
        return replace(recipe, scales=chosen.scales, longest_side=chosen.longest_side)
    return recipe
