"""One server for a folder: a second one says which the first one is.

The claim is a lock of the operating system on a file, so that it ends with its process, however
that ends. The file stays, and says who holds the lock or held it last.
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
        folder: the folder, for the message.

    Raises:
        SppdetError: another process has it.
    """

    def __init__(self, state: Path, folder: Path) -> None:
        self._file = -1
        path = state / "server.json"
        try:
            state.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:  # nothing can be kept there, so that nothing is shared
            return
        try:
            _lock(self._file)
        except (BlockingIOError, PermissionError):
            said = _read(self._file)
            os.close(self._file)
            at = f" at {said['address']}" if said.get("address") else ""
            who = f"process {said['process']}" if said.get("process") else "another process"
            raise SppdetError(
                f"{folder}: is being labelled by {who}{at}; open that page, or end it first"
            ) from None
        except OSError:  # a file system without locks
            return
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
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


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
