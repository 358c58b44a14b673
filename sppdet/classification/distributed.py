"""Several processes that train one network together, started by torchrun."""

import os
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sppdet.classification.batches import ALL
from sppdet.errors import SppdetError


@dataclass(frozen=True)
class Processes:
    """The processes of a training; each takes its part of every batch.

    Gradients are averaged after the backward pass and batch norm takes its statistics over all
    parts, so that the weights are those of a single process to rounding. Dropout draws other
    numbers in each process. An image that cannot be read makes the parts unequal; their gradients
    count equally nevertheless.

    Attributes:
        rank: the number of this process; 0 tests, writes and prints.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def part(self, batch_size: int) -> slice:
        """The images of each batch that this process takes.

        Raises:
            SppdetError: the batch cannot be divided into equal parts.
        """
        if self.count == 1:
            return ALL
        if batch_size % self.count:
            raise SppdetError(
                f"--batch {batch_size}: cannot be divided among {self.count} processes; "
                f"give a multiple of {self.count}"
            )
        size = batch_size // self.count
        return slice(self.rank * size, (self.rank + 1) * size)

    def prepare(self, network: nn.Module) -> nn.Module:
        """The network with batch norms over all processes; their names and tensors stay."""
        if self.count == 1:
            return network
        return _with_shared_norms(network)

    def average_gradients(self, network: nn.Module) -> None:
        """Replace the gradients by their mean over all processes, in one message."""
        if self.count == 1:
            return
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        together = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(together)
        together /= self.count
        parts = together.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes."""
        if self.count > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values


ALONE = Processes()


def join_processes(device: torch.device) -> tuple[Processes, torch.device]:
    """Join the processes that torchrun has started; without torchrun there is this one alone.

    Args:
        device: that was asked for. Of several processes on GPUs each takes one of its own.

    Returns:
        The processes, and the device of this one.

    Raises:
        SppdetError: there are more processes than GPUs.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return ALONE, device
    if device.type == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise SppdetError(
                f"--nproc-per-node: is larger than the {torch.cuda.device_count()} GPUs here"
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Processes(dist.get_rank(), dist.get_world_size()), device


def leave_processes() -> None:
    """End what :func:`join_processes` began."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


class _Sum(torch.autograd.Function):
    """The sum over all processes; so its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm with the statistics of all processes, for any device and backend.

    PyTorch's ``SyncBatchNorm`` is for GPUs only. This one is differentiable through the sums over
    the processes; every process must have the same number of images.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        axes, values = (0, 2, 3), input.float()
        means = torch.stack([values.mean(axes), values.square().mean(axes)])
        mean, square = _Sum.apply(means) / dist.get_world_size()
        variance = square - mean.square()
        count = input.numel() // input.shape[1] * dist.get_world_size()
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            assert self.momentum is not None
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / max(count - 1, 1)), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        result = values * scale[:, None, None] + shift[:, None, None]
        return result.to(input.dtype)


def _with_shared_norms(module: nn.Module) -> nn.Module:
    """Replace the batch norms: PyTorch's own for GPUs, :class:`SharedBatchNorm` elsewhere."""
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    if device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
        return converted
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            shared = SharedBatchNorm(child.num_features, child.eps, child.momentum)
            shared.load_state_dict(child.state_dict())
            setattr(module, name, shared)
        else:
            _with_shared_norms(child)
    return module
