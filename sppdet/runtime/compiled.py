"""Functions compiled by numba, kept on disk for the next run where that is possible.

numba keeps machine code beside the source, or in the user's folder for caches, or where
NUMBA_CACHE_DIR says. It finds the code by its own version, the processor, the types of the
arguments and the source file of the function. It does not look at the functions that this one calls
in other files, nor at the version of NumPy, whose arrays the machine code reads; here both are part
of the name. Where nothing can be written, or what is there cannot be read, the function is compiled
in memory, with a note.
"""

import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

from sppdet.errors import SppdetWarning
from sppdet.runtime.code import code_digest

_told: list[str] = []


@dataclass
class Tally:
    """What this process has done so far.

    Attributes:
        compiled: functions that were compiled and kept for the next run.
        loaded: functions that an earlier run had kept.
        folders: where they are kept.
    """

    compiled: int = 0
    loaded: int = 0
    folders: set[str] = field(default_factory=set)


tally = Tally()
"""It is counted for ``sppdet warm-up``, which says what it did."""


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator: ``numba.njit(nogil=True, **options)`` with a cache that never stops the work."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(nogil=True, **options)(function)
        try:
            dispatcher._cache = _Cache(function)  # as the dispatcher's enable_caching does
        except (RuntimeError, OSError) as error:  # there is no folder that can be written
            _tell(error)
        return dispatcher

    return decorate


class _Cache(FunctionCache):  # type: ignore[misc]
    """numba's cache of a function, whose files carry a digest of all code behind the function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._named = False

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The machine code for the types of ``sig``, or None."""
        self._name_files()
        try:
            found = super().load_overload(sig, target_context)
            if found is not None:
                tally.loaded += 1
                tally.folders.add(self._cache_path)
            return found
        except Exception:  # a damaged file: pickle raises many types
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep machine code, if that can be done, and remove that of other versions."""
        self._name_files()
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _tell(error)
            return
        tally.compiled += 1
        tally.folders.add(self._cache_path)
        base, mine = self._impl.filename_base, self._cache_file._index_name.removesuffix(".nbi")
        for file in Path(self._cache_path).glob(f"{escape(base)}[-.]*nb[ic]"):
            if not file.name.startswith(f"{mine}."):
                with suppress(OSError):
                    file.unlink()

    def _name_files(self) -> None:
        """Not at import: the digest reads source files."""
        if not self._named:
            digest = code_digest(self._py_func.__module__).hex()
            base = f"{self._impl.filename_base}-{digest[:12]}"
            self._cache_file = IndexDataCacheFile(self._cache_path, base, digest)
            self._named = True


def _tell(error: Exception) -> None:
    """Say once why compiled code is not kept."""
    if not _told:
        reason = getattr(error, "strerror", None) or "no folder can be written"
        _told.append(reason)
        warnings.warn(
            f"compiled code is not kept for the next run ({reason}): that costs half a minute each "
            "time; let the environment variable NUMBA_CACHE_DIR name a folder that can be written",
            SppdetWarning,
            stacklevel=2,
        )
