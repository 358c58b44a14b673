"""Memory that stays: on glibc, a network's large maps are not given back to the system in between.

By default glibc gives large allocations back to the system as soon as they are freed, so that each
pass of a network over a large image waits for its pages to be mapped and zeroed again: a third of
the time on two threads (BENCHMARKS.md).
"""

import contextlib
import ctypes
import sys

# Numbers of the options, from malloc.h of glibc (see mallopt(3)).
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_ARENA_MAX = -8


KEPT = 1 << 30
"""Bytes of the largest allocation that is kept by default."""


def keep_freed_memory(largest: int = KEPT) -> bool:
    """Let the process keep freed memory for its next allocations.

    The commands call this at their start; a program that uses sppdet as a library may do so too.
    It changes the whole process, which holds on to the most memory that it ever used. Elsewhere
    than on Linux with glibc nothing happens.

    Args:
        largest: bytes; what is larger goes back to the system at once.

    Returns:
        Whether it could be done.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    # One arena for all threads: those of other threads give back what is freed at their end.
    options = ((_MMAP_THRESHOLD, largest), (_TRIM_THRESHOLD, (1 << 31) - 1), (_ARENA_MAX, 1))
    return all(mallopt(option, value) for option, value in options)


def give_back_freed_memory() -> None:
    """Give memory that was freed back to the system, after a step that used much of it."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
