"""Seconds per image and stage, R-CNN beside SPP-net, image by image in turns."""

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import torch

from sppdet.benchmark.contenders import Contender
from sppdet.boxes import Boxes
from sppdet.detector import Detector
from sppdet.images import Rgb

NOT_FEATURES = ("proposals", "scoring", "regression", "suppression", "total")
"""Stages that do not belong to the features."""

CLAIMS = {1: "102 x, 64 x", 5: "38 x, 24 x"}
"""Features against R-CNN by number of scales: SPP-net paper, conference and journal version."""

Progress = Callable[[], None]


@dataclass(frozen=True)
class Row:
    """One method at one number of threads.

    Attributes:
        method, scales: of the contender.
        boxes: proposals per image, asked for.
        boxes_found: proposals per image, median.
        threads, device: where it ran.
        images: how many.
        seconds: medians per image: each stage, ``features`` and ``total``.
        ratio: how many times faster than R-CNN in the same run: ``features`` and ``total``.
    """

    method: str
    scales: tuple[int, ...]
    boxes: int
    boxes_found: int
    threads: int
    device: str
    images: int
    seconds: dict[str, float]
    ratio: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """The attributes."""
        return asdict(self)


@contextmanager
def using_threads(threads: int) -> Iterator[None]:
    """Within the block torch and OpenCV use this number of threads."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def stage_seconds(detector: Detector, image: Rgb, boxes: Boxes | None = None) -> dict[str, float]:
    """One run on one image: seconds of every stage, ``features`` and ``total``.

    Args:
        boxes: proposals computed before; None searches for them, which is then the first stage. It
            is over before the next begins, as in no other use, so that the stages add up.
    """
    searched: dict[str, float] = {}
    if boxes is None:
        start = time.perf_counter()
        boxes = detector.propose(image)
        searched["proposals"] = time.perf_counter() - start
    seconds = dict(detector.detect(image, None, boxes).seconds)
    total = seconds.pop("total") + sum(searched.values())
    features = sum(value for name, value in seconds.items() if name not in NOT_FEATURES)
    return {**searched, **seconds, "features": features, "total": total}


def measure(
    images: list[Rgb],
    contenders: list[Contender],
    boxes: int,
    threads: int,
    repeats: int = 3,
    proposals: list[Boxes] | None = None,
    progress: Progress | None = None,
) -> list[Row]:
    """Time every contender on every image, in turns, after a warm-up.

    Args:
        images: (H, W, 3) uint8 RGB each.
        contenders: one of them R-CNN, for the ratios.
        boxes: proposals per image.
        threads: for torch and OpenCV.
        repeats: of SPP-net on each image (the median counts); R-CNN, whose time is the mean of
            thousands of crops, runs once.
        proposals: boxes computed before, (N, 4) per image; by default each run searches.
        progress: called after every contender on every image.
    """
    seconds: list[list[dict[str, float]]] = [[] for _ in contenders]
    detectors = [contender.detector(boxes) for contender in contenders]
    counts = []
    with using_threads(threads):
        for contender, detector in zip(contenders, detectors, strict=True):
            few = random_boxes(images[0], 16) if contender.method == "rcnn" else None
            stage_seconds(detector, images[0], few)
        for index, image in enumerate(images):
            given = None if proposals is None else proposals[index][:boxes]
            counts.append(len(detectors[0].propose(image) if given is None else given))
            for contender, detector, times in zip(contenders, detectors, seconds, strict=True):
                rounds = repeats if contender.method == "spp" else 1
                runs = [stage_seconds(detector, image, given) for _ in range(rounds)]
                times.append(_medians(runs))
                if progress is not None:
                    progress()
    medians = [_medians(times) for times in seconds]
    rcnn = next((m for c, m in zip(contenders, medians, strict=True) if c.method == "rcnn"), None)
    return [
        Row(
            method=contender.method,
            scales=contender.scales,
            boxes=boxes,
            boxes_found=int(np.median(counts)),
            threads=threads,
            device=str(contender.extractor.trunk.device),
            images=len(images),
            seconds=found,
            ratio={key: rcnn[key] / found[key] for key in ("features", "total")} if rcnn else {},
        )
        for contender, found in zip(contenders, medians, strict=True)
    ]


def random_boxes(image: Rgb, count: int, seed: int = 0) -> Boxes:
    """``count`` distinct boxes in an image, sides log-uniform from 20 px to the image's."""
    random = np.random.default_rng(seed)
    limits = np.array([image.shape[1], image.shape[0]], np.float64)
    least = np.minimum(20, limits / 2)
    sides = least * (limits / least) ** random.random((count, 2))
    first = random.random((count, 2)) * (limits - sides)
    return np.concatenate([first, first + sides], axis=1).astype(np.float32)


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    facts: dict[str, Any] = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    if torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
    return facts


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: float(np.median([run.get(key, 0.0) for run in runs])) for key in runs[0]}
