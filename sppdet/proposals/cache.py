"""Proposals on disk, by content: each image is searched once."""

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sppdet.images import ImageLike, as_image
from sppdet.proposals import Settings, check_max_boxes, propose, settings_of
from sppdet.runtime.files import atomic_path, cache_dir

# Raised whenever a search returns other boxes than before for the same settings.
ALGORITHM_VERSION = 4
_DIGEST_BYTES = 16

ImagePath = str | os.PathLike[str]


class ProposalCache:
    """Proposals of images, searched when they are first asked for and read from disk afterwards.

    An entry is found by the image's pixels, the settings and the version of the algorithm: a file
    may be moved or edited. Entries are written to a temporary name and renamed: an interruption
    or several processes at once do not damage them. A damaged entry is searched again.

    Args:
        folder: where the entries go; by default ``proposals`` in the cache folder of sppdet.
    """

    def __init__(self, folder: ImagePath | None = None) -> None:
        self.folder = Path(folder) if folder is not None else cache_dir() / "proposals"

    def get(
        self,
        image: ImageLike,
        method: str | Settings = "fast",
        max_boxes: int = 2000,
    ) -> NDArray[np.float32]:
        """What :func:`sppdet.proposals.propose` returns, from disk where it is there.

        Args:
            image, method, max_boxes: as in ``propose``.

        Raises:
            SppdetError: the image cannot be read, or the entry cannot be written.
        """
        pixels, max_boxes = as_image(image), check_max_boxes(max_boxes)
        settings = settings_of(method)
        path = self._entry(pixels, settings, max_boxes)
        boxes = _read_entry(path)
        if boxes is None:
            boxes = propose(pixels, settings, max_boxes)
            _write_entry(path, boxes)
        return boxes

    def _entry(self, pixels: NDArray[np.uint8], settings: Settings, max_boxes: int) -> Path:
        content = hashlib.sha256(repr((pixels.shape, settings, max_boxes)).encode())
        content.update(f"version {ALGORITHM_VERSION}".encode())
        content.update(np.ascontiguousarray(pixels).data)
        name = content.hexdigest()[:32]
        return self.folder / name[:2] / f"{name}.boxes"


def _write_entry(path: Path, boxes: NDArray[np.float32]) -> None:
    """A digest of the boxes, then the boxes: little-endian float32, row by row."""
    payload = np.ascontiguousarray(boxes, "<f4").tobytes()
    with atomic_path(path) as temporary:
        temporary.write_bytes(hashlib.sha256(payload).digest()[:_DIGEST_BYTES] + payload)


def _read_entry(path: Path) -> NDArray[np.float32] | None:
    """The boxes of an entry; None when there is none, or it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if len(payload) % 16 or hashlib.sha256(payload).digest()[:_DIGEST_BYTES] != digest:
        return None
    return np.frombuffer(payload, "<f4").astype(np.float32).reshape(-1, 4)
