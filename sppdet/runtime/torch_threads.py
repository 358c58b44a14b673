"""How many threads PyTorch uses, for one thread of Python at a time.

PyTorch keeps the number that each thread uses, and one more from which a new thread takes its own.
``torch.set_num_threads`` sets that of the calling thread and the common one, so that a thread which
lowers its own for a while also lowers those of threads that begin meanwhile.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import torch

_LOCK = threading.Lock()

First = TypeVar("First")
Second = TypeVar("Second")


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


def side_by_side(
    search: Callable[[], First], see: Callable[[], Second], with_gpu: bool
) -> tuple[First, Second]:
    """The results of two functions, at the same time where PyTorch has a second thread or a GPU.

    The first one runs in another thread and does not use PyTorch. On a CPU it gets a core to
    itself: three workers on two are slower.
    """
    threads = torch_threads()
    if threads == 1 and not with_gpu:
        return search(), see()
    with ThreadPoolExecutor(1) as pool:
        searching = pool.submit(search)
        with nullcontext() if with_gpu else own_torch_threads(threads - 1):
            seen = see()
        return searching.result(), seen
