import threading

import pytest
import torch

from sppdet.runtime.torch_threads import own_torch_threads, torch_threads


def in_a_new_thread() -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch_threads()))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_only_the_calling_thread_changes(count: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with own_torch_threads(count):
            assert (torch_threads(), in_a_new_thread()) == (count, 2)
            with own_torch_threads(5):
                assert (torch_threads(), in_a_new_thread()) == (5, 2)
            assert torch_threads() == count
        assert (torch_threads(), in_a_new_thread()) == (2, 2)
        with pytest.raises(RuntimeError, match="stop"), own_torch_threads(count):
            raise RuntimeError("stop")
        assert torch_threads() == 2
    finally:
        torch.set_num_threads(before)
