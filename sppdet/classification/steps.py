"""Steps of SGD that do not wait for the device, and CUDA graphs of them."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sppdet.classification.checkpoints import WeightAverage
from sppdet.classification.distributed import Processes
from sppdet.classification.settings import ClassifySettings
from sppdet.errors import SppdetWarning

WARM_STEPS = 3
"""Steps without a graph per image size: libraries choose their kernels and take their memory."""

MOST_GRAPHS = 4
"""Image sizes that get a graph; each graph keeps the memory of a whole step."""


@contextmanager
def tuned_convolutions(device: torch.device) -> Iterator[None]:
    """Let cuDNN measure which kernel is the fastest for each shape, within the block only."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = before or device.type == "cuda"
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


class Stepper:
    """Steps of SGD with Nesterov momentum; matrices and kernels decay, vectors do not.

    The sums of the losses and of the right answers stay on the device until :meth:`read`. On a GPU
    the learning rate is a tensor, so that a CUDA graph can read another one in each step.

    Args:
        network: in training; on ``device``.
        average: of its weights, moved in each step; or None.
        settings: of the training.
        device: of the network.
        processes: which together take the steps.
    """

    def __init__(
        self,
        network: nn.Module,
        average: WeightAverage | None,
        settings: ClassifySettings,
        device: torch.device,
        processes: Processes,
    ) -> None:
        self.network = network
        self.average = average
        self.settings = settings
        self.device = device
        self.processes = processes
        decayed = [p for p in network.parameters() if p.ndim > 1]
        others = [p for p in network.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.SGD(
            [
                {"params": decayed, "weight_decay": settings.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=settings.rate,
            momentum=settings.momentum,
            nesterov=settings.momentum > 0,
            fused=True if device.type == "cuda" else None,
        )
        if device.type == "cuda":
            rate = torch.tensor(settings.rate, device=device)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
        exact = torch.float32 if device.type == "mps" else torch.float64
        self._sums = torch.zeros(3, dtype=exact, device=device)

    def begin(self) -> None:
        """Set the sums to zero."""
        self._sums.zero_()

    def step(
        self, images: Tensor, labels: Tensor, rate: float | Tensor, part: Tensor | None
    ) -> None:
        """Take one step.

        Args:
            images: (B, 3, H, W) preprocessed; on any device.
            labels: (B,) int64.
            rate: the learning rate; as a tensor without axes where it is on the device already.
            part: by which the average moves, on the device; None: the average counts the steps.
        """
        images = images.to(self.device, non_blocking=True)
        labels = labels.to(self.device, non_blocking=True)
        self._set_rate(rate)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(
            self.device.type, torch.bfloat16, self.settings.mixed_precision, cache_enabled=False
        ):
            output = self.network(images)
            scores = getattr(output, "logits", output)
            loss = cross_entropy(
                scores.float(), labels, label_smoothing=self.settings.label_smoothing
            )
        loss.backward()
        self.processes.average_gradients(self.network)
        self.optimizer.step()
        if self.average:
            self.average.update(self.network, part)
        self._sums[0].add_(loss.detach())
        self._sums[1].add_((scores.detach().argmax(dim=1) == labels).sum())
        self._sums[2].add_(len(labels))

    def _set_rate(self, rate: float | Tensor) -> None:
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = float(rate)

    def read(self) -> tuple[float, int, int]:
        """Since :meth:`begin`: sum of the mean losses, right answers, images. Waits for the device.

        They are those of all processes, each of which must call this.
        """
        losses, right, images = self.processes.sum(self._sums).tolist()
        return losses / self.processes.count, int(right), int(images)


class GraphedCalls:
    """Calls ``body(key)``; on a GPU each key's call becomes a CUDA graph after some warm calls.

    A graph launches all kernels of a step at once. That makes small networks several times faster,
    whose kernels are shorter than their launches. The body must do the same on the same memory in
    every call and must not wait for the device. A body that cannot be captured is called as it is,
    after one warning.

    Args:
        body: what to call.
        device: where it works.
        graphs: False calls the body as it is.
    """

    def __init__(
        self, body: Callable[[int], None], device: torch.device, graphs: bool = True
    ) -> None:
        self.body = body
        self.device = device
        self.capturing = graphs and device.type == "cuda"
        self.graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._calls: dict[int, int] = {}
        self._aside = torch.cuda.Stream(device) if self.capturing else None

    def __call__(self, key: int) -> None:
        graph = self.graphs.get(key)
        if graph is not None:
            graph.replay()
        elif not self.capturing or len(self.graphs) >= MOST_GRAPHS:
            self.body(key)
        elif self._calls.setdefault(key, 0) < WARM_STEPS:
            self._calls[key] += 1
            self._call_aside(key)
        else:
            self._capture(key)

    def _call_aside(self, key: int) -> None:
        """Call on a stream of its own, as capturing demands of the calls before it."""
        with torch.cuda.device(self.device):
            current, aside = torch.cuda.current_stream(), self._aside
            assert aside is not None
            aside.wait_stream(current)
            with torch.cuda.stream(aside):
                self.body(key)
            current.wait_stream(aside)

    def _capture(self, key: int) -> None:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.device(self.device), torch.cuda.graph(graph):
                self.body(key)
        except RuntimeError as error:
            self.capturing = False
            self._recover()
            reason = " ".join(str(error).split())[:120]
            warnings.warn(
                SppdetWarning(f"training goes on without CUDA graphs, slower ({reason})"),
                stacklevel=2,
            )
            self.body(key)
        else:
            self.graphs[key] = graph
            graph.replay()  # capturing computes nothing

    def _recover(self) -> None:
        """Give PyTorch a generator that knows nothing of the capture that failed: for dropout."""
        index = torch.cuda.current_device() if self.device.index is None else self.device.index
        generator = torch.cuda.default_generators[index]
        generator.graphsafe_set_state(generator.clone_state())
