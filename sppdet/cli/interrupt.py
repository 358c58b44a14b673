"""Ctrl-C and SIGTERM end a command with one line and exit code 130 or 143, also during imports.

A server that runs is different: Ctrl-C is how it ends, so that its exit code is 0.

An exception in the middle of an import is not safe: PyTorch's C++ code aborts the process, and
NumPy's half-made module recurses without end. So, while nothing has begun, and in every import,
these signals end the process directly.
"""

import atexit
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

LINE = "interrupted; finished work is kept, run the command again to go on"
CODE = 130
"""The exit code of a program that signal 2 ended, as shells count: 128 + 2."""

TERMINATED = 143
"""The exit code after SIGTERM, which is signal 15."""

_DEFAULTS: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}


class Terminated(KeyboardInterrupt):
    """SIGTERM during the work."""


@contextmanager
def handled_interrupts(to_the_end: bool = False) -> Iterator[None]:
    """Until the block ends, Ctrl-C and SIGTERM print one line and end the process.

    ``to_the_end`` keeps it so until the process has ended: packages take a while for their end, in
    which Python would show a traceback. Once they have ended, the signals are ignored: Python takes
    its handlers down, and the command would be killed although its work is done and said.

    A signal that is ignored, as Ctrl-C for a job in the background, or handled by others, stays so.
    """
    taken = [number for number, old in _DEFAULTS.items() if signal.getsignal(number) is old]
    for number in taken:
        signal.signal(number, _end)
    if to_the_end:
        atexit.register(_ignore, taken)  # what is registered first is called last
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, _end if to_the_end else _DEFAULTS[number])


def work_begins() -> None:
    """From now on Ctrl-C raises KeyboardInterrupt, and SIGTERM Terminated, except in an import."""
    for number in _DEFAULTS:
        if signal.getsignal(number) is _end:
            signal.signal(number, _end_import_or_raise)


def work_ends() -> None:
    """From now on these signals end the process directly: nothing is left that could be undone."""
    for number in _DEFAULTS:
        if signal.getsignal(number) is _end_import_or_raise:
            signal.signal(number, _end)


@contextmanager
def interrupts_unchanged() -> Iterator[None]:
    """Raise the interrupt that another error hides, as it was.

    A signal in compiled code becomes "SystemError: CPUDispatcher returned a result with an
    exception set", whose cause is the interrupt.
    """
    try:
        yield
    except Exception as error:
        behind: BaseException | None = error
        while behind is not None and not isinstance(behind, KeyboardInterrupt):
            behind = behind.__cause__ or behind.__context__
        if behind is None:
            raise
        raise behind from None


@contextmanager
def held_back() -> Iterator[None]:
    """Ctrl-C and SIGTERM arrive when the block has ended: what it does, it does to the end."""
    arrived: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # signals do not reach it
        yield
        return
    known = {number: signal.getsignal(number) for number in _DEFAULTS}
    before = {number: one for number, one in known.items() if one is not None}
    try:
        for number in before:
            signal.signal(number, lambda one, _: arrived.append(one))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for one in arrived:
            signal.raise_signal(one)


def _ignore(numbers: list[signal.Signals]) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


def end(number: int) -> NoReturn:
    """Print the line and end the process directly, as after signal ``number``."""
    os.write(2, f"error: {LINE}\n".encode())
    os._exit(128 + number)


def end_of_server(line: str) -> Callable[[int], NoReturn]:
    """What ends a server after a signal: it prints the line; the exit code is 0 after Ctrl-C."""

    def end_server(number: int) -> NoReturn:
        with suppress(OSError, ValueError):
            print(line, flush=True)
        os._exit(0 if number == signal.SIGINT else 128 + number)

    return end_server


def _end(number: int, frame: FrameType | None) -> None:
    end(number)


def _end_import_or_raise(number: int, frame: FrameType | None) -> None:
    walked = frame
    while walked is not None:
        if walked.f_code.co_filename.startswith("<frozen importlib"):
            _end(number, frame)
        walked = walked.f_back
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
