"""SPP-net's region features: windows of one map (He et al., 2014, sections 2.2 and 4.1)."""

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.boxes import Boxes
from sppdet.features.pyramid import bin_count
from sppdet.features.regions import check_levels_of, check_pooling_of, described
from sppdet.features.streaming import to_device
from sppdet.features.window_averaging import average_windows, average_windows_torch
from sppdet.features.window_pooling import pool_windows
from sppdet.features.window_pooling_torch import pool_windows_torch
from sppdet.features.window_scoring import score_windows
from sppdet.features.windows import (
    choose_scale,
    distinct_windows,
    image_scales,
    map_windows,
    resize,
)
from sppdet.images import Rgb
from sppdet.runtime.timing import Clock
from sppdet.settings import SppSettings
from sppdet.trunks import Trunk


class SppRegionFeatures:
    """SPP-net: the map once per image and scale, then a pyramid over each box's window on it."""

    def __init__(self, trunk: Trunk, settings: SppSettings) -> None:
        check_levels_of(trunk, settings.levels)
        check_pooling_of(trunk, settings.pooling)
        self.trunk = trunk
        self.settings = settings
        self.dimension = trunk.feature_length(bin_count(settings.levels))

    @classmethod
    def of(cls, trunk: Trunk, longest_side: int = SppSettings.longest_side) -> "SppRegionFeatures":
        """With the scales, and the pyramid if need be, that suit the trunk."""
        levels = trunk.levels or SppSettings.levels
        return cls(trunk, SppSettings(trunk.spec.scales, longest_side, levels))

    def prepare(
        self,
        image: Rgb,
        boxes: Boxes,
        clock: Clock | None = None,
        maps: list[Tensor] | None = None,
    ) -> "SppRegions":
        """Compute the maps and the window of every box; see :class:`RegionExtractor`."""
        clock = clock or Clock()
        maps = maps if maps is not None else self.maps(image, clock)
        with clock.stage("windows"):
            return self.with_maps(maps, image.shape[1], image.shape[0], boxes)

    def maps(self, image: Rgb, clock: Clock) -> list[Tensor]:
        """One (rows, columns, channels) map per scale; adds to the clock's ``convolution``."""
        height, width = image.shape[:2]
        scales = image_scales(width, height, self.settings.scales, self.settings.longest_side)
        with clock.stage("convolution"):
            return [self.trunk.map(resize(image, scale)) for scale in scales]

    def with_maps(self, maps: list[Tensor], width: int, height: int, boxes: Boxes) -> "SppRegions":
        """Regions for boxes in an image of ``width`` x ``height`` pixels with these maps."""
        scales = image_scales(width, height, self.settings.scales, self.settings.longest_side)
        chosen = choose_scale(boxes, scales)
        windows = np.zeros((len(boxes), 5), np.int32)
        windows[:, 0] = chosen
        for index, (scale, one) in enumerate(zip(scales, maps, strict=True)):
            mine = chosen == index
            windows[mine, 1:] = map_windows(
                boxes[mine],
                scale,
                self.trunk.geometry,
                one.shape[0],
                one.shape[1],
                self.settings.mapping,
            )
        return SppRegions(maps, *distinct_windows(windows), self)

    def restore(self, arrays: dict[str, NDArray[Any]]) -> "SppRegions":
        """See :class:`RegionExtractor`."""
        maps = [
            torch.from_numpy(arrays[f"map{index}"]).to(self.trunk.device).float()
            for index in range(sum(name.startswith("map") for name in arrays))
        ]
        return SppRegions(maps, arrays["windows"], arrays["keys"], self)

    def __repr__(self) -> str:
        sides = ", ".join(map(str, self.settings.scales))
        return f"SPP-net at {sides} px on {self.trunk!r}"

    def to_json(self) -> dict[str, Any]:
        """See :class:`RegionExtractor`."""
        return described("spp", self.settings)


class SppRegions:
    """Windows on the maps of one image; see :class:`Regions`."""

    def __init__(
        self,
        maps: list[Tensor],
        windows: NDArray[np.int32],
        keys: NDArray[np.int64],
        extractor: SppRegionFeatures,
    ) -> None:
        self.maps = maps
        self.windows = windows
        self.keys = keys
        self.count = len(windows)
        self._settings = extractor.settings
        self._head = extractor.trunk.head

    def features(self, keys: NDArray[np.int64], clock: Clock | None = None) -> Tensor:
        """See :class:`Regions`."""
        clock = clock or Clock()
        with clock.stage("pooling"):
            pooled = self._pool(keys)
            if self._settings.normalize_levels:
                normalize_levels(pooled, self._settings.levels)
        if self._head is None:
            return pooled.flatten(1)
        with clock.stage("fully connected"):
            values: Tensor = self._head(pooled)
            return values

    def linear(self, keys: NDArray[np.int64], weight: Tensor, clock: Clock) -> Tensor | None:
        """See :class:`sppdet.features.streaming.ScoresRegions`: on a CPU, of pooled features."""
        on_cpu = self.maps[0].device.type == "cpu"
        chosen = self._settings
        if not on_cpu or self._head is not None or chosen.normalize_levels:
            return None
        if chosen.pooling != "max":
            return None
        result = np.empty((len(keys), len(weight)), np.float32)
        with clock.stage("pooling"):
            windows = self.windows[keys]
            for index, one in enumerate(self.maps):
                mine = np.flatnonzero(windows[:, 0] == index)
                result[mine] = score_windows(
                    one.numpy(),
                    windows[mine, 1:],
                    chosen.levels,
                    weight.numpy(),
                    torch.get_num_threads(),
                )
        return torch.from_numpy(result)

    def _pool(self, keys: NDArray[np.int64]) -> Tensor:
        """(len(keys), bins, channels)."""
        levels = self._settings.levels
        device, channels = self.maps[0].device, self.maps[0].shape[2]
        pooled = torch.empty(len(keys), bin_count(levels), channels, device=device)
        chosen = self.windows[keys]
        for index, one in enumerate(self.maps):
            mine = np.flatnonzero(chosen[:, 0] == index)
            if len(mine) == 0:
                continue
            windows = chosen[mine, 1:]
            if self._settings.pooling == "average":
                pooled[to_device(mine, device)] = self._averages(one, windows).float()
            elif device.type == "cpu":
                whole = len(mine) == len(keys)
                out = pooled.numpy() if whole else None
                threads = torch.get_num_threads()
                part = pool_windows(one.numpy(), windows, levels, out, threads)
                if not whole:
                    pooled[torch.from_numpy(mine)] = torch.from_numpy(part)
            elif len(mine) == len(keys):
                return pool_windows_torch(one, windows, levels)
            else:
                pooled[to_device(mine, device)] = pool_windows_torch(one, windows, levels)
        return pooled

    def _averages(self, one: Tensor, windows: NDArray[np.int32]) -> Tensor:
        if one.device.type == "cpu":
            means = average_windows(one.numpy(), windows, self._settings.levels)
            return torch.from_numpy(means)
        return average_windows_torch(one, windows, self._settings.levels)

    @property
    def nbytes(self) -> int:
        """Bytes of the maps."""
        return sum(one.nbytes for one in self.maps)

    def to_type(self, kind: torch.dtype) -> "SppRegions":
        """The same regions with maps in another precision, in which they can be kept."""
        other = copy.copy(self)
        other.maps = [one.to(kind) for one in self.maps]
        return other

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """See :class:`Regions`; the maps are rounded to half precision."""
        arrays: dict[str, NDArray[Any]] = {"windows": self.windows, "keys": self.keys}
        for index, one in enumerate(self.maps):
            arrays[f"map{index}"] = one.half().cpu().numpy()
        return arrays


def normalize_levels(pooled: Tensor, levels: tuple[int, ...]) -> None:
    """Scale, in place, each level's part of (N, bins, channels) to L2 norm 1; a zero part stays."""
    first = 0
    for level in levels:
        part = pooled[:, first : first + level * level]
        part /= part.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None]
        first += level * level
