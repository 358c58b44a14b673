"""Proposals on disk, by content: each image is searched once."""

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sppdet.images import ImageLike, as_image
from sppdet.proposals import Settings, check_max_boxes, propose, settings_of
from sppdet.runtime.cache import SUFFIXES, DiskCache, cache_dir
from sppdet.runtime.code import code_digest

LIMIT = 2 << 30
"""Bytes of all entries: about 60,000 images of 2,000 boxes each."""

ImagePath = str | os.PathLike[str]


class ProposalCache:
    """Proposals of images, searched when they are first asked for and read from disk afterwards.

    An entry is found by the image's pixels, the settings, and the source code of the search: a file
    may be moved or edited, and so may the search. Entries are written to a temporary name and
    renamed: an interruption or several processes at once do not damage them. A damaged entry is
    searched again, and so is one that could not be written.

    Args:
        folder: where the entries go; by default ``proposals`` in the cache folder of sppdet.

    Attributes:
        disk: counts the entries that were found and made.
    """

    def __init__(self, folder: ImagePath | None = None) -> None:
        self.folder = Path(folder) if folder is not None else cache_dir() / "proposals"
        self.disk = DiskCache(self.folder, SUFFIXES["proposals"], LIMIT)

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
            SppdetError: the image cannot be read.
        """
        pixels, max_boxes = as_image(image), check_max_boxes(max_boxes)
        settings = settings_of(method)
        name = _name(pixels, settings, max_boxes)
        content = self.disk.read(name)
        if content is not None and len(content) % 16 == 0:
            return np.frombuffer(content, "<f4").astype(np.float32).reshape(-1, 4)
        boxes = propose(pixels, settings, max_boxes)
        # Little-endian float32, row by row.
        self.disk.write(name, np.ascontiguousarray(boxes, "<f4").tobytes())
        return boxes


def _name(pixels: NDArray[np.uint8], settings: Settings, max_boxes: int) -> str:
    content = hashlib.sha256(repr((pixels.shape, settings, max_boxes)).encode())
    content.update(code_digest("sppdet.proposals"))
    content.update(np.ascontiguousarray(pixels).data)
    name = content.hexdigest()[:32]
    return f"{name[:2]}/{name}"
