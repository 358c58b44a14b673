"""Section 3 of the SPP-net paper on CIFAR-10: pyramids, image sizes, whole images against crops.

Networks of five convolutions are trained on crops of 28 to 32 px, scaled to 32 px, as the paper
trains on crops of 224 of 256 px. The test scales an image to 36 px, which magnifies its object as
much as the training does, and takes the middle 32 px (``crop``), the whole image (``whole``), or
the whole image and nine windows of its map with their mirror images (``views``, section 3.1.5).

    python benchmarks/pyramids.py CIFAR10 --seeds 0,1,2
    python benchmarks/pyramids.py CIFAR10 --images 1000 --epochs 4 --rows "no SPP,one size"

Each finished training is kept in --work, so that the same command goes on after a stop. One table
has the accuracies, the other one what the paper claims, what is found here and its 95 % interval:
that of the difference over the same test images, with the spread of the seeds.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sppdet.classification.batches import test_batches
from sppdet.classification.data import LabelledImages, open_split
from sppdet.classification.networks import WITH_LEVELS
from sppdet.classification.settings import Augmentation, ClassifySettings
from sppdet.classification.training import Training
from sppdet.classification.views import multi_view_scores
from sppdet.cli.common import choose_device
from sppdet.runtime.files import atomic_path, write_text

SIDE, WHOLE = 32, 36
"""Pixels: of a training crop, and of a whole test image at the same magnification."""

SMALLEST = (28 / 32) ** 2
"""Part of the area of the smallest crop: 28 px of 32, as 224 of 256."""

BINS = (4, 2, 1)
"""The pyramid of most rows, 21 bins of a map of 8 x 8 cells."""


@dataclass(frozen=True)
class Row:
    """One network and how it is trained."""

    name: str
    network: str = "spp5"
    levels: tuple[int, ...] | None = BINS
    pooling: str = "max"
    sizes: tuple[int, ...] = (SIDE,)


ROWS = (
    Row("no SPP", "spp5-flatten", None),
    Row("one size"),
    Row("two sizes", sizes=(26, SIDE)),
    Row("levels 1", levels=(1,)),
    Row("levels 2,1", levels=(2, 1)),
    Row("levels 6,3,2,1", levels=(6, 3, 2, 1)),
    Row("level 4", levels=(4,)),
    Row("level 5", levels=(5,)),
    Row("level 7", levels=(7,)),
    Row("average", pooling="average"),
)


@dataclass(frozen=True)
class Claim:
    """A difference that the paper finds: ``better`` is more accurate than ``worse``."""

    text: str
    better: tuple[str, str]
    worse: tuple[str, str]


CLAIMS = (
    Claim("a pyramid helps", ("one size", "crop"), ("no SPP", "crop")),
    Claim("several training sizes help", ("two sizes", "crop"), ("one size", "crop")),
    Claim("the whole image beats its crop", ("one size", "whole"), ("one size", "crop")),
    Claim("several views help", ("one size", "views"), ("one size", "whole")),
    Claim("more levels help: 4,2,1 against 2,1", ("one size", "whole"), ("levels 2,1", "whole")),
    Claim("2,1 against 1", ("levels 2,1", "whole"), ("levels 1", "whole")),
    Claim("6,3,2,1 against 4,2,1", ("levels 6,3,2,1", "whole"), ("one size", "whole")),
    Claim(
        "levels, not bins: 21 bins of 4,2,1 against 25 of one level",
        ("one size", "whole"),
        ("level 5", "whole"),
    ),
    Claim("4,2,1 against 16 bins of one level", ("one size", "whole"), ("level 4", "whole")),
    Claim(
        "50 bins of 6,3,2,1 against 49 of one level",
        ("levels 6,3,2,1", "whole"),
        ("level 7", "whole"),
    ),
    Claim("maxima against averages", ("one size", "whole"), ("average", "whole")),
)
"""What is compared, as (row, way of testing)."""

WAYS = ("crop", "whole", "views")


def main() -> None:
    """Train, test and write, row by row."""
    options = parse()
    device = choose_device(options.device)
    train = subset(open_split(options.data, "train"), options.images)
    test = subset(open_split(options.data, "test"), options.test_images)
    right: dict[tuple[str, str], list[NDArray[np.bool_]]] = {}
    for seed in options.seeds:
        for row in ROWS:
            if row.name not in options.rows:
                continue
            for way, correct in run(row, seed, train, test, device, options).items():
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
    parser.add_argument("--images", type=int, help="training images of each class; default: all")
    parser.add_argument("--test-images", type=int, help="test images of each class; default: all")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--rows", default=",".join(row.name.replace(",", "/") for row in ROWS))
    parser.add_argument("--device")
    parser.add_argument("--work", type=Path, default=Path("out") / "pyramids")
    parser.add_argument("--json", type=Path, default=Path("out") / "pyramids.json")
    options = parser.parse_args()
    options.seeds = [int(word) for word in options.seeds.split(",")]
    options.rows = [name.strip().replace("/", ",") for name in options.rows.split(",")]
    unknown = set(options.rows) - {row.name for row in ROWS}
    if unknown:
        names = ", ".join(row.name.replace(",", "/") for row in ROWS)
        parser.error(f"--rows {min(unknown)}: choose from {names}")
    return options


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


def settings_of(row: Row, seed: int, epochs: int) -> ClassifySettings:
    """The training of a row."""
    return ClassifySettings(
        row.network,
        row.levels if row.network in WITH_LEVELS else None,
        pooling="average" if row.pooling == "average" else "max",
        epochs=epochs,
        sizes=row.sizes,
        test_size=SIDE,
        schedule="linear",
        label_smoothing=0.1,
        average=0.995,
        seed=seed,
        augmentation=Augmentation(SMALLEST, 1.0),
    )


def ways_of(row: Row) -> tuple[str, ...]:
    """How a row's network can be tested: without a pyramid it takes the crop only."""
    return WAYS if row.network in WITH_LEVELS else WAYS[:1]


def run(
    row: Row,
    seed: int,
    train: LabelledImages,
    test: LabelledImages,
    device: torch.device,
    options: argparse.Namespace,
) -> dict[str, NDArray[np.bool_]]:
    """Which test images a network names rightly, for each way of testing."""
    name = f"{row.name.replace(' ', '-')}-{seed}-{options.epochs}-{len(train)}-{len(test)}.npz"
    file = options.work / name
    if file.is_file():
        with np.load(file) as content:
            return {way: content[way] for way in ways_of(row)}
    training = Training(settings_of(row, seed, options.epochs), train.classes, device)
    while not training.finished:
        training.run_epoch(train, None)
    right = tested(training.result(), test, training.settings, device, ways_of(row))
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
    save(options.json, rows, columns | dict.fromkeys(WAYS, ".2f"), train, test, options)
    claims: list[list[Any]] = []
    for claim in CLAIMS:
        pair = right.get(claim.better), right.get(claim.worse)
        if not pair[0] or not pair[1]:
            continue
        seeds = min(len(pair[0]), len(pair[1]))
        found, half = difference(pair[0][:seeds], pair[1][:seeds])
        verdict = "holds" if found > half else "does not hold" if found < -half else "not decided"
        claims.append([claim.text, seeds, found, [found - half, found + half], verdict])
    heads = {
        "claim": "",
        "seeds": "",
        "found here": "+.2f",
        "95 %": "+.2f",
        "here": "",
    }
    path = options.json.with_name(f"{options.json.stem.removesuffix('s')}_claims.json")
    save(path, claims, heads, train, test, options)


def save(
    path: Path,
    rows: list[list[Any]],
    columns: dict[str, str],
    train: int,
    test: int,
    options: argparse.Namespace,
) -> None:
    """One table in the form of benchmarks/tables.py."""
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    limits = f" --images {options.images}" if options.images else ""
    limits += f" --test-images {options.test_images}" if options.test_images else ""
    content = {
        "command": [
            f"python benchmarks/pyramids.py CIFAR10{limits} --epochs {options.epochs} "
            f"--seeds {','.join(map(str, options.seeds))}"
        ],
        "commit": commit or "not recorded",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}; Python "
        f"{platform.python_version()}, torch {torch.__version__}",
        "threads": torch.get_num_threads(),
        "date": date.today().isoformat(),
        "note": f"Top-1 accuracy in % on {test:,} test images, {train:,} training images, "
        f"{options.epochs} epochs; differences in points.",
        "columns": columns,
        "rows": rows,
    }
    write_text(path, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
