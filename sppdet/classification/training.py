"""Training a classification network: SGD, one state file per epoch, exact resume."""

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sppdet.classification.batches import test_batches, training_batches
from sppdet.classification.checkpoints import WeightAverage, load_state, save_state
from sppdet.classification.classifier import check_fit, check_sizes, network_of
from sppdet.classification.data import LabelledImages
from sppdet.classification.device_batches import EpochBatches, ResidentImages, can_stay
from sppdet.classification.distributed import ALONE, Processes
from sppdet.classification.schedule import image_size, learning_rate
from sppdet.classification.settings import ClassifySettings
from sppdet.classification.steps import GraphedCalls, Stepper, tuned_convolutions
from sppdet.classification.testing import TestResult, evaluate
from sppdet.classification.whitening import Whitening
from sppdet.errors import SppdetError
from sppdet.runtime.words import counted

BETWEEN_READINGS = 100
"""Steps on a GPU, or of several processes, until the loss is read: reading waits for them."""


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
"""Called with (step, steps, mean loss, mean accuracy so far): after each step of one process on a
CPU, otherwise every :data:`BETWEEN_READINGS` steps, and after the last one."""


class Training:
    """A network in training: call :meth:`run_epoch` until :attr:`finished`.

    The state after an epoch depends on the settings and the data only, and the random
    numbers of an epoch only on (seed, epoch): on a CPU a resumed training gives the same result bit
    for bit, on a GPU to rounding. On a GPU, images of equal size that fit into its memory stay
    there, batches are made there, and a whole step is one CUDA graph.

    Args:
        settings: of the training.
        classes: their names.
        device: where to train.
        processes: which train together, see :mod:`sppdet.classification.distributed`.

    Raises:
        SppdetError: the network is unknown, or does not take images of the settings' sizes.
    """

    def __init__(
        self,
        settings: ClassifySettings,
        classes: tuple[str, ...],
        device: torch.device,
        processes: Processes = ALONE,
    ) -> None:
        self.settings = settings
        self.classes = classes
        self.device = device
        self.processes = processes
        self.history: list[Epoch] = []
        network = network_of(settings, len(classes))
        check_sizes(settings, len(classes))
        network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = processes.prepare(network)
        self.average = WeightAverage(self.network, settings.average) if settings.average else None
        self.steps = Stepper(self.network, self.average, settings, device, processes)
        self.optimizer = self.steps.optimizer
        self.stays: Callable[[LabelledImages, torch.device], bool] = can_stay
        self._resident: dict[int, ResidentImages] = {}
        self._prepared: tuple[EpochBatches, GraphedCalls] | None = None

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
                f"--batch {chosen.batch_size}: larger than the "
                + counted(len(train), "training image")
            )
        start = time.perf_counter()
        if number == 0:
            self._fit_whitening(train)
        torch.manual_seed(chosen.seed * 100_003 + number + self.processes.rank * 1_000_000_007)
        sides = [
            image_size(chosen.sizes, chosen.size_order, number, chosen.epochs, step, chosen.seed)
            for step in range(steps)
        ]
        rates = [
            learning_rate(
                (number + step / steps) / chosen.epochs, chosen.rate, chosen.warmup, chosen.schedule
            )
            for step in range(steps)
        ]
        every = BETWEEN_READINGS
        if self.device.type == "cpu" and self.processes.count == 1:
            every = 1
        self.network.train()
        self.steps.begin()
        losses, right, images = 0.0, 0, 0
        with tuned_convolutions(self.device):
            for seen in self._walk(train, sides, rates, (chosen.seed, number)):
                if seen % every and seen < steps:
                    continue
                losses, right, images = self.steps.read()
                if not losses < float("inf"):
                    raise SppdetError(
                        f"the loss is not finite in epoch {number + 1}; try a lower --rate than "
                        f"{chosen.rate:g}"
                    )
                if listener:
                    listener(seen, steps, losses / seen, right / images)
        tested = self.test(test) if test is not None and self.processes.first else None
        epoch = Epoch(
            number=number + 1,
            sizes=",".join(map(str, sorted(set(sides)))),
            rate=rates[-1],
            train_loss=losses / steps,
            train_accuracy=right / images,
            test_loss=tested.loss if tested else float("nan"),
            test_accuracy=tested.top1 if tested else float("nan"),
            seconds=time.perf_counter() - start,
        )
        self.history.append(epoch)
        return epoch

    def _fit_whitening(self, data: LabelledImages) -> None:
        """Fit the first layer, if it is one that whitens, to the whole training images."""
        for layer in self.network.modules():
            if isinstance(layer, Whitening):
                batches = test_batches(data, layer.side, 500, self.settings.preprocessing)
                layer.fit(batch.images.to(self.device) for batch in batches)
                if self.average:
                    state = self.network.state_dict()
                    names = [name for name in state if "whitening." in name]
                    self.average.tensors.update({name: state[name].clone() for name in names})

    def _walk(
        self, data: LabelledImages, sides: list[int], rates: list[float], seed: tuple[int, int]
    ) -> Iterator[int]:
        """Take the steps of an epoch, and give their number so far after each."""
        chosen, part = self.settings, self.processes.part(self.settings.batch_size)
        resident = self._resident_images(data)
        if resident is None:
            batches = training_batches(
                data,
                sides,
                chosen.batch_size,
                chosen.augmentation,
                chosen.preprocessing,
                seed,
                part,
            )
            for step, (batch, rate) in enumerate(zip(batches, rates, strict=True)):
                self.steps.step(batch.images, batch.labels, rate, None)
                yield step + 1
            return
        on_device, take_step = self._prepare(resident, len(sides), part)
        moves = self.average.parts(len(sides)) if self.average else [0.0] * len(sides)
        on_device.begin(seed, np.stack([rates, moves], axis=1))
        for step, side in enumerate(sides):
            take_step(side)
            yield step + 1
        if self.average:
            self.average.steps += len(sides)

    def _resident_images(self, data: LabelledImages) -> ResidentImages | None:
        """The images on the device; they come there when they are needed first, if they fit."""
        known = self._resident.get(id(data))
        if known is None and data.packed is not None and self.stays(data, self.device):
            known = self._resident[id(data)] = ResidentImages(data, self.device)
        return known

    def _prepare(
        self, images: ResidentImages, steps: int, part: slice
    ) -> tuple[EpochBatches, GraphedCalls]:
        if self._prepared is None or self._prepared[0].images is not images:
            chosen = self.settings
            batches = EpochBatches(
                images,
                steps,
                chosen.batch_size,
                chosen.augmentation,
                chosen.preprocessing,
                part,
            )

            def body(side: int) -> None:
                batch, (rate, moved) = batches.take(side)
                self.steps.step(batch.images, batch.labels, rate, moved)

            graphs = self.processes.count == 1
            self._prepared = batches, GraphedCalls(body, self.device, graphs)
        return self._prepared

    def result(self) -> nn.Module:
        """The network to test and to keep: with averaged weights, if the settings ask for them."""
        if self.average is None:
            return self.network
        network = copy.deepcopy(self.network)
        network.load_state_dict(self.average.tensors)
        return network

    def test(self, data: LabelledImages) -> TestResult:
        """Accuracy of :meth:`result` on whole images."""
        chosen = self.settings
        return evaluate(
            self.result(),
            data,
            chosen.preprocessing,
            chosen.test_size,
            self.device,
            resident=self._resident_images(data),
        )

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
    def load(cls, path: Path, device: torch.device, processes: Processes = ALONE) -> "Training":
        """Continue from a file of :meth:`save`.

        Raises:
            SppdetError: the file has another format or version.
        """
        groups, about = load_state(path)
        try:
            settings = ClassifySettings.from_dict(about["settings"])
            classes = tuple(about["classes"])
            check_fit(settings, classes, groups["model"])
            training = cls(settings, classes, device, processes)
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
