"""The compared detectors, which differ only in their region features."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sppdet.detector import Detector
from sppdet.features.rcnn import RcnnRegionFeatures
from sppdet.features.regions import RegionExtractor
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.linear import LinearScorer
from sppdet.settings import DetectorSettings, RcnnSettings, SppSettings
from sppdet.trunks import Trunk

CLASSES = 20
"""Classes of the untrained heads; VOC has as many."""

CPU_BATCHES = (1, 2, 4, 8, 32)
GPU_BATCHES = (32, 64, 128, 256, 512)


@dataclass(frozen=True)
class Contender:
    """A method with its settings.

    Attributes:
        method: ``"rcnn"`` or ``"spp"``.
        scales: SPP-net's short sides, or the side of R-CNN's crop, in pixels.
        extractor: makes the features.
    """

    method: str
    scales: tuple[int, ...]
    extractor: RegionExtractor

    @property
    def title(self) -> str:
        """The name in tables and pictures."""
        if self.method == "rcnn":
            return "R-CNN"
        count = len(self.scales)
        return f"SPP-net, {count} scale{'s' if count > 1 else ''}"

    def detector(self, boxes: int) -> Detector:
        """A detector with untrained heads and without regression."""
        random = torch.Generator().manual_seed(0)
        dimension = self.extractor.dimension
        weight = torch.randn(CLASSES, dimension, generator=random) / dimension
        scorer = LinearScorer(weight, torch.zeros(CLASSES), np.zeros((CLASSES, 2), np.float32))
        names = tuple(f"class {number}" for number in range(CLASSES))
        return Detector(self.extractor, scorer, names, DetectorSettings(max_boxes=boxes))


def contenders(
    trunk: Trunk,
    scales: list[tuple[int, ...]],
    batch: int | None = None,
    features: dict[str, Any] | None = None,
) -> list[Contender]:
    """R-CNN, and SPP-net with each list of scales.

    Args:
        batch: R-CNN's crops at a time; by default what suits the device.
        features: settings that both methods have: ``levels``, ``layer``, ``normalize_levels``.
    """
    cropping = RcnnSettings(trunk.spec.crop, trunk.spec.context, **(features or {}))
    rcnn = RcnnRegionFeatures(trunk, cropping, batch)
    spp = [SppRegionFeatures(trunk, SppSettings(one, **(features or {}))) for one in scales]
    return [
        Contender("rcnn", (cropping.size,), rcnn),
        *(Contender("spp", one.settings.scales, one) for one in spp),
    ]


def time_batches(trunk: Trunk, size: int, crops: int = 32) -> dict[str, dict[int, float]]:
    """How R-CNN runs best: milliseconds per crop by layout and batch, medians of three passes.

    Args:
        trunk: the network, in the channels-last layout that sppdet uses.
        size: side of a crop, in pixels.
        crops: about how many crops a pass takes.

    Returns:
        For ``channels_last`` and ``contiguous``: batch to milliseconds.
    """
    on_cpu = trunk.device.type == "cpu"
    layouts = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
    found: dict[str, dict[int, float]] = {}
    try:
        for name, layout in layouts.items():
            trunk.network.to(memory_format=layout)
            found[name] = {}
            for batch in CPU_BATCHES if on_cpu else GPU_BATCHES:
                shape = (batch, 3, size, size)
                one = torch.randn(shape, device=trunk.device).contiguous(memory_format=layout)
                passes = max(crops // batch, 1)
                trunk.maps(one)
                seconds = []
                for _ in range(3):
                    start = time.perf_counter()
                    for _ in range(passes):
                        trunk.maps(one)  # its check for finite values waits for a GPU
                    seconds.append((time.perf_counter() - start) / (passes * batch))
                found[name][batch] = 1000 * float(np.median(seconds))
    finally:
        trunk.network.to(memory_format=torch.channels_last)
    return found
