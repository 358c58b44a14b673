"""A training's state in one safetensors file: tensors, and all else as JSON in the metadata."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import Tensor

from sppdet.errors import SppdetError
from sppdet.runtime.tensor_files import load_tensors, save_tensors


def save_state(
    path: str | os.PathLike[str],
    groups: Mapping[str, Mapping[str, Tensor]],
    about: Mapping[str, Any],
) -> None:
    """Write named groups of tensors and a JSON object; an interruption leaves no partial file.

    Raises:
        SppdetError: the file cannot be written.
    """
    tensors = {
        f"{group}/{name}": tensor
        for group, members in groups.items()
        for name, tensor in members.items()
    }
    save_tensors(path, tensors, {"format": "sppdet-training", "about": json.dumps(about)})


def load_state(
    path: str | os.PathLike[str],
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Read what :func:`save_state` wrote: the groups and the JSON object.

    Raises:
        SppdetError: the file is missing or has another format.
    """
    path = Path(path)
    if not path.is_file():
        raise SppdetError(f"{path}: no such checkpoint")
    groups: dict[str, dict[str, Tensor]] = {}
    try:
        tensors, metadata = load_tensors(path)
        about = json.loads(metadata["about"])
        for name, tensor in tensors.items():
            group, key = name.split("/", 1)
            groups.setdefault(group, {})[key] = tensor
    except (safetensors.SafetensorError, OSError, KeyError, ValueError, RecursionError):
        raise SppdetError(
            f"{path}: is not a checkpoint of sppdet classify; "
            "give RUN/best.safetensors or RUN/last.safetensors"
        ) from None
    return groups, about


class WeightAverage:
    """An exponential moving average of a network's parameters and statistics.

    Early on the average is shorter, ``(1 + steps) / (10 + steps)``, so that the first weights are
    soon forgotten.
    """

    def __init__(self, network: torch.nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.tensors = {key: value.detach().clone() for key, value in network.state_dict().items()}

    def parts(self, count: int) -> list[float]:
        """By which part of the way the average moves in each of the next ``count`` steps."""
        after = range(self.steps + 1, self.steps + count + 1)
        return [1 - min(self.decay, (1 + steps) / (10 + steps)) for steps in after]

    @torch.no_grad()
    def update(self, network: torch.nn.Module, part: Tensor | None = None) -> None:
        """Move towards the network's present weights by one step.

        Args:
            network: in training.
            part: of :meth:`parts`, on the device: for CUDA graphs, which count no steps, so the
                caller does; None: this method counts them.
        """
        state = network.state_dict()
        if part is not None:
            self._move(state, part)
            return
        part_now = self.parts(1)[0]
        self.steps += 1
        for key, value in state.items():
            own = self.tensors[key]
            if own.is_floating_point():
                own.lerp_(value, part_now)
            else:
                own.copy_(value)

    def _move(self, state: Mapping[str, Tensor], part: Tensor) -> None:
        """In a few launches for all tensors together."""
        moving = [key for key, own in self.tensors.items() if own.is_floating_point()]
        own, values = [self.tensors[key] for key in moving], [state[key] for key in moving]
        difference = torch._foreach_sub(values, own)
        torch._foreach_mul_(difference, part)
        torch._foreach_add_(own, difference)
        for key in self.tensors.keys() - set(moving):
            self.tensors[key].copy_(state[key])
