import threading

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


def test_ordered_map_passes_errors_on() -> None:
    def work(item: int) -> int:
        if item == 3:
            raise RuntimeError("three")
        return item

    with pytest.raises(RuntimeError, match="three"):
        list(ordered_map(work, range(10), 2))
