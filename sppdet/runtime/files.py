"""Where files go and how they get there whole: temporary name first, then one rename."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sppdet.errors import SppdetError


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block succeeds.

    The temporary name keeps the suffix of ``path`` (libraries choose a format by it). When the
    block fails, or is interrupted, the temporary file is removed and an existing ``path`` stays.

    Raises:
        SppdetError: the folder cannot be made, or writing failed (disk full, no permission).
    """
    target = Path(path)
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{target.stem[:80]}.", suffix=target.suffix, dir=target.parent
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        raise SppdetError(
            f"{target}: cannot be written ({error.strerror or error}); "
            "free some space or choose another place"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` as UTF-8 to ``path`` through :func:`atomic_path`."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def cache_dir() -> Path:
    """The folder for caches: environment variable SPPDET_CACHE, or ``~/.cache/sppdet``."""
    chosen = os.environ.get("SPPDET_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sppdet"


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current
