"""Regions whose bins are samples between the cells, as RoIAlign takes them; for ablations.py.

SPP-net maps a box to whole cells. RoIAlign (He et al., *Mask R-CNN*, 2017, section 3) leaves it
where it is and interpolates: here each bin is the maximum of four samples in the middles of its
quarters, so that the mapping is all that differs.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import max_pool2d
from torchvision.ops import roi_align

from sppdet.boxes import Boxes
from sppdet.features.pyramid import bin_count
from sppdet.features.spp import SppRegionFeatures, SppRegions
from sppdet.features.windows import choose_scale, image_scales

AT_ONCE = 128
"""Boxes that are sampled together: their samples take 100 MB with 1,000 channels."""


class SampledRegionFeatures(SppRegionFeatures):
    """SPP-net with samples between the cells in place of whole cells."""

    def with_maps(self, maps: list[Tensor], width: int, height: int, boxes: Boxes) -> SppRegions:
        """See :class:`SppRegionFeatures`."""
        chosen = self.settings
        scales = image_scales(width, height, chosen.scales, chosen.longest_side)
        index = choose_scale(boxes, scales)
        factors = np.array([(one.x, one.y) for one in scales])[index]
        geometry = self.trunk.geometry
        # Cell c is a point at c; its centre in the image is first_center + c stride (pixel index).
        places = boxes.reshape(-1, 2, 2) * factors[:, None] - 0.5 - geometry.first_center
        places = places.reshape(-1, 4) / geometry.stride
        windows = np.concatenate([index[:, None], places], axis=1)
        return SampledRegions(maps, windows, np.arange(len(boxes)), self)

    def restore(self, arrays: dict[str, NDArray[Any]]) -> SppRegions:
        """See :class:`SppRegionFeatures`."""
        plain = super().restore(arrays)
        return SampledRegions(plain.maps, plain.windows, plain.keys, self)

    def to_json(self) -> dict[str, Any]:
        """See :class:`SppRegionFeatures`."""
        return {**super().to_json(), "mapping": "sampled"}


class SampledRegions(SppRegions):
    """Boxes in units of cells, (N, 5) float64: the number of the map, then x1, y1, x2, y2."""

    def linear(self, keys: NDArray[np.int64], weight: Tensor, clock: Any) -> Tensor | None:
        """Scores come from the features."""
        return None

    def _pool(self, keys: NDArray[np.int64]) -> Tensor:
        levels = self._settings.levels
        channels = self.maps[0].shape[2]
        pooled = torch.empty(len(keys), bin_count(levels), channels)
        chosen = self.windows[keys]
        for index, one in enumerate(self.maps):
            mine = np.flatnonzero(chosen[:, 0] == index)
            for start in range(0, len(mine), AT_ONCE):
                part = mine[start : start + AT_ONCE]
                boxes = torch.from_numpy(chosen[part, 1:]).float()
                pooled[torch.from_numpy(part)] = sampled(one, boxes, levels)
        return pooled


def sampled(cells: Tensor, boxes: Tensor, levels: tuple[int, ...]) -> Tensor:
    """Maxima of four interpolated samples per bin.

    Args:
        cells: (rows, columns, channels) float32.
        boxes: (N, 4) float32, in units of cells; cell c is the point c.
        levels: bins per side.

    Returns:
        (N, bins, channels) float32.
    """
    image = cells.permute(2, 0, 1)[None]
    parts = []
    for level in levels:
        # "aligned" takes half a cell off, and leaves boxes below one cell as they are.
        points = roi_align(image, [boxes + 0.5], 2 * level, 1.0, 1, aligned=True)
        parts.append(max_pool2d(points, 2).flatten(2).transpose(1, 2))
    return torch.cat(parts, dim=1)
