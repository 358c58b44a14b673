"""Calls that are captured when they come again."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from sppdet.device import graphs as module
from sppdet.device.graphs import Graphs

CPU = torch.device("cpu")


def doubled(buffer: Tensor) -> Tensor:
    return buffer[:4].float() * 2


def test_on_a_cpu_a_function_is_called() -> None:
    graphs = Graphs(CPU)
    host = torch.arange(4, dtype=torch.uint8)
    for _ in range(3):
        assert graphs.call("key", doubled, host).tolist() == [0, 2, 4, 6]
    assert len(graphs) == 0


def on_gpu(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.uint8).pin_memory()


@pytest.mark.gpu
def test_a_call_is_captured_when_it_comes_again() -> None:
    graphs, calls = Graphs(torch.device("cuda")), []

    def counted(buffer: Tensor) -> Tensor:
        calls.append(1)
        return doubled(buffer)

    assert graphs.stream is not None
    for turn in range(5):
        output = graphs.call("key", counted, on_gpu(turn, 1, 2, 3))
        graphs.stream.synchronize()
        assert output.tolist() == [2 * turn, 2, 4, 6]
        assert len(calls) == min(turn + 1, 2)
    assert len(graphs) == 1


@pytest.mark.gpu
def test_outputs_of_other_keys_stay() -> None:
    """The graphs share the memory of what lies between, and not that of their outputs."""
    graphs = Graphs(torch.device("cuda"))
    assert graphs.stream is not None
    outputs = {}
    for _ in range(4):
        for key in range(6):
            outputs[key] = graphs.call(key, lambda b, k=key: doubled(b) + k, on_gpu(1, 2, 3, 4))  # type: ignore[misc]
    graphs.stream.synchronize()
    for key, output in outputs.items():
        assert output.tolist() == [2 + key, 4 + key, 6 + key, 8 + key]


WAITS = """
import torch
from sppdet.device.graphs import Graphs

def waits(buffer):
    doubled = buffer[:4].float() * 2
    return doubled + float(doubled.sum().item())

graphs = Graphs(torch.device("cuda"))
for turn in range(4):
    host = torch.tensor([turn, 0, 0, 0], dtype=torch.uint8).pin_memory()
    output = graphs.call("key", waits, host)
    graphs.stream.synchronize()
    assert output.tolist() == [4 * turn, 2 * turn, 2 * turn, 2 * turn]
assert len(graphs) == 0
for _ in range(3):
    graphs.call("other", lambda buffer: buffer.float(), host)
assert len(graphs) == 1
assert torch.rand(9, device="cuda").min() >= 0
"""


@pytest.mark.gpu
def test_a_function_that_waits_is_called_eagerly() -> None:
    """In a process of its own: a failed capture must not spoil the other tests."""
    done = subprocess.run([sys.executable, "-c", WAITS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.gpu
def test_the_oldest_graph_goes_when_it_was_not_used_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_GRAPHS", 2)
    monkeypatch.setattr(module, "OLD", 5)
    graphs = Graphs(torch.device("cuda"))
    for key in "aabbcc":
        graphs.call(key, doubled, on_gpu(1, 2, 3, 4))
    assert list(graphs._graphs) == ["a", "b"]
    for key in "bbc":
        graphs.call(key, doubled, on_gpu(1, 2, 3, 4))
    assert list(graphs._graphs) == ["b", "c"]
