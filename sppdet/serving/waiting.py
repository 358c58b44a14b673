"""Work with a limit on what waits: beyond it a request is told to come later."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sppdet.runtime.words import counted, verb
from sppdet.serving.answers import Refused

Result = TypeVar("Result")


class WaitingRoom:
    """Runs work in threads, a bounded number at a time.

    Args:
        workers: what runs at the same time.
        places: what may wait besides.
    """

    def __init__(self, workers: int, places: int) -> None:
        self._pool = ThreadPoolExecutor(workers)
        self._most = workers + places
        self._lock = threading.Lock()
        self._inside = 0

    @property
    def inside(self) -> int:
        """What runs or waits now."""
        return self._inside

    def run(self, work: Callable[[], Result]) -> Result:
        """The result of ``work``.

        Raises:
            Refused: 503, where no place is free.
        """
        with self._lock:
            if self._inside >= self._most:
                raise Refused(
                    503,
                    f"{counted(self._inside, 'image')} {verb(self._inside, 'waits', 'wait')} "
                    "already; send it later",
                )
            self._inside += 1
        try:
            return self._pool.submit(work).result()
        finally:
            with self._lock:
                self._inside -= 1
