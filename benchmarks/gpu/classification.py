"""Classification on a GPU: reading CIFAR-10, the time of an epoch and of a test, accuracies."""

import functools
import gc
import gzip
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sppdet.classification.data import LabelledImages
from sppdet.classification.settings import Augmentation, ClassifySettings, command_line
from sppdet.classification.testing import evaluate
from sppdet.classification.training import Training
from sppdet.classification.views import Views
from sppdet.images import read_image

SHIFTS = Augmentation(smallest_crop=1.0, ratio=1.0, shift=4, cutout=8)
RECIPES = {
    "spp5": ClassifySettings(
        "spp5",
        schedule="linear",
        label_smoothing=0.1,
        average=0.995,
        augmentation=Augmentation(smallest_crop=0.6),
    ),
    "nin": ClassifySettings(
        "nin",
        epochs=150,
        label_smoothing=0.1,
        dropout=0.3,
        augmentation=SHIFTS,
        schedule="cosine",
    ),
    "spp5-wide": ClassifySettings(
        "spp5-wide",
        epochs=30,
        batch_size=256,
        warmup=0.1,
        schedule="linear",
        label_smoothing=0.1,
        dropout=0.3,
        augmentation=SHIFTS,
    ),
}
Splits = tuple[LabelledImages, LabelledImages]


@functools.lru_cache(maxsize=1)
def read_cifar10(archive: Path, every: int = 1) -> Splits:
    """Train and test images from the archive cifar10/SPLIT/CLASS/IMAGE; each ``every``-th one."""
    content = gzip.decompress(archive.read_bytes())
    found: dict[str, list[tuple[str, bytes]]] = {"train": [], "test": []}
    for name, file in _files(content)[::every]:
        *_, split, label, _ = name.split("/")
        found[split].append((label, file))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        classes = tuple(sorted({label for entries in found.values() for label, _ in entries}))
        train, test = (_split(entries, classes, pool) for entries in found.values())
    return train, test


def _files(content: bytes) -> list[tuple[str, bytes]]:
    """Names and contents of the files of a tar archive, in a fifth of the time of ``tarfile``."""
    files, place = [], 0
    while place + 512 <= len(content) and content[place]:
        name = content[place : place + 100].rstrip(b"\0").decode()
        size = int(content[place + 124 : place + 135], 8)
        kind, place = content[place + 156 : place + 157], place + 512
        if kind in (b"0", b"\0"):
            files.append((name, content[place : place + size]))
        place += -(-size // 512) * 512
    return files


def _split(
    entries: list[tuple[str, bytes]], classes: tuple[str, ...], pool: ThreadPoolExecutor
) -> LabelledImages:
    packed = np.empty((len(entries), 32, 32, 3), np.uint8)

    def decode(start: int) -> None:
        for index in range(start, min(start + 500, len(entries))):
            packed[index] = read_image(entries[index][1])

    list(pool.map(decode, range(0, len(entries), 500)))
    labels = np.array([classes.index(label) for label, _ in entries], np.int64)
    boxes = np.full((len(entries), 4), np.nan, np.float32)
    return LabelledImages(classes, labels, boxes, (), packed)


def measure(data: Path, device: torch.device, short: bool, figures: dict[str, Any]) -> None:
    """Fill ``figures`` with the seconds of reading, and for each network of an epoch after the
    first and of a test."""
    start = time.perf_counter()
    splits = read_cifar10(data / "cifar10.tar.gz", 6000 if short else 1)
    figures["reading_seconds"] = time.perf_counter() - start
    figures["images"] = [len(split) for split in splits]
    for name in RECIPES:
        figures[name] = _tried(lambda name=name: _epochs(name, splits, device, short))


def _tried(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a measurement gives, or its error; the memory of its network is given back."""
    try:
        result = work()
    except Exception as error:
        result = {"failed": f"{type(error).__name__}: {error}"}
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return result


def _settings(name: str, device: torch.device, short: bool) -> ClassifySettings:
    chosen = replace(RECIPES[name], mixed_precision=device.type == "cuda")
    return replace(chosen, batch_size=4) if short else chosen


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _epochs(name: str, splits: Splits, device: torch.device, short: bool) -> dict[str, Any]:
    train, test = splits
    chosen = _settings(name, device, short)
    training = Training(chosen, train.classes, device)
    seconds = [training.run_epoch(train, None).seconds for _ in range(2 if short else 4)]
    tests = []
    for _ in range(1 if short else 3):
        _wait(device)
        start = time.perf_counter()
        training.test(test)
        tests.append(time.perf_counter() - start)
    epoch = statistics.median(seconds[1:])
    return {
        "epoch_seconds": epoch,
        "images_per_second": len(train) // chosen.batch_size * chosen.batch_size / epoch,
        "first_epoch_seconds": seconds[0],
        "test_seconds": min(tests),
        "batch_size": chosen.batch_size,
        "parameters": sum(p.numel() for p in training.network.parameters()),
        "cuda_graphs": len(training._prepared[1].graphs) if training._prepared else 0,
    }


def accuracy(data: Path, device: torch.device, short: bool, figures: dict[str, Any]) -> None:
    """Fill ``figures`` with the test accuracies of spp5-wide and of NIN, and their trainings."""
    splits = read_cifar10(data / "cifar10.tar.gz", 6000 if short else 1)
    for name in ("spp5-wide", "nin"):
        chosen = _settings(name, device, short)
        figures[name] = {"command": command_line(chosen), "epochs": chosen.epochs}
        failure = _tried(
            lambda name=name, chosen=chosen: _train(chosen, splits, device, figures[name])
        )
        figures[name].update(failure)


def _train(
    chosen: ClassifySettings, splits: Splits, device: torch.device, figures: dict[str, Any]
) -> dict[str, Any]:
    train, test = splits
    start = time.perf_counter()
    training = Training(chosen, train.classes, device)
    figures["train_losses"] = []
    while not training.finished:
        epoch = training.run_epoch(train, None)
        figures["train_losses"].append(round(epoch.train_loss, 4))
    figures["train_accuracy"] = training.history[-1].train_accuracy
    figures["top1"] = training.test(test).top1
    figures["seconds"] = time.perf_counter() - start
    views = Views((32,), 32)
    mirrored = evaluate(training.result(), test, chosen.preprocessing, None, device, views=views)
    return {"top1_with_mirror_images": mirrored.top1}
