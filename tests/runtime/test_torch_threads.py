import threading

import pytest
import torch

from sppdet.runtime.torch_threads import own_torch_threads, side_by_side, torch_threads


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


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("with_gpu", [False, True])
def test_two_functions_side_by_side(count: int, with_gpu: bool) -> None:
    """The first has another thread, and on a CPU one of PyTorch's, unless there is but one."""
    with own_torch_threads(count):
        (first, _), (second, left) = side_by_side(
            lambda: (threading.get_ident(), 0),
            lambda: (threading.get_ident(), torch_threads()),
            with_gpu,
        )
        assert second == threading.get_ident()
        assert (first == second) == (count == 1 and not with_gpu)
        assert left == (count if with_gpu or count == 1 else count - 1)
        assert torch_threads() == count
