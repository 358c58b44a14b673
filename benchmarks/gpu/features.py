"""SPP-net's features and detections on a GPU, against R-CNN's features of the same photographs.

The photographs are Fruit's test images with proposals of the package, the trunk is SqueezeNet. A
stream begins with images that are resized and packed into pinned memory; the upload, the network,
the windows and the pooling are part of it, and the pooled matrix stays on the device in the
network's precision. The sides of images are rounded up, so that few sizes occur. Images of a size
that is new are computed eagerly, sizes that come again are captured in a CUDA graph, and replayed
from then on: the first pass has new sizes, the second the last captures, the others replays only.
"""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sppdet.boxes import Boxes
from sppdet.detector import Detector
from sppdet.device.features import DeviceFeatures
from sppdet.device.layout import Layout
from sppdet.device.path import find_later, resize_all
from sppdet.features.rcnn import RcnnRegionFeatures
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.selection import Scored
from sppdet.images import Rgb, as_image
from sppdet.proposals import propose
from sppdet.runtime.timing import Clock
from sppdet.settings import SppSettings
from sppdet.trunks import Trunk, load_trunk

SCALES = {"one scale": (688,), "five scales": (480, 576, 688, 864, 1200)}
SHORT_SCALES = {"one scale": (96,), "five scales": (64, 96)}

IN_FLIGHT = 8
"""Photographs whose detections are pending in a stream."""


@dataclass(frozen=True)
class Photo:
    """A photograph with its proposals."""

    image: Rgb
    boxes: Boxes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.shape[1], self.image.shape[0]


@torch.inference_mode()
def measure(data: Path, device: torch.device, short: bool, figures: dict[str, Any]) -> None:
    """Fill ``figures`` with milliseconds of a photograph, ratios, and the agreement of GPU and CPU.

    Args:
        data: the folder of ``fruit/`` and ``squeezenet1_0.safetensors``.
        device: where the features are computed.
        short: few photographs, small maps and few crops, to test the script.
    """
    photos = read_photos(data, 2 if short else 60, 60 if short else 2000)
    figures["photographs"] = len(photos)
    found = statistics.median(len(photo.boxes) for photo in photos)
    figures["proposals of a photograph, median"] = found
    trunk = load_trunk("squeezenet1_0", data / "squeezenet1_0.safetensors", device)
    for name, scales in (SHORT_SCALES if short else SCALES).items():
        extractor = SppRegionFeatures(trunk, SppSettings(scales))
        # cuDNN plans each convolution for each new size: fewer photographs at five scales.
        some = photos[:: 1 if len(scales) == 1 else 3]
        _note(figures, f"SqueezeNet, {name}", partial(features, extractor, some, short))
    _note(figures, "R-CNN, SqueezeNet", lambda: rcnn(trunk, photos, short))
    _note(figures, "R-CNN / SPP-net", lambda: ratios(figures))
    _note(figures, "detections on the device and on the CPU", lambda: agreement(photos, device))
    _note(figures, "find_later, the detector that ships", lambda: finding(photos, device, short))


def _note(figures: dict[str, Any], name: str, work: Callable[[], Any]) -> None:
    """Do one part; its error is noted in place of its figures."""
    try:
        figures[name] = work()
    except Exception as error:
        figures[name] = f"failed: {type(error).__name__}: {error}"[:300]


def read_photos(data: Path, count: int, most: int) -> list[Photo]:
    """The first photographs of Fruit's test images with at most ``most`` proposals each."""
    paths = sorted((data / "fruit" / "test").glob("*.jpg"))[:count]

    def read(path: Path) -> Photo:
        image = as_image(str(path))
        return Photo(image, propose(image, max_boxes=most))

    with ThreadPoolExecutor() as pool:
        return [photo for photo in pool.map(read, paths) if len(photo.boxes)]


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Seconds until the device has done the work."""
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 4)


def features(extractor: SppRegionFeatures, photos: list[Photo], short: bool) -> dict[str, Any]:
    """The features of photographs in a stream and one at a time, and their stages."""
    device = extractor.trunk.device
    work = DeviceFeatures(extractor)
    resized = [resize_all(extractor, photo.image) for photo in photos]
    packed = [
        work.pack(images, photo.size, photo.boxes)
        for images, photo in zip(resized, photos, strict=True)
    ]
    work.settle(*packed[0])

    def call(layout: Layout, buffer: Tensor, stage: str = "pooling") -> Tensor:
        functions = {
            "convolution": lambda b: work.maps(layout, b)[-1],
            "windows": lambda b: work.windows(layout, b, work.maps(layout, b)),
            "pooling": lambda b: work.pooled(layout, b)[0],
        }
        return work.graphs.call((stage, layout), functions[stage], buffer)

    def all_of_them() -> None:
        for layout, buffer in packed:
            call(layout, buffer)

    def with_packing() -> None:
        for images, photo in zip(resized, photos, strict=True):
            call(*work.pack(images, photo.size, photo.boxes))

    call(*packed[0])  # kernels are compiled
    repeats = 1 if short else 3
    found: dict[str, Any] = {"precision": str(work.network.kind).removeprefix("torch.")}
    passes = [seconds_of(all_of_them, device) / len(packed) for _ in range(3 if short else 6)]
    found["stream, ms"] = _ms(statistics.median(passes[2:]))
    found["stream, first pass with new sizes (eager), ms"] = _ms(passes[0])
    found["stream, second pass with captures, ms"] = _ms(passes[1])
    found["stream with packing in the same thread, ms"] = _ms(
        statistics.median(seconds_of(with_packing, device) / len(packed) for _ in range(repeats))
    )
    alone = [[seconds_of(partial(call, *one), device) for one in packed] for _ in range(repeats)]
    found["latency, median, ms"] = _ms(statistics.median(np.median(alone, axis=0).tolist()))
    layout, buffer = packed[len(packed) // 2]
    found["stages of one photograph, ms"] = stages = {}
    before = 0.0
    for stage in ("convolution", "windows", "pooling"):
        for _ in range(3):
            call(layout, buffer, stage)
        times = [
            seconds_of(partial(call, layout, buffer, stage), device)
            for _ in range(3 if short else 15)
        ]
        total = statistics.median(times)
        stages["upload and convolution" if stage == "convolution" else stage] = _ms(total - before)
        before = total
    found["sizes"] = len({tuple(one.shape for one in images) for images in resized})
    found["sizes, rounded"] = len({layout.sides for layout, _ in packed})
    found["graphs"] = len(work.graphs)
    return found


def rcnn(trunk: Trunk, photos: list[Photo], short: bool) -> dict[str, Any]:
    """R-CNN's features of three photographs, as they are computed today."""
    extractor = RcnnRegionFeatures(trunk)
    middle = sorted(photos, key=lambda photo: len(photo.boxes))
    first = max(len(middle) // 2 - 1, 0)
    chosen = middle[first : first + (1 if short else 3)]
    most = 4 if short else None
    clock = Clock(trunk.device)
    extractor.prepare(chosen[0].image, chosen[0].boxes[: most or 600], clock)
    times = [
        seconds_of(partial(extractor.prepare, photo.image, photo.boxes[:most]), trunk.device)
        for photo in chosen
    ]
    crops = sum(len(photo.boxes[:most]) for photo in chosen)
    return {
        "ms": _ms(statistics.mean(times)),
        "ms of a crop": _ms(sum(times) / crops),
        "crops of a photograph": round(crops / len(chosen), 1),
    }


def ratios(figures: dict[str, Any]) -> dict[str, float]:
    """How many times faster SPP-net's features are than R-CNN's."""
    slow = figures["R-CNN, SqueezeNet"]["ms"]
    found = {}
    for name in SCALES:
        one = figures[f"SqueezeNet, {name}"]
        found[f"{name}, stream"] = round(slow / one["stream, ms"], 2)
        found[f"{name}, latency"] = round(slow / one["latency, median, ms"], 2)
    return found


def shipped(device: torch.device) -> Detector:
    """The detector that comes with the package."""
    path = resources.files("sppdet") / "weights" / "detector.safetensors"
    return Detector.load(str(path), device)


def find_all(detector: Detector, photos: list[Photo], threshold: float | None) -> list[Scored]:
    """The detections of photographs, with several of them pending."""
    found, pending = [], []
    for photo in photos:
        resized = resize_all(detector.extractor, photo.image)
        pending.append(find_later(detector, resized, photo.size, photo.boxes, threshold))
        if len(pending) >= IN_FLIGHT:
            found.append(pending.pop(0).result())
    return found + [one.result() for one in pending]


def agreement(photos: list[Photo], device: torch.device) -> dict[str, Any]:
    """The detections of ten photographs from probability 0.3 on, on the device and on the CPU."""
    chosen = photos[:10]
    here, there = shipped(torch.device("cpu")), shipped(device)
    # Three times: eagerly, captured and replayed.
    for _ in range(3):
        found = find_all(there, chosen, 0.3)
    equal, boxes, scores, total, worst = 0, 0.0, 0.0, 0, 0
    for photo, one in zip(chosen, found, strict=True):
        wanted = here.detect(photo.image, 0.3, photo.boxes)
        likely = there.scorer.probabilities(one.scores, one.labels)
        total += len(wanted)
        worst = max(worst, abs(len(wanted) - len(likely)))
        if len(wanted) == len(likely):
            equal += int(np.array_equal(wanted.labels, one.labels))
            boxes = max(boxes, float(np.abs(wanted.boxes - one.boxes).max(initial=0)))
            scores = max(scores, float(np.abs(wanted.scores - likely).max(initial=0)))
    return {
        "photographs": len(chosen),
        "detections on the CPU": total,
        "photographs with equally many of the same classes": equal,
        "largest difference in number": worst,
        "largest difference of boxes, px": round(boxes, 4),
        "largest difference of scores": round(scores, 6),
    }


def finding(photos: list[Photo], device: torch.device, short: bool) -> dict[str, Any]:
    """Milliseconds of a photograph from the resized images to the detections."""
    detector = shipped(device)
    resized = [resize_all(detector.extractor, photo.image) for photo in photos]

    def all_of_them() -> None:
        pending = []
        for images, photo in zip(resized, photos, strict=True):
            pending.append(find_later(detector, images, photo.size, photo.boxes, 0.3))
            if len(pending) >= IN_FLIGHT:
                pending.pop(0).result()
        for one in pending:
            one.result()

    passes = [seconds_of(all_of_them, device) / len(photos) for _ in range(3 if short else 6)]
    photo, images = photos[0], resized[0]

    def alone() -> None:
        find_later(detector, images, photo.size, photo.boxes, 0.3).result()

    return {
        "stream, ms": _ms(statistics.median(passes[2:])),
        "stream, first pass, ms": _ms(passes[0]),
        "latency of one, ms": _ms(
            statistics.median(seconds_of(alone, device) for _ in range(3 if short else 15))
        ),
    }
