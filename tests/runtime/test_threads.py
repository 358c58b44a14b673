import threading
import time
from collections.abc import Iterator

import pytest

from sppdet.runtime.threads import ordered_map


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_ordered_map_keeps_order_and_bounds_what_waits(workers: int) -> None:
    lock, begun = threading.Lock(), []

    def work(item: int) -> int:
        with lock:
            begun.append(item)
        return item * item

    for taken, result in enumerate(ordered_map(work, range(50), workers)):
        assert result == taken * taken
        with lock:
            assert len(begun) <= taken + 2 + workers
    assert sorted(begun) == list(range(50))


def test_a_result_that_is_there_does_not_wait_for_later_items() -> None:
    """A slow source: the work on an item is done long before two more are there."""
    done = threading.Event()

    def items() -> Iterator[int]:
        yield 0
        assert done.wait(10)
        time.sleep(0.2)  # the future is marked as done after its function has returned
        yield 1
        yield from range(2, 100)

    def work(item: int) -> int:
        if item == 0:
            done.set()
        else:
            time.sleep(0.01)
        return item

    taken = 0
    source = items()

    def counted() -> Iterator[int]:
        nonlocal taken
        for item in source:
            taken += 1
            yield item

    results = ordered_map(work, counted(), 8)
    assert next(results) == 0
    assert taken <= 2
    results.close()  # type: ignore[attr-defined]


def test_ordered_map_passes_errors_on() -> None:
    def work(item: int) -> int:
        if item == 3:
            raise RuntimeError("three")
        return item

    with pytest.raises(RuntimeError, match="three"):
        list(ordered_map(work, range(10), 2))
