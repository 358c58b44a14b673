"""Photographs as a detector sees them: proposals and feature maps, each computed once.

The server and the training are two processes with the same files on the disk: what one has
prepared the other reads. A prepared photograph does not depend on its labels.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import safetensors.numpy
import torch
from safetensors import SafetensorError
from torch import Tensor

from sppdet.boxes import Boxes
from sppdet.features.spp import SppRegionFeatures, SppRegions
from sppdet.images import read_image
from sppdet.proposals.cache import ProposalCache
from sppdet.runtime.cache import SUFFIXES, DiskCache, cache_dir
from sppdet.runtime.code import code_digest
from sppdet.runtime.timing import Clock
from sppdet.settings import DetectorSettings
from sppdet.trunks import load_trunk

LIMIT = 6 << 30
"""Bytes of the maps on the disk: about 3,000 photographs."""

KEPT = 48
"""Photographs whose proposals stay in memory."""

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """A few values by key, those that were used last; threads may share it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Value | None:
        """The value of a key, or None."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: Value) -> None:
        """Keep a value."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)


@dataclass(frozen=True)
class PreparedPhoto:
    """A photograph that gives features.

    Attributes:
        size: (width, height) in pixels.
        proposals: (N, 4), best first.
        maps: one per scale.
    """

    size: tuple[int, int]
    proposals: Boxes
    maps: list[Tensor]

    def regions(self, extractor: SppRegionFeatures, boxes: Boxes) -> SppRegions:
        """Regions of any boxes (N, 4) of the photograph."""
        return extractor.with_maps(self.maps, *self.size, boxes)


class PreparedPhotos:
    """Prepares photographs through the caches.

    Args:
        trunk: the name of the convolutional network.
        settings: of the search.

    Attributes:
        extractor: SPP-net on the trunk, at the trunk's own sizes.
        settings: of the detectors that learn from the photographs.
    """

    def __init__(self, trunk: str = "lite0", settings: DetectorSettings | None = None) -> None:
        self.settings = settings or DetectorSettings()
        self.extractor = SppRegionFeatures.of(load_trunk(trunk, None, torch.device("cpu")))
        self._searched = ProposalCache()
        self._disk = DiskCache(cache_dir() / "maps", SUFFIXES["maps"], LIMIT)
        self._proposals: Recent[Boxes] = Recent(KEPT)
        method = [self.extractor.to_json(), self.extractor.trunk.digest, repr(self.settings)]
        code = code_digest("sppdet.proposals") + code_digest("sppdet.features.spp")
        self._method = json.dumps(method, sort_keys=True).encode() + code

    def proposals(self, path: Path) -> Boxes:
        """The proposals of a photograph, (N, 4), best first.

        Raises:
            SppdetError: it cannot be read.
        """
        key = _file_key(path)
        known = self._proposals.get(key)
        if known is None:
            searched = self.settings
            known = self._searched.get(path, searched.proposals, searched.max_boxes)
            self._proposals.put(key, known)
        return known

    @torch.inference_mode()
    def get(self, path: Path) -> PreparedPhoto:
        """A photograph, from the disk where it is there.

        Raises:
            SppdetError, OSError: it cannot be read.
        """
        digest = hashlib.sha256(self._method + hashlib.sha256(path.read_bytes()).digest())
        name = digest.hexdigest()[:32]
        found = self._read(name)
        if found is not None:
            self._proposals.put(_file_key(path), found.proposals)
            return found
        image = read_image(path)
        known = self._proposals.get(_file_key(path))
        if known is None:
            known = self._searched.get(image, self.settings.proposals, self.settings.max_boxes)
            self._proposals.put(_file_key(path), known)
        maps = [one.half() for one in self.extractor.maps(image, Clock())]
        size = (image.shape[1], image.shape[0])
        arrays = {f"map{index}": one.numpy() for index, one in enumerate(maps)}
        arrays["proposals"] = np.ascontiguousarray(known, np.float32)
        arrays["size"] = np.array(size, np.int64)
        self._disk.write(name, safetensors.numpy.save(arrays))
        return PreparedPhoto(size, known, [one.float() for one in maps])

    def _read(self, name: str) -> PreparedPhoto | None:
        content = self._disk.read(name)
        if content is None:
            return None
        try:
            arrays = safetensors.numpy.load(bytes(content))
            count = len(self.extractor.settings.scales)
            maps = [torch.from_numpy(arrays[f"map{k}"]).float() for k in range(count)]
            width, height = arrays["size"].tolist()
            return PreparedPhoto((width, height), arrays["proposals"], maps)
        except (SafetensorError, KeyError, ValueError):
            return None


def _file_key(path: Path) -> Hashable:
    facts = path.stat()
    return str(path), facts.st_mtime_ns, facts.st_size
