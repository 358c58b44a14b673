"""Maps of single images by the network of a device, for training and for all that sees maps alone.

Detection takes :mod:`sppdet.device.path`, whose network is the same.
"""

import threading
import weakref
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sppdet.device.network import DeviceNetwork
from sppdet.device.path import resize_all
from sppdet.features.regions import RegionExtractor
from sppdet.features.spp import SppRegionFeatures
from sppdet.images import Rgb

_networks: "weakref.WeakKeyDictionary[RegionExtractor, DeviceNetwork]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def maps_of(extractor: RegionExtractor, image: Rgb) -> list[Tensor] | None:
    """What :meth:`RegionExtractor.prepare` takes as the maps of an image; None where it computes
    them: on a CPU, and where the features are not SPP-net's."""
    if extractor.trunk.device.type != "cuda" or not isinstance(extractor, SppRegionFeatures):
        return None
    return maps_on_device(extractor, resize_all(extractor, image))


@torch.inference_mode()
def maps_on_device(extractor: RegionExtractor, images: Sequence[Rgb]) -> list[Tensor]:
    """The maps (rows, columns, channels) float32 of images (H, W, 3) uint8, as
    :meth:`sppdet.trunks.Trunk.map` gives them to rounding.

    Threads may call it at the same time. It waits for the device, to see whether the maps are
    finite; where they are not, the network goes on in another precision, with a warning.

    Raises:
        SppdetError: a map holds values that are not finite in any precision.
    """
    with _lock:
        if extractor not in _networks:
            _networks[extractor] = DeviceNetwork(extractor.trunk)
        network = _networks[extractor]
    return [_map(network, image) for image in images]


def _map(network: DeviceNetwork, image: Rgb) -> Tensor:
    pixels = torch.from_numpy(np.ascontiguousarray(image)).to(network.trunk.device)
    if not network.settled:
        with _lock:
            network.settle(pixels)
    while True:
        kind = network.kind
        found = network.map(pixels).float()
        if torch.isfinite(found.sum()):
            return found
        with _lock:
            network.demote(kind)
