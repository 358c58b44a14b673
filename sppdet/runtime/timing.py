"""Seconds of the stages of a computation."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Clock:
    """Adds up the seconds of named stages, in the order in which they first occur.

    On a GPU every stage ends with a synchronisation, so that its seconds are its own.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.seconds: dict[str, float] = {}
        self._device = torch.device(device)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the seconds of the block to stage ``name``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            elapsed = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + elapsed
