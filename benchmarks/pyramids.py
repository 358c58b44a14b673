"""Section 3 of the SPP-net paper on CIFAR-10: pyramids, image sizes, whole images against crops.

Networks of five convolutions are trained on crops of 28 to 32 px, scaled to 32 px, as the paper
trains on crops of 224 of 256 px. The test scales an image to 36 px, which magnifies its object as
much as the training does, and takes the middle 32 px (``crop``), the whole image (``whole``), or
the whole image and nine windows of its map with their mirror images (``views``, section 3.1.5).

    python benchmarks/pyramids.py CIFAR10 --seeds 0,1,2
    python benchmarks/pyramids.py CIFAR10 --images 1000 --epochs 4 --rows "no SPP,one size"

Each finished training is kept in --work, so that the same command goes on after a stop; other
images, labels or settings, or another version of sppdet, are trained again. One table has the
accuracies, the other one what the paper claims, what is found here and its 95 % interval: that of
the difference over the same test images, with the spread of the seeds.
"""

import argparse
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pyramid_rows import CLAIMS, ROWS, SIDE, WAYS, WHOLE, Row, settings_of, ways_of
from running import command_line, key_of, several, start, whole, write_table
from torch import nn

from sppdet.classification.batches import test_batches
from sppdet.classification.data import LabelledImages, open_split
from sppdet.classification.settings import ClassifySettings
from sppdet.classification.training import Training
from sppdet.classification.views import multi_view_scores
from sppdet.cli.common import choose_device
from sppdet.errors import SppdetError
from sppdet.runtime.files import atomic_path


def main() -> None:
    """Train, test and write, row by row."""
    options = parse()
    device = choose_device(options.device)
    train, test = opened(options)
    content = [content_digest(train), content_digest(test), device.type]
    right: dict[tuple[str, str], list[NDArray[np.bool_]]] = {}
    for seed in options.seeds:
        for row in ROWS:
            if options.rows and shown(row) not in options.rows:
                continue
            settings = settings_of(row, seed, options.epochs)
            key = key_of(content, settings.to_dict(), [SIDE, WHOLE])
            file = (
                options.work / f"{shown(row).replace(' ', '-').replace('/', ',')}-{seed}-{key}.npz"
            )
            found = run(settings, ways_of(row), train, test, device, file)
            for way, correct in found.items():
                right.setdefault((row.name, way), []).append(correct)
            print(
                f"seed {seed}  {row.name:16}",
                *(f"{way} {100 * right[row.name, way][-1].mean():.2f} %" for way in ways_of(row)),
                sep="  ",
                flush=True,
            )
            write(right, len(train), len(test), options)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="CIFAR-10 as folders, or another set of 32 px")
    parser.add_argument(
        "--images", type=whole(1), help="training images of each class; default: all"
    )
    parser.add_argument(
        "--test-images", type=whole(1), help="test images of each class; default: all"
    )
    parser.add_argument("--epochs", type=whole(1), default=20)
    parser.add_argument(
        "--seeds", type=several(0), default="0,1,2", help="each is a training of every row"
    )
    parser.add_argument(
        "--rows", help=f"with commas; default: all of {', '.join(map(shown, ROWS))}"
    )
    parser.add_argument("--device")
    parser.add_argument("--work", type=Path, default=Path("out") / "pyramids")
    parser.add_argument("--json", type=Path, default=Path("out") / "pyramids.json")
    options = parser.parse_args()
    options.rows = [word.strip() for word in options.rows.split(",")] if options.rows else None
    unknown = set(options.rows or ()) - set(map(shown, ROWS))
    if unknown:
        parser.error(f"--rows {min(unknown)}: choose from {', '.join(map(shown, ROWS))}")
    return options


def shown(row: Row) -> str:
    """A row's name as --rows takes it, where a comma is between two rows."""
    return row.name.replace(",", "/")


def opened(options: argparse.Namespace) -> tuple[LabelledImages, LabelledImages]:
    """The training and the test images.

    Raises:
        SppdetError: they cannot be read, do not suit each other, or are fewer than a batch.
    """
    train, test = open_split(options.data, "train"), open_split(options.data, "test")
    if train.classes != test.classes:
        raise SppdetError(f"{options.data}: train and test have different classes (folders)")
    if any(
        one.packed is None or one.packed.shape[1] != one.packed.shape[2] for one in (train, test)
    ):
        raise SppdetError(f"{options.data}: give images of one size, such as 32 x 32 px")
    train, test = subset(train, options.images), subset(test, options.test_images)
    batch = ClassifySettings.batch_size
    if len(train) < batch:
        named = options.data if options.images is None else f"--images {options.images}"
        raise SppdetError(
            f"{named}: that is {len(train)} training images of {len(train.classes)} classes, and a "
            f"batch has {batch}; give more"
        )
    return train, test


def content_digest(data: LabelledImages) -> str:
    """A name of the classes, the labels and the pixels."""
    assert data.packed is not None
    digest = hashlib.sha256("\0".join(data.classes).encode())
    for part in (data.labels, np.array(data.packed.shape), data.packed):
        digest.update(hashlib.sha256(np.ascontiguousarray(part)).digest())
    return digest.hexdigest()


def subset(data: LabelledImages, count: int | None) -> LabelledImages:
    """The first ``count`` images of each class in a fixed random order; None: all."""
    if count is None:
        return data
    assert data.packed is not None, "images of one size are wanted"
    order = np.random.default_rng(0).permutation(len(data))
    kept = np.sort(
        np.concatenate([order[data.labels[order] == c][:count] for c in range(len(data.classes))])
    )
    paths = tuple(data.paths[index] for index in kept) if data.paths else ()
    return replace(
        data,
        labels=data.labels[kept],
        boxes=data.boxes[kept],
        packed=data.packed[kept],
        paths=paths,
    )


def run(
    settings: ClassifySettings,
    ways: tuple[str, ...],
    train: LabelledImages,
    test: LabelledImages,
    device: torch.device,
    file: Path,
) -> dict[str, NDArray[np.bool_]]:
    """Which test images a network names rightly, for each way of testing; kept in a file."""
    if file.is_file():
        with np.load(file) as content:
            return {way: content[way] for way in ways}
    training = Training(settings, train.classes, device)
    while not training.finished:
        training.run_epoch(train, None)
    right = tested(training.result(), test, training.settings, device, ways)
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **right)
    return right


def tested(
    network: nn.Module,
    data: LabelledImages,
    settings: ClassifySettings,
    device: torch.device,
    ways: Iterable[str],
) -> dict[str, NDArray[np.bool_]]:
    """Which images the network names rightly: from their middle, whole, and from several views."""
    network.eval()
    ways = tuple(ways)
    right: dict[str, list[NDArray[np.bool_]]] = {way: [] for way in ways}
    margin = (WHOLE - SIDE) // 2
    for batch in test_batches(data, WHOLE, 250, settings.preprocessing):
        images, labels = batch.images.to(device), batch.labels.to(device)
        for way in ways:
            with torch.inference_mode():
                if way == "views":
                    scores = multi_view_scores(network, images, SIDE, True)
                elif way == "whole":
                    scores = network(images)
                else:
                    middle = images[..., margin : margin + SIDE, margin : margin + SIDE]
                    scores = network(middle.contiguous(memory_format=torch.channels_last))
            right[way].append((scores.argmax(1) == labels).cpu().numpy())
    return {way: np.concatenate(parts) for way, parts in right.items()}


def difference(
    better: list[NDArray[np.bool_]], worse: list[NDArray[np.bool_]]
) -> tuple[float, float]:
    """Points between two rows over the same seeds and images, and half the 95 % interval.

    The variance is that of the mean over the images of the difference that the seeds have on
    average, plus that of the seeds' own differences.
    """
    pairs = np.stack(better).astype(float) - np.stack(worse).astype(float)
    seeds, images = pairs.shape
    variance = pairs.mean(0).var(ddof=1) / images
    if seeds > 1:
        variance += pairs.mean(1).var(ddof=1) / seeds
    return 100 * float(pairs.mean()), 196 * float(np.sqrt(variance))


def write(
    right: dict[tuple[str, str], list[NDArray[np.bool_]]],
    train: int,
    test: int,
    options: argparse.Namespace,
) -> None:
    """Write both tables of what is done so far."""
    command = command_line("pyramids.py", [options.data.absolute().name.upper()], options)
    note = (
        f"Top-1 accuracy in % on {test:,} test images, {train:,} training images, "
        f"{options.epochs} epochs; differences in points."
    )
    rows: list[list[Any]] = []
    for row in ROWS:
        if (row.name, "crop") not in right:
            continue
        found: list[Any] = []
        for way in WAYS:
            runs = right.get((row.name, way))
            found.append(100 * float(np.mean(runs)) if runs else None)
        levels = ", ".join(map(str, row.levels)) if row.levels else "none"
        sizes = ", ".join(map(str, row.sizes))
        count = len(right[row.name, "crop"])
        rows.append([row.name, levels, row.pooling, sizes, count, *found])
    columns = dict.fromkeys(("row", "levels", "pooling", "training sizes, px", "seeds"), "")
    columns |= dict.fromkeys(WAYS, ".2f")
    write_table(options.json, command, note, columns, rows)
    claims: list[list[Any]] = []
    for claim in CLAIMS:
        pair = right.get(claim.better), right.get(claim.worse)
        if not pair[0] or not pair[1]:
            continue
        seeds = min(len(pair[0]), len(pair[1]))
        found, half = difference(pair[0][:seeds], pair[1][:seeds])
        verdict = "holds" if found > half else "does not hold" if found < -half else "not decided"
        verdict = verdict if seeds > 1 else "one seed: not decided"
        claims.append([claim.text, seeds, found, [found - half, found + half], verdict])
    heads = {
        "claim": "",
        "seeds": "",
        "found here": "+.2f",
        "95 %": "+.2f",
        "here": "",
    }
    path = options.json.with_name(f"{options.json.stem.removesuffix('s')}_claims.json")
    write_table(path, command, note, heads, claims)


if __name__ == "__main__":
    start(main)
