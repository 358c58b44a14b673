"""Fine-tuning of fully connected layers on pooled windows (SPP-net paper, section 4).

fc6 and fc7 are followed by a softmax over the classes and the background, and by class-specific box
regression; both learn together (Fast R-CNN paper, section 2.3). The trunk stays as it is. fc6
learns in the principal components of the windows (:mod:`sppdet.training.projection`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sppdet.heads.connected import SoftmaxScorer
from sppdet.heads.gram import products
from sppdet.heads.layers import Layers
from sppdet.heads.regression import BoxRegression
from sppdet.settings import ConnectedSettings
from sppdet.training.projection import Projection, principal_components
from sppdet.training.windows import Windows
from sppdet.trunks.fully_connected import FullyConnected

_SIGMA = 0.01
"""Standard deviation of the last layers' first weights (SPP-net paper, section 4)."""


@dataclass(frozen=True)
class Tuned:
    """What was learned.

    Attributes:
        scorer: the softmax, with its layers.
        regression: the box regression on the same layers.
    """

    scorer: SoftmaxScorer
    regression: BoxRegression


def multi_task_loss(logits: Tensor, deltas: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """The mean over B windows of (Fast R-CNN paper, equations 1 to 3)

        -log softmax(logits)[u] + [u is a class] sum_i smooth_L1(deltas[u, i] - targets[i])

    where u is the label, and smooth_L1(x) is x^2 / 2 for |x| < 1 and |x| - 1/2 elsewhere.

    Args:
        logits: (B, K + 1); the last column is the background.
        deltas: (B, 4 K), class by class.
        labels: (B,) int64, K for the background.
        targets: (B, 4).
    """
    loss = nn.functional.cross_entropy(logits, labels)
    positive = torch.nonzero(labels < logits.shape[1] - 1)[:, 0]
    own = deltas.view(len(deltas), -1, 4)[positive, labels[positive]]
    moved = nn.functional.smooth_l1_loss(own, targets[positive], reduction="sum")
    return loss + moved / len(labels)


def mini_batches(
    labels: NDArray[np.int64],
    classes: int,
    steps: int,
    settings: ConnectedSettings,
    random: np.random.Generator,
) -> Iterator[NDArray[np.int64]]:
    """Rows of ``steps`` mini-batches, of which ``settings.positive_share`` are positives.

    Positives and background windows each go through all of theirs, in random order, before one
    comes again.
    """
    count = round(settings.batch * settings.positive_share)
    kinds = (
        (np.flatnonzero(labels < classes), count),
        (np.flatnonzero(labels == classes), settings.batch - count),
    )
    streams = [_endless(rows, size, random) for rows, size in kinds if len(rows) and size]
    for _ in range(steps):
        yield np.concatenate([next(stream) for stream in streams])


def _endless(
    rows: NDArray[np.int64], size: int, random: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    waiting = np.zeros(0, np.int64)
    while True:
        while len(waiting) < size:
            waiting = np.concatenate([waiting, random.permutation(rows)])
        yield waiting[:size]
        waiting = waiting[size:]


@dataclass(frozen=True)
class Inputs:
    """The windows as fc6 sees them while it learns.

    Attributes:
        windows: N windows.
        projection: from their features to the principal components of all windows.
        values: (N, R) float32, the components.
        start: the first fc6 and fc7, on raw features; None where these are random.
        outputs: (N, U) float16, what that fc6 gives before its ReLU; None likewise.
    """

    windows: Windows
    projection: Projection
    values: Tensor
    start: tuple[nn.Linear, nn.Linear] | None
    outputs: Tensor | None


def prepare_inputs(
    windows: Windows,
    settings: ConnectedSettings,
    start: FullyConnected | None = None,
    workers: int = 1,
) -> Inputs:
    """Read the windows' features from the disk once and keep what the fine-tuning needs of them.

    Args:
        windows: of all images.
        settings: the number of components.
        start: fc6 and fc7 that were trained before, for windows of one level.
        workers: threads.
    """
    with torch.inference_mode(False), torch.no_grad():
        features = torch.from_numpy(windows.features)
        projection = principal_components(features, settings.components, workers)
        values = projection(features, workers)
        if start is None:
            return Inputs(windows, projection, values, None, None)
        fc6, fc7 = start.as_linear()
        outputs = torch.from_numpy(products(features, fc6.weight.detach(), workers))
        return Inputs(windows, projection, values, (fc6, fc7), (outputs + fc6.bias).half())


def fine_tune(
    inputs: Inputs,
    classes: int,
    settings: ConnectedSettings,
    *,
    without: NDArray[np.int64] | None = None,
    seed: int = 0,
    device: torch.device | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Tuned:
    """Train the layers with stochastic gradient descent.

    Args:
        inputs: of all images.
        classes: K.
        settings: see :class:`sppdet.settings.ConnectedSettings`.
        without: numbers of images whose windows are left out.
        seed: of the first values, of dropout and of the mini-batches.
        device: where to train; None means the CPU.
        progress: told of the mini-batches done, and of their number.

    Returns:
        What was learned, on the CPU.
    """
    device = device or torch.device("cpu")
    windows = inputs.windows
    out = np.zeros(0, np.int64) if without is None else without
    rows = np.flatnonzero(~np.isin(windows.images, out))
    labels = windows.labels[rows]
    known = np.unique(labels[labels < classes])
    middle, spread = _moments(windows.targets[rows[labels < classes]])
    steps = settings.epochs * -(-len(rows) // settings.batch)
    random = np.random.default_rng([seed, 3])
    # Gradients also inside a training that needs none elsewhere.
    with torch.inference_mode(False), torch.enable_grad():
        targets = torch.from_numpy((windows.targets - middle) / spread)
        every = torch.from_numpy(windows.labels)
        network = _Network(inputs, rows, classes, settings, seed).to(device).train()
        rate = settings.learning_rate if inputs.start is None else settings.tuning_rate
        optimizer = torch.optim.SGD(
            network.parameters(),
            lr=rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
        for step, chosen in enumerate(mini_batches(labels, classes, steps, settings, random)):
            if step == steps * 5 // 6:
                for group in optimizer.param_groups:
                    group["lr"] = rate / 10
            index = torch.from_numpy(rows[chosen])
            outputs = None if inputs.outputs is None else inputs.outputs[index].to(device)
            logits, deltas = network(inputs.values[index].to(device), outputs)
            wanted = every[index].to(device), targets[index].to(device)
            optimizer.zero_grad()
            torch.autograd.backward(multi_task_loss(logits, deltas, *wanted))
            optimizer.step()
            progress(step + 1, steps)
        return network.cpu().tuned(inputs, known, middle, spread)


def _moments(targets: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation, (4,) each, by which the targets (M, 4) are normalized."""
    if len(targets) == 0:
        return np.zeros(4, np.float32), np.ones(4, np.float32)
    return targets.mean(axis=0), np.maximum(targets.std(axis=0), 1e-3)


class _Network(nn.Module):
    """fc6 on the components, fc7, and behind them the softmax's logits and the box regression.

    Where the layers were trained before, fc6 on the components is what is added to their fc6.
    """

    def __init__(
        self,
        inputs: Inputs,
        rows: NDArray[np.int64],
        classes: int,
        settings: ConnectedSettings,
        seed: int,
    ) -> None:
        super().__init__()
        self.seed = seed
        self.dropout = settings.dropout
        self.generator: torch.Generator | None = None
        # fc6 sees inputs of the norm that fc7 sees, so that one learning rate suits both.
        units = settings.units if inputs.start is None else inputs.start[0].out_features
        norm = float(inputs.values[torch.from_numpy(rows)].norm(dim=1).mean())
        self.factor = units**0.5 / max(norm, 1e-12)
        self.fc6 = _linear(inputs.values.shape[1], units)
        self.fc7 = _linear(units, units)
        self.logits = _linear(units, classes + 1)
        self.deltas = _linear(units, 4 * classes)
        first = (2 / units) ** 0.5
        random = torch.Generator().manual_seed(seed)
        for layer, sigma in (
            (self.fc6, first if inputs.start is None else 0.0),
            (self.fc7, first),
            (self.logits, _SIGMA),
            (self.deltas, _SIGMA / 10),
        ):
            nn.init.normal_(layer.weight, std=sigma, generator=random)
            nn.init.zeros_(layer.bias)
        if inputs.start is not None:
            self.fc7.load_state_dict(inputs.start[1].state_dict())

    def forward(self, values: Tensor, outputs: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, R) components to logits (B, K + 1) and deltas (B, 4 K)."""
        values = self.fc6(values * self.factor)
        values = values if outputs is None else values + outputs
        values = self._dropped(values.relu())
        values = self._dropped(self.fc7(values).relu())
        return self.logits(values), self.deltas(values)

    def _dropped(self, values: Tensor) -> Tensor:
        """Dropout with random numbers of the network's own, so that two can train side by side."""
        if not self.training or self.dropout == 0:
            return values
        if self.generator is None:
            self.generator = torch.Generator(values.device).manual_seed(self.seed)
        kept = torch.empty_like(values).bernoulli_(1 - self.dropout, generator=self.generator)
        return values * kept / (1 - self.dropout)

    @torch.no_grad()
    def tuned(
        self,
        inputs: Inputs,
        known: NDArray[np.int64],
        middle: NDArray[np.float32],
        spread: NDArray[np.float32],
    ) -> Tuned:
        """The layers for raw features, and targets without the normalization.

        Weights are rounded to half precision, in which a model file keeps them. ``known`` are the
        classes with positives.
        """
        projection = inputs.projection
        fc6 = self.factor * self.fc6.weight @ projection.rows
        bias = self.fc6.bias - fc6 @ projection.middle
        if inputs.start is not None:
            fc6 += inputs.start[0].weight
            bias = bias + inputs.start[0].bias
        rounded = fc6.half().float()
        bias = bias + (fc6 - rounded) @ projection.middle
        fc7 = self.fc7.weight.half().float()
        layers = Layers((rounded, fc7), (bias, self.fc7.bias.clone()))
        classes = len(self.logits.bias) - 1
        absent = np.setdiff1d(np.arange(classes), known)
        last = self.logits.bias.clone()
        last[torch.from_numpy(absent)] = -torch.inf
        scorer = SoftmaxScorer(layers, self.logits.weight.clone(), last)
        scale = torch.from_numpy(np.tile(spread, classes))
        shift = torch.from_numpy(np.tile(middle, classes))
        weight = self.deltas.weight * scale[:, None]
        return Tuned(scorer, BoxRegression(weight, self.deltas.bias * scale + shift, layers))


def _linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer without values, which leaves torch's own random numbers as they are."""
    return nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")
