"""Photographs that come into the folder, or leave it, while the server runs."""

import threading
import time

from sppdet.errors import SppdetError
from sppdet.serving.session import Session

EVERY = 5.0
"""Least seconds between two looks."""

SHARE = 50
"""A look that takes long is followed by a rest of this many times its length."""


class Rescan:
    """Looks through the folder again when the page asks for something, but not often.

    Args:
        session: is told of the photographs that come and go.

    Attributes:
        version: a number that changes with the list of the photographs.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._looking = threading.Lock()
        self._next = time.monotonic() + EVERY
        self.version = 0

    def look(self) -> None:
        """Look, unless that was done a short time ago, or is being done."""
        if time.monotonic() < self._next or not self._looking.acquire(blocking=False):
            return
        try:
            start = time.monotonic()
            try:
                come, gone = self._session.folder.look_again()
            except SppdetError:  # it is not to be seen: a drive that comes back, perhaps
                come, gone = [], []
            for index in gone:
                self._session.leave(index)
            for index in come:
                self._session.arrive(index)
            self.version += bool(come or gone)
            took = time.monotonic() - start
            self._next = time.monotonic() + max(EVERY, SHARE * took)
        finally:
            self._looking.release()
