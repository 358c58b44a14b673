"""Which images belong to which shard."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from sppdet.errors import SppdetError

MOST = 99_999
"""Shards that a folder is divided into."""

_FOLDER = re.compile(r"shard-(\d{5})-of-(\d{5})")


@dataclass(frozen=True, order=True)
class Shard:
    """One of ``count`` parts of a folder; ``number`` counts from 1."""

    number: int
    count: int

    @staticmethod
    def parse(text: str) -> "Shard":
        """``"3/16"`` as a shard.

        Raises:
            SppdetError: it is none.

        Examples:
            >>> Shard.parse("3/16")
            Shard(number=3, count=16)
        """
        found = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", text)
        number, count = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= number <= count <= MOST:
            raise SppdetError(
                f"--shard {text}: give the number of the shard, from 1, and how many there are, "
                "such as 3/16"
            )
        return Shard(number, count)

    @staticmethod
    def of_folder(name: str) -> "Shard | None":
        """The shard whose :attr:`folder` has this name; None for another name."""
        found = _FOLDER.fullmatch(name)
        return Shard(int(found[1]), int(found[2])) if found else None

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return f"shard-{self.number:05d}-of-{self.count:05d}"

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def holds(self, image: str) -> bool:
        """Whether an image belongs to this shard.

        Args:
            image: its path from the folder of images, with ``/``.

        The first 64 bits of the path's SHA-256 are divided by ``count``, and the remainder is
        ``number - 1``. So each image is in one shard, whatever machine asks and whatever other
        images there are.
        """
        digest = hashlib.sha256(image.encode("utf-8")).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1


def digest_of(images: Iterable[str]) -> str:
    """A digest of a set of images, whatever their order."""
    text = "\n".join(sorted(images))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
