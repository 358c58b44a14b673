"""Training a classification network: SGD, one state file per epoch, exact resume."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sppdet.classification.batches import training_batches
from sppdet.classification.checkpoints import WeightAverage, load_state, save_state
from sppdet.classification.classifier import check_fit
from sppdet.classification.data import LabelledImages
from sppdet.classification.networks import build_network
from sppdet.classification.schedule import image_size, learning_rate
from sppdet.classification.settings import ClassifySettings
from sppdet.classification.testing import TestResult, evaluate
from sppdet.errors import SppdetError


@dataclass(frozen=True)
class Epoch:
    """The figures of one epoch: losses in nats, accuracies from 0 to 1; trained on random crops."""

    number: int
    sizes: str
    rate: float
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    seconds: float


Listener = Callable[[int, int, float, float], None]
"""Called after each step with (step, steps, mean loss, mean accuracy so far)."""


class Training:
    """A network in training: call :meth:`run_epoch` until :attr:`finished`.

    The state after an epoch depends on the settings and the data only, and the random
    numbers of an epoch only on (seed, epoch): a resumed training gives the same result bit for bit.
    """

    def __init__(
        self, settings: ClassifySettings, classes: tuple[str, ...], device: torch.device
    ) -> None:
        self.settings = settings
        self.classes = classes
        self.device = device
        self.history: list[Epoch] = []
        network = build_network(
            settings.network, len(classes), settings.levels, settings.dropout, settings.seed
        )
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
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
        )
        self.average = WeightAverage(network, settings.average) if settings.average else None

    @property
    def finished(self) -> bool:
        return len(self.history) >= self.settings.epochs

    def run_epoch(
        self,
        train: LabelledImages,
        test: LabelledImages | None,
        listener: Listener | None = None,
    ) -> Epoch:
        """Train for one epoch and test.

        Raises:
            SppdetError: fewer images than a batch, or the loss is no longer finite.
        """
        chosen, number = self.settings, len(self.history)
        steps = len(train) // chosen.batch_size
        if steps == 0:
            raise SppdetError(
                f"--batch {chosen.batch_size}: larger than the {len(train)} training images"
            )
        start = time.perf_counter()
        torch.manual_seed(chosen.seed * 100_003 + number)
        sides = [
            image_size(chosen.sizes, chosen.size_order, number, chosen.epochs, step, chosen.seed)
            for step in range(steps)
        ]
        batches = training_batches(
            train,
            sides,
            chosen.batch_size,
            chosen.augmentation,
            chosen.preprocessing,
            (chosen.seed, number),
        )
        self.network.train()
        losses = right = rate = 0.0
        images = 0
        for step, batch in enumerate(batches):
            progress = (number + step / steps) / chosen.epochs
            rate = learning_rate(progress, chosen.rate, chosen.warmup, chosen.schedule)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            loss, hits = self._step(batch.images, batch.labels)
            losses += loss
            right += hits
            images += len(batch.labels)
            if not loss < float("inf"):
                raise SppdetError(
                    f"the loss is not finite in epoch {number + 1}; try a lower --rate than "
                    f"{chosen.rate:g}"
                )
            if listener:
                seen = step + 1
                listener(seen, steps, losses / seen, right / images)
        tested = self.test(test) if test is not None else None
        epoch = Epoch(
            number=number + 1,
            sizes=",".join(map(str, sorted(set(sides)))),
            rate=rate,
            train_loss=losses / steps,
            train_accuracy=right / images,
            test_loss=tested.loss if tested else float("nan"),
            test_accuracy=tested.top1 if tested else float("nan"),
            seconds=time.perf_counter() - start,
        )
        self.history.append(epoch)
        return epoch

    def _step(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, int]:
        images = images.to(self.device, non_blocking=True)
        labels = labels.to(self.device, non_blocking=True)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, self.settings.mixed_precision):
            output = self.network(images)
            scores = getattr(output, "logits", output)
            loss = cross_entropy(
                scores.float(), labels, label_smoothing=self.settings.label_smoothing
            )
        loss.backward()
        self.optimizer.step()
        if self.average:
            self.average.update(self.network)
        return float(loss.detach()), int((scores.detach().argmax(dim=1) == labels).sum())

    def result(self) -> nn.Module:
        """The network to test and to keep: with averaged weights, if the settings ask for them."""
        if self.average is None:
            return self.network
        chosen = self.settings
        network = build_network(
            chosen.network, len(self.classes), chosen.levels, chosen.dropout, chosen.seed
        )
        network.load_state_dict(self.average.tensors)
        return network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def test(self, data: LabelledImages) -> TestResult:
        """Accuracy of :meth:`result` on whole images."""
        chosen = self.settings
        return evaluate(self.result(), data, chosen.preprocessing, chosen.test_size, self.device)

    def save(self, path: Path) -> None:
        """Write everything that resuming needs."""
        names = {id(p): name for name, p in self.network.named_parameters()}
        momentum = {
            names[id(parameter)]: state["momentum_buffer"]
            for parameter, state in self.optimizer.state.items()
            if state.get("momentum_buffer") is not None
        }
        groups = {"model": self.network.state_dict(), "momentum": momentum}
        if self.average:
            groups["average"] = self.average.tensors
        about = {
            "settings": self.settings.to_dict(),
            "classes": self.classes,
            "history": [asdict(epoch) for epoch in self.history],
            "average_steps": self.average.steps if self.average else 0,
        }
        save_state(path, groups, about)

    @classmethod
    def load(cls, path: Path, device: torch.device) -> "Training":
        """Continue from a file of :meth:`save`.

        Raises:
            SppdetError: the file has another format or version.
        """
        groups, about = load_state(path)
        try:
            settings = ClassifySettings.from_dict(about["settings"])
            classes = tuple(about["classes"])
            check_fit(settings, classes, groups["model"])
            training = cls(settings, classes, device)
            training.network.load_state_dict(groups["model"])
            training.history = [Epoch(**values) for values in about["history"]]
            parameters = dict(training.network.named_parameters())
            for name, buffer in groups.get("momentum", {}).items():
                state = training.optimizer.state[parameters[name]]
                state["momentum_buffer"] = torch.empty_like(parameters[name]).copy_(buffer)
            if training.average:
                training.average.steps = about["average_steps"]
                for name, tensor in groups["average"].items():
                    training.average.tensors[name].copy_(tensor)
        except SppdetError as error:
            raise SppdetError(f"{path}: {error}") from None
        except Exception as error:  # a file can hold anything
            reason = " ".join(str(error).split())[:200]
            raise SppdetError(
                f"{path}: does not fit this version of sppdet, or is damaged "
                f"({type(error).__name__}: {reason})"
            ) from None
        return training
