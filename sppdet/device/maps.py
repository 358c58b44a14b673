"""Maps of single images by the network of a device, for training and for all that sees maps alone.

Detection takes :mod:`sppdet.device.path`, whose network is the same.
"""

import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from sppdet.device.features import DeviceFeatures, Event
from sppdet.device.layout import Layout
from sppdet.device.path import resize_all
from sppdet.features.regions import RegionExtractor
from sppdet.features.spp import SppRegionFeatures
from sppdet.images import Rgb

NO_BOX = np.array([[0, 0, 1, 1]], np.float32)
"""In place of the boxes of a packed image, which has at least one."""


def maps_of(extractor: RegionExtractor, image: Rgb) -> list[Tensor] | None:
    """What :meth:`RegionExtractor.prepare` takes as the maps of an image; None where it computes
    them: on a CPU, and where the features are not SPP-net's."""
    if extractor.trunk.device.type != "cuda" or not isinstance(extractor, SppRegionFeatures):
        return None
    return maps_on_device(extractor, resize_all(extractor, image))


def maps_on_device(extractor: SppRegionFeatures, images: Sequence[Rgb]) -> list[Tensor]:
    """The maps (rows, columns, channels) float32 of one image at the sizes of its scales, (H, W, 3)
    uint8 each, as :meth:`sppdet.trunks.Trunk.map` gives them to rounding.

    Threads may call it at the same time. It waits for the device, to see whether the maps are
    finite; where they are not, the network goes on in another precision, with a warning.

    Raises:
        SppdetError: a map holds values that are not finite in any precision.
    """
    with _lock:
        made = _made.get(extractor)
        if made is None:
            made = _made[extractor] = DeviceMaps(extractor)
    return made(images)


class DeviceMaps:
    """The maps of one extractor's network.

    On a GPU one thread gives the device its work, on canvases of few sizes: the libraries plan a
    convolution for every size in every thread that calls it, and the plans of sixteen threads take
    longer than the maps.
    """

    def __init__(self, extractor: SppRegionFeatures) -> None:
        self._device = extractor.trunk.device
        on_gpu = self._device.type == "cuda"
        self._thread = ThreadPoolExecutor(1, "sppdet-maps") if on_gpu else None
        with torch.inference_mode():
            self._features = DeviceFeatures(extractor)

    @torch.inference_mode()
    def __call__(self, images: Sequence[Rgb]) -> list[Tensor]:
        """See :func:`maps_on_device`."""
        height, width = images[0].shape[:2]
        layout, buffer = self._features.pack(images, (width, height), NO_BOX)
        while True:
            if self._thread is None:
                kind, maps, finite, _ = self._find(layout, buffer)
            else:
                kind, maps, finite, event = self._thread.submit(self._find, layout, buffer).result()
                assert event is not None
                event.synchronize()
                for one in maps:  # they are of another stream's memory
                    one.record_stream(torch.cuda.current_stream(self._device))
            if torch.isfinite(finite):
                return maps
            with self._features.lock:
                if self._thread is not None:
                    torch.cuda.synchronize(self._device)  # queued work reads the weights
                self._features.network.demote(kind)

    @torch.inference_mode()
    def _find(
        self, layout: Layout, buffer: Tensor
    ) -> tuple[torch.dtype, list[Tensor], Tensor, Event | None]:
        """The network's precision, copies of the maps, a number that is finite if they all are, and
        the event after which they are there."""
        features = self._features
        with features.lock:
            if not features.network.settled:
                features.settle(layout, buffer)
                if self._thread is not None:
                    torch.cuda.synchronize(self._device)  # the work is queued on another stream
            kind = features.network.kind
            found = features.graphs.call(
                (layout, kind), lambda packed: features.maps(layout, packed), buffer
            )
            stream = features.graphs.stream
            if stream is None:
                maps, finite = _copies(found, layout, buffer)
                return kind, maps, finite, None
            with torch.cuda.stream(stream):
                maps, finite = _copies(found, layout, buffer)
                event = Event(blocking=True)
                event.record()
            return kind, maps, finite, event


def _copies(maps: list[Tensor], layout: Layout, buffer: Tensor) -> tuple[list[Tensor], Tensor]:
    """The images' own cells of maps on canvases, float32, and their sum."""
    cells = layout.views(buffer).cells.int().tolist()
    sides = [(last_row + 1, last_column + 1) for last_column, last_row, _ in cells]
    if not sides:
        sides = [(one.shape[0], one.shape[1]) for one in maps]
    copies = [
        one[:rows, :columns].to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        for one, (rows, columns) in zip(maps, sides, strict=True)
    ]
    return copies, torch.stack([one.sum() for one in copies]).sum()


_made: "weakref.WeakKeyDictionary[RegionExtractor, DeviceMaps]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()
