"""R-CNN's region features: one pass of the network per box (Girshick et al., 2014, section 2.1)."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.boxes import Boxes
from sppdet.features.pyramid import SpatialPyramidPool, bin_count
from sppdet.features.regions import check_levels_of, check_pooling_of, described
from sppdet.features.spp import normalize_levels
from sppdet.features.warp import crop_windows, warp
from sppdet.images import Rgb
from sppdet.runtime.timing import Clock
from sppdet.settings import RcnnSettings
from sppdet.trunks import Trunk

CPU_BATCH = 8
"""Crops at a time on a CPU: near the best on one thread and on two. The benchmark looks for the
best on the machine at hand (BENCHMARKS.md)."""

GPU_BATCH = 256
"""Crops at a time on a GPU."""


class RcnnRegionFeatures:
    """R-CNN: every box becomes a crop, every crop goes through the network.

    Args:
        trunk: the convolutional network.
        settings: how to crop; by default as the trunk's spec says.
        batch: crops at a time; by default what suits the device.
    """

    def __init__(
        self, trunk: Trunk, settings: RcnnSettings | None = None, batch: int | None = None
    ) -> None:
        self.trunk = trunk
        self.settings = settings or RcnnSettings(trunk.spec.crop, trunk.spec.context)
        check_levels_of(trunk, self.settings.levels)
        check_pooling_of(trunk, self.settings.pooling)
        self.batch = batch or (CPU_BATCH if trunk.device.type == "cpu" else GPU_BATCH)
        self.dimension = trunk.feature_length(bin_count(self.settings.levels))
        self._pyramid = SpatialPyramidPool(self.settings.levels, self.settings.pooling)

    def maps(self, image: Rgb, clock: Clock) -> list[Tensor]:
        """None: R-CNN has nothing to compute before it knows the boxes."""
        return []

    @torch.inference_mode()
    def prepare(
        self,
        image: Rgb,
        boxes: Boxes,
        clock: Clock | None = None,
        maps: list[Tensor] | None = None,
    ) -> "RcnnRegions":
        """Features of all distinct boxes; see :class:`sppdet.features.regions.RegionExtractor`.

        Adds to the clock's ``crops``, ``convolution``, ``pooling`` and ``fully connected``.
        """
        clock = clock or Clock()
        chosen, trunk = self.settings, self.trunk
        distinct, keys = np.unique(boxes, axis=0, return_inverse=True)
        features = torch.empty(
            len(distinct), self.dimension, dtype=torch.float16, device=trunk.device
        )
        with clock.stage("crops"):
            pixels = trunk.normalized(image).contiguous()
            windows = crop_windows(distinct, chosen.size, chosen.context, chosen.mode)
        for start in range(0, len(distinct), self.batch):
            end = min(start + self.batch, len(distinct))
            with clock.stage("crops"):
                crops = warp(pixels, windows[start:end], chosen.size)
            with clock.stage("convolution"):
                cells = trunk.maps(crops)
            with clock.stage("pooling"):
                pooled = self._pyramid(cells).view(-1, self._pyramid.bins, trunk.channels)
                if chosen.normalize_levels:
                    normalize_levels(pooled, chosen.levels)
                if trunk.head is None:
                    features[start:end] = pooled.flatten(1)
            if trunk.head is not None:
                with clock.stage("fully connected"):
                    features[start:end] = trunk.head(pooled)
        return RcnnRegions(features, keys.reshape(-1).astype(np.int64))

    def restore(self, arrays: dict[str, NDArray[Any]]) -> "RcnnRegions":
        """See :class:`sppdet.features.regions.RegionExtractor`."""
        return RcnnRegions(
            torch.from_numpy(arrays["features"]).to(self.trunk.device), arrays["keys"]
        )

    def __repr__(self) -> str:
        chosen = self.settings
        return f"R-CNN on {chosen.mode} crops of {chosen.size} px, {self.trunk!r}"

    def to_json(self) -> dict[str, Any]:
        """See :class:`sppdet.features.regions.RegionExtractor`."""
        return described("rcnn", self.settings)


class RcnnRegions:
    """All distinct boxes' features of one image; see :class:`sppdet.features.regions.Regions`.

    They are held in half precision: 100 MB for 2,000 boxes of 25,600 values.
    """

    def __init__(self, features: Tensor, keys: NDArray[np.int64]) -> None:
        self.keys = keys
        self.count = len(features)
        self._features = features

    def features(self, keys: NDArray[np.int64], clock: Clock | None = None) -> Tensor:
        """See :class:`sppdet.features.regions.Regions`; they were made in :meth:`prepare`."""
        return self._features[torch.from_numpy(keys).to(self._features.device)].float()

    @property
    def nbytes(self) -> int:
        """Bytes of the features."""
        return self._features.nbytes

    def to_type(self, kind: torch.dtype) -> "RcnnRegions":
        """The same regions; they are in half precision at all times."""
        return self

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """See :class:`sppdet.features.regions.Regions`."""
        return {"features": self._features.cpu().numpy(), "keys": self.keys}
