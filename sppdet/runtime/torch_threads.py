"""How many threads PyTorch uses, for one thread of Python at a time.

PyTorch keeps the number that each thread uses, and one more from which a new thread takes its own.
``torch.set_num_threads`` sets that of the calling thread and the common one, so that a thread which
lowers its own for a while also lowers those of threads that begin meanwhile.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

_LOCK = threading.Lock()


@contextmanager
def own_torch_threads(count: int) -> Iterator[None]:
    """Let PyTorch use ``count`` threads for what the calling thread does in the block.

    The number of other threads, those that begin meanwhile too, stays.
    """
    before = set_own_torch_threads(count)
    try:
        yield
    finally:
        set_own_torch_threads(before)


def torch_threads() -> int:
    """The number of threads that PyTorch uses for the calling thread."""
    with _LOCK:  # a new thread takes over the common number, which is another one for a moment
        return torch.get_num_threads()


def set_own_torch_threads(count: int) -> int:
    """Set the number of the calling thread, and of no other; returns what it was."""
    with _LOCK, ThreadPoolExecutor(1) as other:
        common = other.submit(torch.get_num_threads).result()  # a new thread has taken it over
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        other.submit(torch.set_num_threads, common).result()
    return before
