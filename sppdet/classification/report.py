"""What a training shows of itself: history as JSON, curves as PNG, TensorBoard, a summary."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from sppdet.runtime.files import atomic_path, write_text
from sppdet.runtime.outputs import MARK

if TYPE_CHECKING:
    from sppdet.classification.training import Epoch


def write_history(folder: Path, history: Sequence["Epoch"], curves: bool = True) -> None:
    """Write ``history.json`` and, if asked, ``curves.png`` into the folder of a run."""
    write_text(folder / "history.json", json.dumps([asdict(e) for e in history], indent=1) + "\n")
    if curves:
        draw_curves(folder / "curves.png", history)


def draw_curves(path: Path, history: Sequence["Epoch"]) -> None:
    """Loss and accuracy of every epoch, on train and test, as a picture."""
    from matplotlib.figure import Figure

    numbers = [epoch.number for epoch in history]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(numbers, [e.train_loss for e in history], ".-", label="train (varied crops)")
    left.plot(numbers, [e.test_loss for e in history], ".-", label="test")
    left.set(xlabel="epoch", ylabel="cross entropy (nats)")
    right.plot(numbers, [100 * e.train_accuracy for e in history], ".-", label="train")
    right.plot(numbers, [100 * e.test_accuracy for e in history], ".-", label="test")
    right.set(xlabel="epoch", ylabel="accuracy (%)")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, metadata={"Software": MARK})


class TensorBoard:
    """Writes each epoch's figures to ``folder``; silent where tensorboard is not installed."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self._writer = None
        else:
            self._writer = SummaryWriter(str(folder))

    def add(self, epoch: "Epoch") -> None:
        """Write one epoch."""
        if self._writer is None:
            return
        for name, value in asdict(epoch).items():
            if isinstance(value, float):
                self._writer.add_scalar(name.replace("_", "/"), value, epoch.number)
        self._writer.flush()

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()


def summary(network: nn.Module, side: int) -> str:
    """The layers with the shapes of their results, their parameters and multiplications."""
    try:
        import torchinfo
    except ImportError:
        count = sum(parameter.numel() for parameter in network.parameters())
        return f"{count:,} parameters (install torchinfo for a table of the layers)"
    device = next(network.parameters()).device
    training = network.training
    with torch.random.fork_rng(devices=[]):
        text = torchinfo.summary(
            network,
            input_size=(1, 3, side, side),
            col_names=("output_size", "num_params", "mult_adds"),
            depth=4,
            device=device,
            verbose=0,
        )
    network.train(training)
    return str(text)
