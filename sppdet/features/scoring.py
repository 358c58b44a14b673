"""Linear scores of regions, without ever holding the features of all of them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.features.regions import Regions
from sppdet.runtime.timing import Clock

BLOCK = 256
"""Regions whose features are held at one time."""


def linear_scores(
    regions: Regions,
    keys: NDArray[np.int64],
    weight: Tensor,
    bias: Tensor,
    clock: Clock | None = None,
) -> NDArray[np.float32]:
    """``features(keys) @ weight.T + bias``, block by block.

    Args:
        regions: the prepared boxes of an image.
        keys: (M,) int64, which of them.
        weight: (K, dimension) float32 on the features' device; contiguous rows are read twice as
            fast as columns when K is small.
        bias: (K,) float32 on the same device.
        clock: gets the stages of the features and ``scoring``.

    Returns:
        (M, K) float32.
    """
    clock = clock or Clock()
    scores = torch.empty(len(keys), weight.shape[0], device=weight.device)
    for start in range(0, len(keys), BLOCK):
        features = regions.features(keys[start : start + BLOCK], clock)
        with clock.stage("scoring"):
            torch.addmm(bias, features, weight.T, out=scores[start : start + BLOCK])
    return scores.cpu().numpy()


def half_features(regions: Regions, keys: NDArray[np.int64]) -> Tensor:
    """``features(keys)`` in half precision on the CPU, block by block: (M, dimension) float16."""
    blocks = [
        regions.features(keys[start : start + BLOCK]).half().cpu()
        for start in range(0, max(len(keys), 1), BLOCK)
    ]
    return torch.cat(blocks)
