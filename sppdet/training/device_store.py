"""Training images on a GPU, made ready once: what mining and the folds need stays in its memory.

This takes the place of the disk store of :mod:`sppdet.training.region_store`, so that the later
passes read, search and convolve nothing. A training on a GPU that is killed therefore begins again;
only the proposals are on the disk.
"""

import threading
import warnings
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar, runtime_checkable

import torch

from sppdet.errors import SppdetWarning
from sppdet.features.regions import RegionExtractor, Regions

Image = TypeVar("Image")

ROOM = 6 << 30
"""Bytes of a GPU's memory that are left to the work itself: examples, their products, the network
and the features of the images in progress."""

MAIN_MEMORY = 1 << 30
"""Bytes of main memory for the boxes and roles of the images that are kept."""


@runtime_checkable
class KeptRegions(Regions, Protocol):
    """Regions that can be kept on their device in half precision.

    Attributes:
        nbytes: bytes that they take on the device.
    """

    @property
    def nbytes(self) -> int: ...

    def to_type(self, kind: torch.dtype) -> Regions:
        """The same regions with what is on the device in another precision."""
        ...


class DeviceStore(Generic[Image]):
    """Prepared images of a training, on the device, while there is room.

    Args:
        limit: bytes on the device; what does not fit is prepared again when needed.
    """

    def __init__(self, limit: int) -> None:
        self._room, self._main_room = limit, MAIN_MEMORY
        self._kept: dict[Hashable, Image] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Image | None:
        """What was put under this key; None when it was not kept."""
        return self._kept.get(key)

    def put(self, key: Hashable, image: Image, size: int, main: int) -> None:
        """Keep an image if it fits.

        Args:
            size, main: bytes that it takes on the device and in main memory.
        """
        with self._lock:
            if size <= self._room and main <= self._main_room:
                self._room -= size
                self._main_room -= main
                self._kept[key] = image

    def clear(self) -> None:
        """Give the memory back."""
        self._kept.clear()


def home_of(extractor: RegionExtractor) -> torch.device | None:
    """Where the images and the examples of a training lie: a GPU with room; None: the CPU.

    Warns:
        SppdetWarning: the features are computed on a GPU that has too little memory for them.
    """
    device = extractor.trunk.device
    if device.type != "cuda":
        return None
    if room_on(device) > 0:
        return device
    warnings.warn(
        f"the GPU has less than {ROOM >> 30} GB of free memory: examples and prepared images stay "
        "in main memory and on the disk, which takes longer",
        SppdetWarning,
        stacklevel=2,
    )
    return None


def room_on(device: torch.device) -> int:
    """Bytes of a GPU's memory that prepared images may take."""
    free: int = torch.cuda.mem_get_info(device)[0]
    return max(free - ROOM, 0)
