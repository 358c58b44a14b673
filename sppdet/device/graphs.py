"""CUDA graphs of a function of one buffer: all launches of an image in one."""

import gc
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

Output = TypeVar("Output")

MOST_GRAPHS = 64
"""Graphs that are kept: about 40 for images at one scale, whose sides are rounded
(:mod:`sppdet.device.canvas`)."""

MOST_SEEN = 4096
"""Keys that are remembered without a graph."""

OLD = 4 * MOST_GRAPHS
"""Calls after which a graph that was not used may make room for another. Without it, images in turn
of more sizes than there are graphs would be captured again and again."""


@dataclass
class _Captured:
    """A graph with the buffers that it reads and writes, and the number of its latest call."""

    graph: torch.cuda.CUDAGraph
    buffer: Tensor
    output: Any
    used: int


class Graphs:
    """Calls functions of a buffer on one stream; a call that comes again is captured and replayed.

    The output of a call is overwritten by the next call with the same key: what reads it must be
    queued on the stream before. The graphs share the memory of what lies between their input and
    their output. On a CPU the functions are called as they are.

    One thread must make all calls: the libraries' handles and their plans of convolutions belong to
    a thread, and a handle that is made within a capture breaks it.

    Args:
        device: of the buffers and the functions.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        # Graphs are captured on a stream of their own. PyTorch records an event on the stream of
        # each copy whose pinned memory is given back, by any thread and at any time, and an event
        # on a stream that is being captured is an error.
        self._aside = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._pool = torch.cuda.graph_pool_handle() if self.stream is not None else None
        self._graphs: OrderedDict[Hashable, _Captured] = OrderedDict()
        self._seen: OrderedDict[Hashable, bool] = OrderedDict()
        self._buffers: dict[int, Tensor] = {}
        self._calls = 0

    def __len__(self) -> int:
        return len(self._graphs)

    def call(self, key: Hashable, function: Callable[[Tensor], Output], host: Tensor) -> Output:
        """``function`` of a copy of ``host`` on the device.

        It is called eagerly for a new key, captured when the key comes again, and replayed from
        then on.

        Args:
            key: names all on which the function's launches depend.
            function: takes a buffer (B,) uint8 on the device, of which it may use the beginning
                only. It launches the same kernels for equal keys and never waits for the device.
            host: (n,) uint8, pinned if the device is a GPU.
        """
        if self.stream is None:
            return function(host)
        self._calls += 1
        with torch.cuda.stream(self.stream):
            buffer = self._buffer(len(host))
            buffer[: len(host)].copy_(host, non_blocking=True)
            found = self._graphs.get(key)
            if found is None and self._seen.get(key, False) and self._room():
                found = self._capture(key, function, buffer)
            if found is None:
                self._seen.setdefault(key, True)
                if len(self._seen) > MOST_SEEN:
                    self._seen.popitem(last=False)
                return function(buffer)
            self._graphs.move_to_end(key)
            found.used = self._calls
            found.graph.replay()
            output: Output = found.output
            return output

    def _buffer(self, length: int) -> Tensor:
        """A buffer of at least this length: all calls of about this length use the same one."""
        size = 1 << max(length - 1, 1).bit_length()
        if size not in self._buffers:
            self._buffers[size] = torch.empty(size, dtype=torch.uint8, device=self.device)
        return self._buffers[size]

    def _room(self) -> bool:
        """Whether another graph may be kept; the oldest goes when it was not used for long."""
        if len(self._graphs) < MOST_GRAPHS:
            return True
        oldest = next(iter(self._graphs.values()))
        if self._calls - oldest.used < OLD:
            return False
        assert self.stream is not None
        self.stream.synchronize()  # it may still run
        self._graphs.popitem(last=False)
        return True

    def _capture(
        self, key: Hashable, function: Callable[[Tensor], Any], buffer: Tensor
    ) -> _Captured | None:
        """A graph of the call; None where the function cannot be captured."""
        # torch.cuda.graph() would wait for the device and give back all free memory first.
        graph = torch.cuda.CUDAGraph()
        collects = gc.isenabled()
        gc.disable()
        try:
            with torch.cuda.stream(self._aside):
                graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
                try:
                    output = function(buffer)
                finally:
                    graph.capture_end()
        except RuntimeError:  # a network of one's own may wait for the device
            self._seen[key] = False
            self._recover()
            return None
        finally:
            if collects:
                gc.enable()
        found = _Captured(graph, buffer, output, self._calls)
        self._graphs[key] = found
        return found

    def _recover(self) -> None:
        """Undo what PyTorch leaves behind a capture that has failed."""
        # The generator of random numbers would refuse to work outside a capture.
        index = self.device.index if self.device.index is not None else torch.cuda.current_device()
        generator = torch.cuda.default_generators[index]
        generator.graphsafe_set_state(generator.clone_state())
        self._pool = torch.cuda.graph_pool_handle()  # the old one is still marked as in use
