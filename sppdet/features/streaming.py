"""Functions of region features, without ever holding the features of all regions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.features.regions import Regions
from sppdet.runtime.timing import Clock

BLOCK = 256
"""Regions whose features are held at one time on a CPU."""

DEVICE_BYTES = 256 << 20
"""Bytes of the features that are held at one time on a GPU: in general those of a whole image."""


@dataclass(frozen=True)
class Linear:
    """``features @ weight.T + bias`` with (J, D) and (J,) float32, on one device."""

    weight: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        return torch.addmm(self.bias, features, self.weight.T)


@runtime_checkable
class ScoresRegions(Protocol):
    """Regions that may know a linear function of their features without holding these."""

    def linear(self, keys: NDArray[np.int64], weight: Tensor, clock: Clock) -> Tensor | None:
        """``features(keys) @ weight.T``, or None where the features must be held.

        What it costs goes to the clock's ``pooling``.
        """
        ...


def stream(
    regions: Regions,
    keys: NDArray[np.int64],
    function: Callable[[Tensor], Tensor],
    columns: int,
    clock: Clock | None = None,
) -> NDArray[np.float32]:
    """``function(features(keys))``, block by block.

    Args:
        regions: the prepared boxes of an image.
        keys: (M,) int64, which of them.
        function: (B, dimension) float32 to (B, columns), row by row; a :class:`Linear` one may
            take less time.
        columns: length of a row of the result.
        clock: gets the stages of the features and ``scoring``.

    Returns:
        (M, columns) float32.
    """
    clock = clock or Clock()
    if isinstance(function, Linear) and isinstance(regions, ScoresRegions) and len(keys):
        product = regions.linear(keys, function.weight, clock)
        if product is not None:
            with clock.stage("scoring"):
                return (product + function.bias).cpu().numpy()
    blocks = []
    size = _block(function)
    for start in range(0, len(keys), size):
        features = regions.features(keys[start : start + size], clock)
        with clock.stage("scoring"):
            blocks.append(function(features))
    if not blocks:
        return np.zeros((0, columns), np.float32)
    return torch.cat(blocks).cpu().numpy()


def half_features(regions: Regions, keys: NDArray[np.int64]) -> Tensor:
    """``features(keys)`` in half precision on the CPU, block by block: (M, dimension) float16."""
    blocks = [
        regions.features(keys[start : start + BLOCK]).half().cpu()
        for start in range(0, max(len(keys), 1), BLOCK)
    ]
    return torch.cat(blocks)


def features_together(regions: Regions, choices: Sequence[NDArray[np.int64]]) -> list[Tensor]:
    """The features of several choices of regions, computed in one go where they are computed.

    On a GPU one call for all takes hardly longer than one for a few.

    Args:
        regions: the prepared boxes of an image.
        choices: keys (M,) each; a key may be in several.

    Returns:
        For each choice (M, dimension) float16, on the device of the regions.
    """
    together = np.concatenate([np.zeros(0, np.int64), *choices])
    distinct, back = np.unique(together, return_inverse=True)
    features = regions.features(distinct).half()
    chosen = features[to_device(back.reshape(-1), features.device)]
    return list(torch.split(chosen, [len(keys) for keys in choices]))


def to_device(array: NDArray[Any], device: torch.device | None) -> Tensor:
    """The array as a tensor on a device (None: the CPU), without waiting for the device.

    CUDA has copied what lies in ordinary memory when the call returns, so that the array may go.
    """
    tensor = torch.from_numpy(array)
    return tensor if device is None else tensor.to(device, non_blocking=True)


def _block(function: Callable[[Tensor], Tensor]) -> int:
    """Regions whose features are held at one time for a function."""
    if not isinstance(function, Linear) or function.weight.device.type == "cpu":
        return BLOCK
    return max(DEVICE_BYTES // (4 * max(function.weight.shape[1], 1)), BLOCK)
