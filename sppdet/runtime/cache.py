"""Caches on disk: never needed, bounded, whole or absent.

The folder is that of the environment variable SPPDET_CACHE, or the user's folder for caches. An
entry that cannot be written costs time the next time, and nothing else.
"""

import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from sppdet.errors import SppdetError
from sppdet.runtime.files import atomic_path, remove_leftovers

SUFFIXES = {
    "proposals": ".boxes",
    "regions": ".regions",
    "maps": ".maps",
    "classification": ".pixels",
}
"""The caches, each a folder, and what the names of its entries end with."""

_OLD_SUFFIXES = (".safetensors", ".npy")
"""Of entries that versions up to 0.1.0 wrote."""

_DIGEST_BYTES = 16
_SLACK = 0.9
"""A cache that is too large is cut to this part of its limit, and not again at once."""

_private: list[Path] = []


def cache_dir() -> Path:
    """The folder for caches: SPPDET_CACHE, or the system's (Linux: ``~/.cache/sppdet``)."""
    if _private:
        return _private[-1]
    chosen = os.environ.get("SPPDET_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("sppdet", appauthor=False)


def is_private() -> bool:
    """Whether caches are in a folder of this process (:func:`without_cache`)."""
    return bool(_private)


@contextmanager
def without_cache() -> Iterator[None]:
    """In the block caches are in a new folder, which is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="sppdet-") as folder:
        _private.append(Path(folder))
        try:
            yield
        finally:
            _private.pop()


class DiskCache:
    """Entries in files, each with a digest of its content.

    Args:
        folder: where they are.
        suffix: what the names of the entries end with; other files are left alone.
        limit: bytes of all entries; the ones that were not used for longest are removed.

    Attributes:
        found: entries that were there.
        made: entries that were not.
        problem: why an entry could not be written, or None.
    """

    def __init__(self, folder: Path, suffix: str, limit: int) -> None:
        self.folder, self.suffix, self.limit = folder, suffix, limit
        self.found = self.made = 0
        self.problem: str | None = None
        self._size: int | None = None
        self._lock = threading.Lock()

    def read(self, name: str) -> memoryview | None:
        """The content of an entry; None when there is none, or it is damaged."""
        path = self.folder / f"{name}{self.suffix}"
        try:
            content = memoryview(path.read_bytes())
        except OSError:
            content = memoryview(b"")
        payload = content[_DIGEST_BYTES:]
        whole = len(content) >= _DIGEST_BYTES and content[:_DIGEST_BYTES] == _digest(payload)
        self.count(whole, not whole)
        if not whole:
            return None
        with suppress(OSError):
            os.utime(path)
        return payload

    def count(self, found: int, made: int, problem: str | None = None) -> None:
        """Add to the numbers of entries, as for entries that another process has read."""
        with self._lock:
            self.found += found
            self.made += made
            self.problem = problem or self.problem

    def write(self, name: str, content: bytes, keep: Collection[Path] = ()) -> Path | None:
        """Write an entry; None where it cannot be written, and :attr:`problem` says why.

        ``keep`` are entries that are not removed to make room.
        """
        path = self.folder / f"{name}{self.suffix}"
        size = len(content) + _DIGEST_BYTES
        with self._lock:
            self._make_room(size, keep)
        try:
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                file.write(_digest(content))
                file.write(content)
        except SppdetError as error:
            self.problem = str(error)
            return None
        with self._lock:
            self._size = (self._size or 0) + size
        return path

    def _make_room(self, size: int, keep: Collection[Path]) -> None:
        """Remove the oldest entries where another one would not fit."""
        if self._size is None:
            for folder in (self.folder, *_folders(self.folder)):
                remove_leftovers(folder)
        elif self._size + size <= self.limit:
            return
        entries = sorted(self.entries(), key=lambda entry: entry[1])
        self._size = sum(bytes_ for _, _, bytes_ in entries)
        if self._size + size <= self.limit:
            return
        for path, _, bytes_ in entries:
            if self._size + size <= _SLACK * self.limit:
                return
            if path not in keep:
                with suppress(OSError):
                    path.unlink()
                    self._size -= bytes_

    def entries(self) -> list[tuple[Path, float, int]]:
        """Path, time of the last use (seconds since 1970), and bytes of every entry."""
        found = []
        for folder in (self.folder, *_folders(self.folder)):
            with suppress(OSError), os.scandir(folder) as inside:
                for entry in inside:
                    if entry.name.endswith((self.suffix, *_OLD_SUFFIXES)):
                        with suppress(OSError):
                            status = entry.stat(follow_symlinks=False)
                            found.append((Path(entry.path), status.st_mtime, status.st_size))
        return found

    def clear(self) -> tuple[int, int]:
        """Remove all entries and the leftovers of killed runs: number and bytes of the entries."""
        count = size = 0
        for path, _, bytes_ in self.entries():
            with suppress(OSError):
                path.unlink()
                count, size = count + 1, size + bytes_
        for folder in (*_folders(self.folder), self.folder):
            remove_leftovers(folder)
            with suppress(OSError):
                folder.rmdir()
        self._size = None
        return count, size

    def remove_older(self, days: float) -> None:
        """Remove the entries that were not used for so many days."""
        for path, used, _ in self.entries():
            if time.time() - used > days * 86_400:
                path.unlink(missing_ok=True)

    def summary(self, what: str) -> list[str]:
        """Lines that say how many entries were found, and whether new ones could be kept."""
        total = self.found + self.made
        lines = []
        if total:
            lines.append(f"{what}: {self.found} of {total} from the cache ({self.folder})")
        if self.problem:
            lines.append(
                f"note: {what} are not kept for the next time: {self.problem}, or set SPPDET_CACHE"
            )
        return lines


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as inside:
            return [Path(e.path) for e in inside if e.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _digest(content: bytes | memoryview) -> bytes:
    return hashlib.sha256(content).digest()[:_DIGEST_BYTES]
