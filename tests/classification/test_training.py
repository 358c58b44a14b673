import dataclasses
from pathlib import Path

import pytest
import torch

from sppdet.classification.augment import Augmentation
from sppdet.classification.checkpoints import WeightAverage, load_state, save_state
from sppdet.classification.data import open_split
from sppdet.classification.networks import build_network
from sppdet.classification.settings import ClassifySettings
from sppdet.classification.training import Training
from sppdet.errors import SppdetError

CPU = torch.device("cpu")
SETTINGS = ClassifySettings(
    "spp5",
    levels=(1, 2),
    epochs=4,
    batch_size=12,
    sizes=(16, 20),
    rate=0.02,
    label_smoothing=0.1,
    dropout=0.2,
    average=0.8,
    seed=3,
    augmentation=Augmentation(0.5, object_crops=0.4, color=0.2),
)


def state(training: Training) -> dict[str, torch.Tensor]:
    buffers = {
        f"momentum {name}": training.optimizer.state[parameter]["momentum_buffer"]
        for name, parameter in training.network.named_parameters()
    }
    return {**training.network.state_dict(), **buffers}


@pytest.mark.parametrize("order", ["epoch", "batch", "rising"])
def test_resumed_equals_uninterrupted_bit_for_bit(
    order: str, square_folder: Path, tmp_path: Path
) -> None:
    train, test = open_split(square_folder, "train"), open_split(square_folder, "test")
    settings = dataclasses.replace(SETTINGS, size_order=order)
    straight = Training(settings, train.classes, CPU)
    while not straight.finished:
        straight.run_epoch(train, test)
    resumed = Training(settings, train.classes, CPU)
    while not resumed.finished:
        torch.rand(7)  # whatever else draws from torch's global generator
        resumed.run_epoch(train, test)
        resumed.save(tmp_path / "last.safetensors")
        resumed = Training.load(tmp_path / "last.safetensors", CPU)
    ours, theirs = state(straight), state(resumed)
    assert len(ours) == len(theirs) > 20
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    for key, tensor in straight.average.tensors.items():
        assert torch.equal(tensor, resumed.average.tensors[key])
    strip = [dataclasses.replace(e, seconds=0) for e in straight.history]
    assert strip == [dataclasses.replace(e, seconds=0) for e in resumed.history]


EXACT = Augmentation(1.0, ratio=1.0, color=0.2, shift=2, cutout=5)
"""Without scaling, so that the images made on a device are those of the host."""


@pytest.mark.parametrize("average", [0.0, 0.8])
def test_resident_images_train_as_those_of_the_host(average: float, square_folder: Path) -> None:
    train, test = open_split(square_folder, "train"), open_split(square_folder, "test")
    settings = dataclasses.replace(SETTINGS, average=average, sizes=(20,), augmentation=EXACT)
    host, resident = (Training(settings, train.classes, CPU) for _ in range(2))
    resident.stays = lambda data, device: True
    for training in (host, resident):
        while not training.finished:
            training.run_epoch(train, test)
    assert resident._resident
    assert not host._resident
    ours, theirs = state(resident), state(host)
    for key, tensor in ours.items():
        assert torch.allclose(tensor, theirs[key], rtol=1e-3, atol=1e-4), key
    if average:
        assert resident.average.steps == host.average.steps
        for key, tensor in resident.average.tensors.items():
            assert torch.allclose(tensor, host.average.tensors[key], rtol=1e-3, atol=1e-4), key
    for one, other in zip(resident.history, host.history, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-3)
        assert one.test_accuracy == other.test_accuracy
        assert one.rate == other.rate


def test_resident_images_resumed_equals_uninterrupted(square_folder: Path, tmp_path: Path) -> None:
    train = open_split(square_folder, "train")
    settings = dataclasses.replace(SETTINGS, epochs=2)
    straight, resumed = (Training(settings, train.classes, CPU) for _ in range(2))
    for training in (straight, resumed):
        training.stays = lambda data, device: True
        training.run_epoch(train, None)
    straight.run_epoch(train, None)
    resumed.save(tmp_path / "last.safetensors")
    resumed = Training.load(tmp_path / "last.safetensors", CPU)
    resumed.stays = lambda data, device: True
    resumed.run_epoch(train, None)
    ours, theirs = state(straight), state(resumed)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    for key, tensor in straight.average.tensors.items():
        assert torch.equal(tensor, resumed.average.tensors[key])


@pytest.mark.gpu
def test_graphs_on_a_gpu_train_as_the_cpu(
    square_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without dropout, whose numbers are the device's own; with graphs of two sizes; resumed."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    train, test = open_split(square_folder, "train"), open_split(square_folder, "test")
    settings = dataclasses.replace(
        SETTINGS, dropout=0.0, augmentation=EXACT, batch_size=4, epochs=3, size_order="batch"
    )
    device = torch.device("cuda")
    cpu, gpu = (Training(settings, train.classes, where) for where in (CPU, device))
    seen: list[int] = []
    for epoch in range(3):
        cpu.run_epoch(train, test)
        if epoch == 2:
            assert set(gpu._prepared[1].graphs) == {16, 20}
            gpu.save(tmp_path / "last.safetensors")
            gpu = Training.load(tmp_path / "last.safetensors", device)
        gpu.run_epoch(train, test, lambda step, *_: seen.append(step))
    assert seen == [12] * 3
    assert not torch.backends.cudnn.benchmark
    for one, other in zip(cpu.history, gpu.history, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=0.05)
    for key, tensor in cpu.average.tensors.items():
        assert torch.allclose(tensor, gpu.average.tensors[key].cpu(), rtol=0.1, atol=0.02), key


def test_it_learns(square_folder: Path) -> None:
    train, test = open_split(square_folder, "train"), open_split(square_folder, "test")
    settings = dataclasses.replace(SETTINGS, epochs=6, dropout=0.0, average=0.5)
    training = Training(settings, train.classes, CPU)
    while not training.finished:
        training.run_epoch(train, test)
    assert training.history[-1].test_accuracy >= 0.9
    assert training.history[-1].train_loss < training.history[0].train_loss


def test_one_step_is_plain_sgd(square_folder: Path) -> None:
    """A step of one batch by hand: Nesterov, decay of matrices only, label smoothing."""
    train = open_split(square_folder, "train")
    settings = dataclasses.replace(
        SETTINGS, batch_size=48, dropout=0.0, average=0.0, epochs=1, warmup=0.0, sizes=(20,)
    )
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    training = Training(settings, train.classes, CPU)
    original = training.steps.step
    training.steps.step = lambda images, labels, *more: (  # type: ignore[method-assign]
        seen.append((images, labels)) or original(images, labels, *more)
    )
    training.run_epoch(train, None)
    twin = build_network("spp5", 3, (1, 2), 0.0, settings.seed).train()
    twin = twin.to(memory_format=torch.channels_last)
    torch.nn.functional.cross_entropy(twin(seen[0][0]), seen[0][1], label_smoothing=0.1).backward()
    for name, parameter in twin.named_parameters():
        gradient = parameter.grad
        if parameter.ndim > 1:
            gradient = gradient + settings.weight_decay * parameter.detach()
        moved = parameter.detach() - settings.rate * (gradient + settings.momentum * gradient)
        own = dict(training.network.named_parameters())[name]
        assert torch.allclose(own, moved, rtol=1e-4, atol=1e-6), name


def test_the_average_is_what_is_tested() -> None:
    network = torch.nn.Linear(2, 2, bias=False)
    average = WeightAverage(network, 0.5)
    start = network.weight.detach().clone()
    with torch.no_grad():
        network.weight += 1.0
    average.update(network)
    part = 1 - min(0.5, 2 / 11)
    assert torch.allclose(average.tensors["weight"], start + part)


def test_too_few_images_and_divergence(square_folder: Path) -> None:
    train = open_split(square_folder, "train")
    big = Training(dataclasses.replace(SETTINGS, batch_size=64), train.classes, CPU)
    with pytest.raises(SppdetError, match="--batch 64"):
        big.run_epoch(train, None)
    wild = Training(dataclasses.replace(SETTINGS, rate=1e30, average=0.0), train.classes, CPU)
    with pytest.raises(SppdetError, match="lower --rate"):
        wild.run_epoch(train, None)


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    file = tmp_path / "last.safetensors"
    with pytest.raises(SppdetError, match="no such checkpoint"):
        load_state(file)
    file.write_bytes(b"\x00" * 100)
    with pytest.raises(SppdetError, match="is not a checkpoint"):
        load_state(file)
    save_state(file, {"model": {"a": torch.zeros(1)}}, {"settings": {}, "classes": []})
    with pytest.raises(SppdetError, match="does not fit"):
        Training.load(file, CPU)
