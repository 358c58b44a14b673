"""Folders on any file system that fsspec knows: local, s3://, gs://, http://, memory://."""

import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from sppdet.decoding import check_regular
from sppdet.errors import SppdetError
from sppdet.images import may_be_image
from sppdet.inputs.sources import HEIF, VIDEOS, know_heif
from sppdet.runtime.files import atomic_path
from sppdet.scale.packages import needed

SEPARATOR = "://"
"""Stands in an address, and in no path of a local file."""


@dataclass(frozen=True)
class Place:
    """A folder.

    Attributes:
        name: the address as the user gave it.
        system: fsspec's file system.
        root: the path of the folder in that system.
    """

    name: str
    system: Any
    root: str

    @staticmethod
    def at(address: str) -> "Place":
        """The folder at a path, or at an address such as ``s3://bucket/folder``.

        Raises:
            SppdetError: fsspec, or the package of this file system, is not installed, or no file
                system has this name.
        """
        fsspec = needed("fsspec.core", f"{address}")
        try:
            system, root = fsspec.url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise SppdetError(f"{address}: cannot be reached ({error})") from None
        return Place(address, system, root.rstrip("/") or "/")

    @property
    def protocols(self) -> set[str]:
        """The names of its file system, such as file and local."""
        protocol = self.system.protocol
        return {protocol} if isinstance(protocol, str) else set(protocol)

    @property
    def local(self) -> bool:
        """Whether its files are files of this machine."""
        return "file" in self.protocols

    def path(self, name: str) -> str:
        """The path in the file system of a name below this folder."""
        return posixpath.join(self.root, name)

    def shown(self, name: str) -> str:
        """The address of a name below this folder, for messages."""
        return posixpath.join(self.name, name)

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            SppdetError: it cannot be read.
        """
        path = self.path(name)
        if self.local:
            check_regular(Path(path))
        try:
            content: bytes = self.system.cat_file(path)
        except Exception as error:  # each file system has errors of its own
            raise SppdetError(f"{self.shown(name)}: cannot be read ({_reason(error)})") from None
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write a file under a temporary name, and rename it.

        Raises:
            SppdetError: it cannot be written.
        """
        path = self.path(name)
        if self.local:
            with atomic_path(path) as temporary:
                temporary.write_bytes(content)
            return
        folder, last = posixpath.split(path)
        temporary_path = posixpath.join(folder, f".{last}.{uuid4().hex[:8]}.tmp")
        try:
            self.system.makedirs(folder, exist_ok=True)
            self.system.pipe_file(temporary_path, content)
            self.system.mv(temporary_path, path)
        except Exception as error:
            raise SppdetError(
                f"{self.shown(name)}: cannot be written ({_reason(error)}); choose another place"
            ) from None

    def remove(self, name: str) -> None:
        """Remove a file; SppdetError where that fails."""
        try:
            self.system.rm_file(self.path(name))
        except Exception as error:
            raise SppdetError(f"{self.shown(name)}: cannot be removed ({_reason(error)})") from None

    def files(self, below: str = "", deep: bool = False) -> dict[str, int | None]:
        """The files below this folder, with their sizes in bytes, by name; none where there is
        no such folder.

        Args:
            below: only those in this folder of it.
            deep: look in the folders of folders too.

        Raises:
            SppdetError: the file system cannot be reached.
        """
        start = self.path(below) if below else self.root
        try:
            self.system.invalidate_cache()
            found = self.system.find(start, maxdepth=None if deep else 1, detail=True)
        except FileNotFoundError:
            return {}
        except Exception as error:
            raise SppdetError(f"{self.shown(below)}: cannot be listed ({_reason(error)})") from None
        skipped = len(self.root.rstrip("/")) + 1
        return {path[skipped:]: entry.get("size") for path, entry in sorted(found.items())}


def images_in(place: Place, recursive: bool = False) -> tuple[dict[str, str], int]:
    """The images in a folder, recognised by their suffix; files and folders with a full stop at the
    beginning are left out.

    Args:
        place: the folder.
        recursive: look in the folders of folders too. Links to folders are not followed.

    Returns:
        For the path of each image from this folder, as it is recorded, the name to read it by; they
        differ where a name is not UTF-8. And how many videos were left out.

    Raises:
        SppdetError: there is no such folder, or there is no image in it.
    """
    know_heif()
    names = place.files(deep=recursive)
    images, videos = {}, 0
    for name in names:
        parts = name.split("/")
        suffix = posixpath.splitext(name)[1].lower()
        if any(part.startswith(".") for part in parts):
            continue
        videos += suffix in VIDEOS
        if suffix and (may_be_image(Path(parts[-1])) or suffix in (*HEIF, ".avif")):
            whole = name.encode("utf-8", "surrogateescape")
            images[whole.decode("utf-8", "backslashreplace")] = name
    if not images:
        remedy = "" if recursive else "; --recursive looks in its folders"
        raise SppdetError(f"{place.name}: holds no images{remedy}, or is not there")
    return images, videos


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
