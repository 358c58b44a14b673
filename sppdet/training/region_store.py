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
from sppdet.runtime.files import atomic_path


class RegionStore:
    """Prepared regions on disk, by content: the second pass, or a second start, computes nothing.

    Args:
        folder: where the files go.
        extractor: what prepares; its weights and settings are part of every name.
        limit: bytes that the files may take; what does not fit is computed again when needed.
    """

    def __init__(self, folder: Path, extractor: RegionExtractor, limit: int) -> None:
        self._folder = folder
        self._extractor = extractor
        self._room = limit
        self._used: set[Path] = set()
        method = json.dumps([extractor.to_json(), extractor.trunk.digest], sort_keys=True)
        self._method = method.encode()

    def get(self, image: Callable[[], Rgb], image_key: bytes, boxes: Boxes) -> Regions:
        """The regions of ``boxes`` (N, 4) in the image that ``image()`` reads.

        ``image_key`` names the image's content.
        """
        name = hashlib.sha256(self._method + image_key + boxes.tobytes()).hexdigest()[:32]
        path = self._folder / f"{name}.safetensors"
        arrays = self._read(path)
        if arrays is not None:
            self._used.add(path)
            return self._extractor.restore(arrays)
        regions = self._extractor.prepare(image(), boxes)
        arrays = regions.to_arrays()
        size = sum(array.nbytes for array in arrays.values())
        if size <= self._room:
            self._room -= size
            with atomic_path(path) as temporary:
                temporary.write_bytes(safetensors.numpy.save(arrays))
            self._used.add(path)
        # The rounded copy, so that what is kept and what is computed again are the same.
        return self._extractor.restore(arrays)

    def clear(self) -> None:
        """Remove the files that this run used: the training is over."""
        for path in self._used:
            path.unlink(missing_ok=True)

    def _read(self, path: Path) -> dict[str, NDArray[Any]] | None:
        try:
            return safetensors.numpy.load(path.read_bytes())
        except (OSError, safetensors.SafetensorError):
            return None


def image_key(path: str | os.PathLike[str]) -> bytes:
    """A name of an image file's content."""
    return hashlib.sha256(Path(path).read_bytes()).digest()
