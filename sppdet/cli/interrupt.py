"""Ctrl-C ends a command with one line and exit code 130, also while packages are imported.

An exception in the middle of an import is not safe: PyTorch's C++ code aborts the process, and
NumPy's half-made module recurses without end. So, while nothing has begun, and in every import,
Ctrl-C ends the process directly.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

LINE = "interrupted; finished work is kept, run the command again to go on"
CODE = 130
"""The exit code of a program that signal 2 ended, as shells count: 128 + 2."""


@contextmanager
def handled_interrupts() -> Iterator[None]:
    """Until the block ends, Ctrl-C prints one line and ends the process.

    Where Ctrl-C is ignored, as for a job in the background, or handled by others, it stays so.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def work_begins() -> None:
    """From now on Ctrl-C raises KeyboardInterrupt, except in an import."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, _end_import_or_raise)


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, f"error: {LINE}\n".encode())
    os._exit(CODE)


def _end_import_or_raise(number: int, frame: FrameType | None) -> None:
    walked = frame
    while walked is not None:
        if walked.f_code.co_filename.startswith("<frozen importlib"):
            _end(number, frame)
        walked = walked.f_back
    raise KeyboardInterrupt
