"""One server for a folder: a second one says which the first one is.

The claim is a lock of the operating system, so that it ends with its process, however that ends. It
is on the folder itself, which needs no file there and does not depend on where the caches are, and
on a file of the caches, which stays, and says who holds the lock or held it last. The folders above
have a lock that servers of different folders share: so neither a folder above nor one inside a
folder that is labelled is labelled by another server, which would write the same files. Where
folders cannot be locked (Windows, some network file systems) the files of the caches alone decide.
"""

import json
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from sppdet.errors import SppdetError

PLACE = 1 << 20
"""The locked byte on Windows, where a locked byte cannot be read: it lies behind the content."""


class Claim:
    """The right to label a folder.

    Args:
        state: the folder of its state; those of other folders lie beside it.
        folder: the folder in which the labels lie.
        named: the path that was given, for the message; the folder itself without it.

    Raises:
        SppdetError: another process has it, or one above or inside it.
    """

    def __init__(self, state: Path, folder: Path, named: Path | None = None) -> None:
        self._held: list[int] = []
        self._file = -1
        self._folder = folder.resolve()
        taken = self._lock_folders()
        with suppress(OSError):  # nothing can be kept there, so that nothing is shared
            state.mkdir(parents=True, exist_ok=True)
            self._file = os.open(state / "server.json", os.O_RDWR | os.O_CREAT, 0o600)
        said: dict[str, Any] = {}
        try:
            if self._file >= 0:
                _lock(self._file)
        except (BlockingIOError, PermissionError):
            taken, said = taken or self._folder, _read(self._file)
        except OSError:  # a file system without locks
            pass
        said = said or self._related(state)
        if said or taken is not None:  # what is locked in other caches may be of an unknown server
            self.end()
            other = Path(said.get("folder") or taken or self._folder)
            raise SppdetError(_refusal(named or folder, self._folder, other, said))
        self.tell(None)

    def tell(self, address: str | None) -> None:
        """Say where the server is to be found; without its token."""
        said = {"process": os.getpid(), "address": address, "folder": str(self._folder)}
        with suppress(OSError):
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
            os.write(self._file, json.dumps(said).encode())

    def end(self) -> None:
        """Give the folder free."""
        for held in (self._file, *self._held):
            if held >= 0:
                os.close(held)
        self._file, self._held = -1, []

    def _lock_folders(self) -> Path | None:
        """Lock the folder, and those above it with others; the one that another server has."""
        if sys.platform == "win32":
            return None
        for place in (self._folder, *self._folder.parents):
            try:
                held = os.open(place, os.O_RDONLY)
            except OSError:
                continue
            self._held.append(held)
            own = place == self._folder
            try:
                if own or not os.fstat(held).st_mode & stat.S_ISVTX:  # nobody labels /tmp
                    _lock(held, shared=not own)
            except BlockingIOError:
                return place
            except OSError:  # a file system that locks no folders
                pass
        return None

    def _related(self, state: Path) -> dict[str, Any]:
        """What the caches say of a server of a folder above or inside this one."""
        for path in state.parent.glob("*/server.json"):
            if path.parent == state:
                continue
            try:
                file = os.open(path, os.O_RDWR)
            except OSError:
                continue
            try:
                said = _read(file)
                other = Path(str(said.get("folder", "")))
                near = other in self._folder.parents or self._folder in other.parents
                if said.get("folder") and near:
                    _lock(file, shared=True)
            except (BlockingIOError, PermissionError):
                return said
            except OSError:
                pass
            finally:
                os.close(file)
        return {}


def _refusal(named: Path, own: Path, other: Path, said: dict[str, Any]) -> str:
    """Why a folder cannot be labelled while another one is, and what to do."""
    at = f" at {said['address']}" if said.get("address") else ""
    who = f"process {said['process']}" if said.get("process") else "another process"
    part = ""
    if other in own.parents:
        part = f" as a part of {other}"
    elif own in other.parents:
        part = f" in part, {other},"
    return f"{named}: is being labelled{part} by {who}{at}; open that page, or end it first"


def _lock(file: int, shared: bool = False) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(file, PLACE, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def _read(file: int) -> dict[str, Any]:
    try:
        os.lseek(file, 0, os.SEEK_SET)
        content = json.loads(os.read(file, 10_000))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
