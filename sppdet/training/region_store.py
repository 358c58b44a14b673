"""Training images, made ready once: their maps and windows, kept on disk while training runs."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from sppdet.boxes import Boxes
from sppdet.features.regions import RegionExtractor, Regions
from sppdet.images import Rgb
from sppdet.runtime.cache import SUFFIXES, DiskCache
from sppdet.runtime.code import code_digest

DAYS = 14.0
"""How long prepared images of a training that was killed are kept."""


class RegionStore:
    """Prepared regions on disk, by content: the second pass, or a second start, computes nothing.

    Args:
        folder: where the files go; those that no training used for two weeks are removed.
        extractor: what prepares; its weights and settings are part of every name.
        limit: bytes that the files may take; what does not fit is computed again when needed.

    Attributes:
        disk: the files.
        resumed: regions that an earlier run had prepared.
        prepared: regions that this run has prepared.
        bytes: of the files that this run uses, about.
        used: the files that this run uses.
    """

    def __init__(self, folder: Path, extractor: RegionExtractor, limit: int) -> None:
        self.disk = DiskCache(folder, SUFFIXES["regions"], limit)
        self.disk.remove_older(DAYS)
        self.resumed = self.prepared = self.bytes = 0
        self._extractor = extractor
        self._room = limit
        self.used: set[Path] = set()
        trunk = extractor.trunk
        seen = [trunk.digest] if trunk.precision == "float32" else [trunk.digest, trunk.precision]
        method = json.dumps([extractor.to_json(), *seen], sort_keys=True)
        self._method = method.encode() + code_digest(type(extractor).__module__)

    def get(self, image: Callable[[], Rgb], image_key: bytes, boxes: Boxes) -> Regions:
        """The regions of ``boxes`` (N, 4) in the image that ``image()`` reads.

        ``image_key`` names the image's content.
        """
        name = hashlib.sha256(self._method + image_key + boxes.tobytes()).hexdigest()[:32]
        path = self.disk.folder / f"{name}{self.disk.suffix}"
        arrays = self._read(name)
        if arrays is not None:
            if path not in self.used:
                self.resumed += 1
                self.bytes += sum(array.nbytes for array in arrays.values())
                self.used.add(path)
            return self._extractor.restore(arrays)
        self.prepared += 1
        regions = self._extractor.prepare(image(), boxes)
        arrays = regions.to_arrays()
        size = sum(array.nbytes for array in arrays.values())
        if size <= self._room:
            self._room -= size
            if self.disk.write(name, safetensors.numpy.save(arrays), self.used) is not None:
                self.used.add(path)
                self.bytes += size
        # The rounded copy, so that what is kept and what is computed again are the same.
        return self._extractor.restore(arrays)

    def clear(self) -> None:
        """Remove the files that this run used: the training is over."""
        for path in self.used:
            path.unlink(missing_ok=True)

    def summary(self) -> list[str]:
        """A line where prepared regions could not be kept."""
        if not self.disk.problem:
            return []
        return [f"note: prepared images are not kept: {self.disk.problem}, or set SPPDET_CACHE"]

    def _read(self, name: str) -> dict[str, NDArray[Any]] | None:
        content = self.disk.read(name)
        try:
            return None if content is None else safetensors.numpy.load(bytes(content))
        except safetensors.SafetensorError:
            return None


def image_key(path: str | os.PathLike[str]) -> bytes:
    """A name of an image file's content."""
    return hashlib.sha256(Path(path).read_bytes()).digest()
