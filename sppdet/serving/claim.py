"""One server for a folder: a second one says which the first one is.

The claim is a lock of the operating system, so that it ends with its process, however that ends. It
is on the folder itself, which needs no file there and does not depend on where the caches are, and
on a file of the caches, which stays, and says who holds the lock or held it last. Where folders
cannot be locked (Windows, some network file systems) that file alone decides.
"""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from sppdet.errors import SppdetError

PLACE = 1 << 20
"""The locked byte on Windows, where a locked byte cannot be read: it lies behind the content."""


class Claim:
    """The right to label a folder.

    Args:
        state: the folder of its state.
        folder: the folder in which the labels lie.
        named: the path that was given, for the message; the folder itself without it.

    Raises:
        SppdetError: another process has it.
    """

    def __init__(self, state: Path, folder: Path, named: Path | None = None) -> None:
        self._file = -1
        self._folder, free = _locked_folder(folder)
        with suppress(OSError):  # nothing can be kept there, so that nothing is shared
            state.mkdir(parents=True, exist_ok=True)
            self._file = os.open(state / "server.json", os.O_RDWR | os.O_CREAT, 0o600)
        said: dict[str, object] = {}
        try:
            if self._file >= 0:
                _lock(self._file)
        except (BlockingIOError, PermissionError):
            free, said = False, _read(self._file)
        except OSError:  # a file system without locks
            pass
        if not free:  # the file of another folder of caches says who, if it is not locked here
            self.end()
            at = f" at {said['address']}" if said.get("address") else ""
            who = f"process {said['process']}" if said.get("process") else "another process"
            raise SppdetError(
                f"{named or folder}: is being labelled by {who}{at}; "
                "open that page, or end it first"
            )
        self.tell(None)

    def tell(self, address: str | None) -> None:
        """Say where the server is to be found; without its token."""
        content = json.dumps({"process": os.getpid(), "address": address}).encode()
        with suppress(OSError):
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
            os.write(self._file, content)

    def end(self) -> None:
        """Give the folder free."""
        for held in (self._file, self._folder):
            if held >= 0:
                os.close(held)
        self._file = self._folder = -1


def _locked_folder(folder: Path) -> tuple[int, bool]:
    """A lock on a folder, or -1, and whether no other process has it, as far as can be known."""
    if sys.platform == "win32":
        return -1, True
    try:
        held = os.open(folder, os.O_RDONLY)
    except OSError:
        return -1, True
    try:
        _lock(held)
    except BlockingIOError:
        os.close(held)
        return -1, False
    except OSError:  # a file system that locks no folders
        os.close(held)
        return -1, True
    return held, True


def _lock(file: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(file, PLACE, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _read(file: int) -> dict[str, object]:
    try:
        os.lseek(file, 0, os.SEEK_SET)
        content = json.loads(os.read(file, 10_000))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
