"""Work on many items side by side, in order and in bounded memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    begin: Callable[[], object] | None = None,
) -> Generator[Result, None, None]:
    """``map(function, items)`` in threads, in order, with at most ``workers`` + 1 results waiting.

    A result that is there is given before the next item is taken, which a camera may make wait.
    Each thread calls ``begin`` first. With one worker the calling thread does the work, without it.
    When the caller stops early (closes it, or is interrupted), what has not begun is dropped, and
    it ends when what is under way has ended.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, initializer=begin) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                while waiting and (len(waiting) > workers or waiting[0].done()):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
