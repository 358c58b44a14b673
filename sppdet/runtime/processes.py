"""Worker processes for work that holds the GIL too often for threads.

A new Python starts for each, with the module search path of this one. It imports only what its work
needs, and never the program's main module, which :mod:`multiprocessing` runs again where it does
not fork; a fork of a process with threads or a GPU is not safe. Arguments and results pass through
pipes; pickle copies arrays once (PEP 574).
"""

import os
import pickle
import queue
import signal
import struct
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

from sppdet.errors import SppdetError

_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1:]; from sppdet.runtime.processes import serve; serve()"
)
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Processes:
    """Processes that call functions; threads may ask at the same time, each gets one process.

    They end with :meth:`close`, and also when this process ends in any way. Ctrl-C reaches only
    this process.

    Args:
        count: number of processes.
        first: what each calls once at its start, a function of a module, and its arguments.

    Attributes:
        starting: how many processes have not done that yet.
    """

    def __init__(self, count: int, *first: Any) -> None:
        self._first = first
        self._free: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._all: list[subprocess.Popen[bytes]] = []
        self.starting = count
        self._closed = False
        for _ in range(count):
            threading.Thread(target=self._start, daemon=True).start()

    def _start(self) -> None:
        with self._lock:
            if self._closed:
                self.starting -= 1
                return
            process = subprocess.Popen(
                [sys.executable, "-I", "-c", _PROGRAM, *(path or os.getcwd() for path in sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                env=os.environ | _ONE_THREAD,
                start_new_session=True,
            )
            self._all.append(process)
        try:
            if self._first:
                _ask(process, self._first)
        except Exception:  # without it the work goes on, in other processes or in the threads
            _end(process)
        else:
            self._free.put(process)
        finally:
            with self._lock:
                self.starting -= 1

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """``function(*arguments)`` in a process.

        While processes start and none is free, and where none could start, the calling thread does
        the work.

        Args:
            function: of a module; what it raises is raised here, and its warnings are shown here.

        Raises:
            SppdetError: the process has ended; another one starts in its place.
        """
        process = self._take()
        if process is None:
            return function(*arguments)
        try:
            result, error, notes = _ask(process, (function, *arguments))
        except (EOFError, OSError):
            code = _end(process)
            with self._lock:
                self._all.remove(process)
                self.starting += 1
            threading.Thread(target=self._start, daemon=True).start()
            raise SppdetError(
                f"a worker process has ended (exit code {code}); give fewer workers if the memory "
                "is short"
            ) from None
        except BaseException:  # what is left in its pipe belongs to no one
            _end(process)
            raise
        self._free.put(process)
        for category, text in notes:
            warnings.warn(text, category, stacklevel=2)
        if error is not None:
            raise error
        return result

    def _take(self) -> "subprocess.Popen[bytes] | None":
        while True:
            with self._lock:
                alive = any(one.returncode is None for one in self._all)
                waits = alive and self.starting == 0 and not self._closed
            try:
                return self._free.get(timeout=0.2) if waits else self._free.get_nowait()
            except queue.Empty:
                if not waits:
                    return None

    def close(self) -> None:
        """End all processes; what they are doing is dropped."""
        with self._lock:
            self._closed = True
        for process in self._all:
            process.kill()
        while not self._free.empty():
            _end(self._free.get())
        for process in self._all:  # the pipes of a busy one are its caller's
            process.wait()


def serve() -> None:
    """What a process does: calls that come through the standard input, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, sink = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)  # what libraries print goes to the standard error
    while True:
        try:
            function, *arguments = _receive(source)
        except EOFError:
            return
        result: Any = None
        error: BaseException | None = None
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always")
            try:
                result = function(*arguments)
            except Exception as raised:
                error = _portable(raised)
        told = [(note.category, str(note.message)) for note in notes]
        try:
            _send(sink, (result, error, told))
        except OSError:  # nobody waits for it
            return


def _ask(process: "subprocess.Popen[bytes]", call: tuple[Any, ...]) -> Any:
    assert process.stdin is not None
    assert process.stdout is not None
    _send(process.stdin, call)  # type: ignore[arg-type]
    return _receive(process.stdout)  # type: ignore[arg-type]


def _end(process: "subprocess.Popen[bytes]") -> int:
    """Kill a process if it lives; its exit code."""
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    return process.wait()


def _portable(error: Exception) -> Exception:
    """An error that can be pickled and unpickled."""
    try:
        again = pickle.loads(pickle.dumps(error))
        if type(again) is type(error) and str(again) == str(error):
            return error
    except Exception:  # classes may do anything in their constructors
        pass
    return RuntimeError(f"{type(error).__name__}: {error}")


def _send(stream: BinaryIO, value: object) -> None:
    """Lengths, then the pickle, then the arrays that it refers to."""
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    parts = [memoryview(content), *(buffer.raw() for buffer in buffers)]
    header = struct.pack(f"<{len(parts) + 1}Q", len(parts), *(part.nbytes for part in parts))
    for part in (memoryview(header), *parts):
        while part.nbytes:
            part = part[stream.write(part) :]


def _receive(stream: BinaryIO) -> Any:
    (count,) = struct.unpack("<Q", _read(stream, 8))
    sizes = struct.unpack(f"<{count}Q", _read(stream, 8 * count))
    content, *buffers = [_read(stream, size) for size in sizes]
    return pickle.loads(content, buffers=buffers)


def _read(stream: BinaryIO, size: int) -> bytearray:
    content = bytearray(size)
    left = memoryview(content)
    while left.nbytes:
        count = stream.readinto(left)  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        left = left[count:]
    return content
