"""Where files go and how they get there whole: temporary name first, then one rename."""

import errno
import hashlib
import os
import platform
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

from sppdet.errors import SppdetError

_STREAM = re.compile(r"/dev/(stdin|stdout|stderr)|/(?:dev|proc/self)/fd/(\d+)")
_TEMPORARY = re.compile(r"\..*\.sppdet-([0-9a-f]{6})-(\d+)-[0-9a-f]{8}(\..*)?")
_LONGEST_SUFFIX = 20
_LOCK_SECONDS = 5.0
_STALE_SECONDS = 24 * 3600
"""Age from which a temporary file of another machine is taken for a leftover."""

_unfinished: set[Path] = set()


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block succeeds.

    The temporary name keeps the suffix of ``path`` (libraries choose a format by it). When the
    block fails, or is interrupted, the temporary file is removed and an existing ``path`` stays.
    The file that a symbolic link names is written, and the link stays. What is written to a
    character device or an open stream, such as ``/dev/stdout``, is copied into it.

    Raises:
        SppdetError: the folder cannot be made, writing failed (disk full, no permission), or
            ``path`` is a pipe, a socket or a disk.
    """
    with atomic_paths(path) as (temporary,):
        yield temporary


@contextmanager
def atomic_paths(*paths: str | os.PathLike[str]) -> Iterator[tuple[Path, ...]]:
    """As :func:`atomic_path` for files that belong together, such as a picture and its JSON.

    Wherever a run is killed, and whatever other runs do in the folder at the same time, the files
    that stand there are of one run: they are renamed under a lock, and the later ones of an earlier
    run are removed before the first is renamed.

    Raises:
        SppdetError: as for :func:`atomic_path`.
    """
    targets = [Path(path) for path in paths]
    temporaries: list[Path] = []
    modes: list[int] = []
    at = targets[0]
    try:
        for at in targets:
            temporaries.append(_new_temporary(at))
            _unfinished.add(temporaries[-1])
            modes.append(stat.S_IMODE(temporaries[-1].stat().st_mode))
        at = targets[0]
        yield tuple(temporaries)
        with _locked(temporaries[0].parent) if len(targets) > 1 else nullcontext():
            for later in targets[1:]:
                if not is_stream(later):
                    Path(os.path.realpath(later)).unlink(missing_ok=True)
            for at, temporary, mode in zip(targets, temporaries, modes, strict=True):
                _put(temporary, at, mode)
    except OSError as error:
        raise SppdetError(
            f"{at}: cannot be written ({error.strerror or error}); "
            "free some space or choose another place"
        ) from error
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)
            _unfinished.discard(temporary)


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``, a new or empty folder; rename it when the block
    succeeds.

    When the block fails or is interrupted, the temporary folder is removed; that of a run that was
    killed is removed by the next.

    Raises:
        SppdetError: the folder cannot be made, or ``path`` is not a new or empty folder by then.
    """
    target = Path(os.path.realpath(path))
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target.parent)
        temporary = target.parent / _temporary_name(Path(target.name.replace(".", "_")))
        temporary.mkdir()
        _unfinished.add(temporary)
        yield temporary
        if target.is_dir():  # it may be open, or the working folder: it stays
            for entry in temporary.iterdir():
                entry.rename(target / entry.name)
        else:
            temporary.rename(target)
    except OSError as error:
        raise SppdetError(
            f"{path}: cannot be written ({error.strerror or error}); "
            "free some space or choose another place"
        ) from error
    except SppdetError as error:
        raise SppdetError(str(error).replace(str(temporary), str(path))) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
            _unfinished.discard(temporary)


def remove_unfinished() -> None:
    """Remove the temporary files and folders of this process, which ends at once."""
    for path in list(_unfinished):
        with suppress(OSError):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _new_temporary(target: Path) -> Path:
    stream = is_stream(target)
    real = target if stream else Path(os.path.realpath(target))
    folder = Path(tempfile.gettempdir()) if stream else real.parent
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / _temporary_name(real)
    # Not by tempfile: its files are private, whatever the user's umask allows.
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return temporary


def _put(temporary: Path, target: Path, mode: int) -> None:
    """Rename; a new file gets ``mode``, which a library may have lost (safetensors puts a private
    file in the place of the temporary one)."""
    if is_stream(target):
        with temporary.open("rb") as content, _open_stream(target) as into:
            shutil.copyfileobj(content, into)
        return
    real = Path(os.path.realpath(target))
    with suppress(OSError):
        temporary.chmod(stat.S_IMODE(real.stat().st_mode) if real.exists() else mode)
    temporary.replace(real)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One thread of one process at a time, on systems and file systems with such locks.

    A lock that is held for longer than the renaming can take, by a process that was stopped, is
    passed over.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    lock = -1
    with suppress(OSError):
        lock = os.open(folder, os.O_RDONLY)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while lock >= 0 and time.monotonic() < deadline:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.001)
            except OSError:  # a file system without locks
                break
        yield
    finally:
        if lock >= 0:
            os.close(lock)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` as UTF-8, with its own line ends, through :func:`atomic_path`."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def is_stream(path: Path) -> bool:
    """Whether ``path`` names an open stream or a character device, which are written in place.

    Raises:
        SppdetError: it is a pipe, a socket or a disk, which sppdet does not write.
    """
    if _STREAM.fullmatch(str(path)):
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    if stat.S_ISCHR(mode):
        return True
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISBLK(mode):
        raise SppdetError(f"{path}: is a pipe, a socket or a disk; name a file, or /dev/stdout")
    return False


def remove_leftovers(folder: Path) -> int:
    """Remove the temporary files and folders that killed runs left in ``folder``; returns how many.

    A temporary file names its machine and its process. It is a leftover when that process of this
    machine has ended, or when it is older than a day.
    """
    removed = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            named = _TEMPORARY.fullmatch(entry.name)
            with suppress(OSError):
                if named and _is_left(named[1], int(named[2]), entry.stat().st_mtime):
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path)
                    else:
                        os.unlink(entry.path)
                    removed += 1
    return removed


def _is_left(machine: str, process: int, written: float) -> bool:
    if machine == _machine() and process != os.getpid() and os.name == "posix":
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False
    return time.time() - written > _STALE_SECONDS


def _temporary_name(target: Path) -> str:
    suffix = target.suffix if len(os.fsencode(target.suffix)) <= _LONGEST_SUFFIX else ""
    stem = target.stem.encode("utf-8", "ignore")[:80].decode("utf-8", "ignore")
    return f".{stem}.sppdet-{_machine()}-{os.getpid()}-{uuid4().hex[:8]}{suffix}"


def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def _open_stream(target: Path) -> IO[bytes]:
    named = _STREAM.fullmatch(str(target))
    if named is None:
        return target.open("wb")
    number = {"stdout": 1, "stderr": 2}.get(named[1], named[2])
    if number is None:
        raise OSError(errno.EBADF, "the standard input is not written")
    return os.fdopen(os.dup(int(number)), "wb")
