"""What each choice of the papers is worth: one changed choice at a time, on folds.

For every data set the images of the training split are divided into folds. A detector learns from
the other folds and is tested on one, so that every image is tested once; the average precision is
that of all these detections together. Each variant differs from the first, the baseline, in one
choice, and the difference has the 95 % interval of a paired bootstrap over the images. Proposals
are `fast`, images are not mirrored.

    python benchmarks/ablations.py ../shared/data/fruit ../shared/data/bccd ../shared/data/kangaroo
    python benchmarks/ablations.py ../shared/data/fruit --images 12 --folds 2 --only levels,pooling

The detections of finished variants are kept in --work: the same command goes on after a stop, and a
variant that is added later is compared with the baseline that is there. The table is written after
each variant to --json, in the form of benchmarks/tables.py, and drawn to --figure.
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sampled_regions import SampledRegionFeatures

from sppdet.cli.common import choose_device, images_at_a_time
from sppdet.cli.splits import training_split
from sppdet.datasets import Dataset, read_dataset
from sppdet.detections import Detections
from sppdet.evaluation.detecting import detect_all
from sppdet.evaluation.intervals import bootstrap, compare
from sppdet.evaluation.voc import VocResult, evaluate_voc
from sppdet.features.rcnn import RcnnRegionFeatures
from sppdet.features.regions import RegionExtractor
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.connected import Connected, ConnectedSvms
from sppdet.heads.linear import LinearSvms
from sppdet.runtime.files import atomic_path, write_text
from sppdet.settings import (
    DetectorSettings,
    MiningSettings,
    RcnnSettings,
    SppSettings,
    TrainSettings,
)
from sppdet.training.train import train
from sppdet.trunks import Trunk, load_trunk

FIVE = (480, 576, 688, 864, 1200)
"""The paper's scales; the trunk's first scale stands in the place of 688."""

COLUMNS = {
    "data": "",
    "choice": "",
    "variant": "",
    "mAP": ".3f",
    "95 %": ".3f",
    "difference": "+.3f",
    "95 % of the difference": "+.3f",
    "seconds": ",.0f",
}


@dataclass(frozen=True)
class Variant:
    """One changed choice.

    Attributes:
        choice: which choice it changes; ``--only`` names these.
        name: what it is instead.
        features: settings of SPP-net's features that differ; ``scales`` 5 means the paper's five.
        training: settings of the training that differ.
        heads: a name in :func:`heads_of`.
        method: spp, rcnn or sampled (:mod:`sampled_regions`).
    """

    choice: str
    name: str
    features: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    heads: str = "svm"
    method: str = "spp"


VARIANTS = (
    Variant("baseline", "SPP-net, 1 scale, levels 1,2,3,6, max, SVMs"),
    Variant("levels", "1", {"levels": (1,)}),
    Variant("levels", "1,2", {"levels": (1, 2)}),
    Variant("levels", "1,2,4", {"levels": (1, 2, 4)}),
    Variant("levels", "7: 49 bins, one level", {"levels": (7,)}),
    Variant("pooling", "average", {"pooling": "average"}),
    Variant("scales", "5", {"scales": 5}),
    Variant("mapping", "code: 6.5 px at stride 16", {"mapping": "code"}),
    Variant("mapping", "nearest centres", {"mapping": "nearest"}),
    Variant("mapping", "samples between cells, as RoIAlign", method="sampled"),
    Variant("regression", "none", training={"box_regression": False}),
    Variant("mining", "none", training={"mining": MiningSettings(hard_per_image=0)}),
    Variant("heads", "softmax on fine-tuned layers", heads="connected"),
    Variant("heads", "SVMs on the same fc7", heads="connected-svm"),
    Variant("method", "R-CNN", method="rcnn"),
)


def heads_of(name: str) -> LinearSvms | Connected | ConnectedSvms:
    """What learns from the features."""
    if name == "svm":
        return LinearSvms()
    return Connected() if name == "connected" else ConnectedSvms(Connected(), LinearSvms())


def extractor_of(variant: Variant, trunk: Trunk) -> RegionExtractor:
    """The features of a variant."""
    if variant.method == "rcnn":
        return RcnnRegionFeatures(trunk, RcnnSettings(trunk.spec.crop, trunk.spec.context))
    chosen = dict(variant.features)
    base = trunk.spec.scales[0]
    scales = (base,)
    if chosen.pop("scales", 1) == 5:
        scales = tuple(round(base * side / 688 / 16) * 16 for side in FIVE)
    kind = SampledRegionFeatures if variant.method == "sampled" else SppRegionFeatures
    return kind(trunk, SppSettings(scales, **chosen))


def main() -> None:
    """Train, test and write, variant by variant."""
    options = parse()
    where = choose_device(options.device)
    workers = images_at_a_time(where, options.workers)
    trunk = load_trunk(options.trunk, options.weights, where)
    rows: list[list[Any]] = []
    for path in options.data:
        dataset = subset(path, options.images, options.seed)
        baseline: VocResult | None = None
        for variant in VARIANTS:
            if variant.choice not in options.only:
                continue
            settings = TrainSettings(
                detector=DetectorSettings("fast", options.boxes),
                seed=options.seed,
                workers=workers,
                mirror=False,
            )
            settings = replace(settings, **variant.training)
            extractor = extractor_of(variant, trunk)
            found, seconds = detections_of(dataset, variant, extractor, settings, options)
            figures = evaluate_voc(found, dataset.all_annotations(), dataset.classes)
            baseline = baseline or figures
            rows.append([path.name, *row(variant, figures, baseline, len(dataset.images), seconds)])
            print(*rows[-1], sep="  ", flush=True)
            write(rows, options)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    choices = list(dict.fromkeys(variant.choice for variant in VARIANTS))
    parser.add_argument("data", type=Path, nargs="+", help="data sets; training splits are taken")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--images", type=int, help="at most so many images of a data set")
    parser.add_argument("--boxes", type=int, default=2000, help="proposals per image")
    parser.add_argument("--trunk", default="lite0")
    parser.add_argument("--weights", help="of the trunk")
    parser.add_argument("--only", help=f"choices, with commas: {', '.join(choices)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--work", type=Path, default=Path("out") / "ablations")
    parser.add_argument("--json", type=Path, default=Path("out") / "ablations.json")
    parser.add_argument("--figure", type=Path, default=Path("out") / "ablations.png")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else choices
    unknown = [name for name in wanted if name not in choices]
    if unknown:
        parser.error(f"--only {unknown[0]}: choose from {', '.join(choices)}")
    options.only = {"baseline", *wanted}
    if options.folds < 2:
        parser.error("--folds: at least 2")
    return options


def subset(path: Path, images: int | None, seed: int) -> Dataset:
    """The training split, or some of its images in a random order."""
    dataset = read_dataset(path, training_split(path, None))
    if images is None or images >= len(dataset.images):
        return dataset
    order = np.random.default_rng(seed).permutation(len(dataset.images))
    return dataset.subset(sorted(order[:images].tolist()), dataset.split)


def detections_of(
    dataset: Dataset,
    variant: Variant,
    extractor: RegionExtractor,
    settings: TrainSettings,
    options: argparse.Namespace,
) -> tuple[list[Detections], float]:
    """The detections in every image, by the detector of the other folds; and the seconds."""
    count = len(dataset.images)
    described = asdict(settings)
    for name in ("workers", "store_bytes"):
        del described[name]
    key = [
        [path.name for path in dataset.images],
        extractor.trunk.digest,
        extractor.to_json(),
        described,
        variant.heads,
        options.folds,
    ]
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    file = options.work / f"{dataset.path.name}-{variant.choice}-{digest}.npz"
    if file.is_file():
        return read(file, count, dataset.classes)
    found = [Detections.none(dataset.classes)] * count
    start = time.perf_counter()
    order = np.random.default_rng(settings.seed).permutation(count)
    for fold in np.array_split(order, options.folds):
        others = np.setdiff1d(np.arange(count), fold)
        trained = train(
            dataset.subset(others.tolist(), "fold"),
            extractor,
            settings,
            heads=heads_of(variant.heads),
        )
        trained.images.clear()
        files = [dataset.images[index] for index in fold]
        results, _ = detect_all(trained.detector, files, settings.workers)
        for index, result in zip(fold.tolist(), results, strict=True):
            found[index] = result
    seconds = time.perf_counter() - start
    keep(file, found, seconds)
    return found, seconds


def keep(file: Path, found: Sequence[Detections], seconds: float) -> None:
    """Write detections to a file that :func:`read` reads."""
    file.parent.mkdir(parents=True, exist_ok=True)
    images = np.repeat(np.arange(len(found)), [len(one) for one in found])
    with atomic_path(file) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            images=images,
            boxes=np.concatenate([one.boxes for one in found]),
            labels=np.concatenate([one.labels for one in found]),
            scores=np.concatenate([one.scores for one in found]),
            seconds=seconds,
        )


def read(file: Path, count: int, classes: tuple[str, ...]) -> tuple[list[Detections], float]:
    """The detections of ``count`` images, and the seconds that they took."""
    with np.load(file) as content:
        parts = {name: content[name] for name in content.files}
    found = []
    for index in range(count):
        mine = parts["images"] == index
        chosen = (parts[name][mine] for name in ("boxes", "labels", "scores"))
        found.append(Detections(*chosen, classes))
    return found, float(parts["seconds"])


def row(
    variant: Variant, figures: VocResult, baseline: VocResult, images: int, seconds: float
) -> list[Any]:
    """The cells of a row behind the name of the data."""
    interval = bootstrap(figures, images)["map_area"]
    cells: list[Any] = [variant.choice, variant.name, figures.map_area]
    cells.append([interval.low, interval.high])
    if figures is baseline:
        return [*cells, None, None, seconds]
    change = compare(baseline, figures, images)["map_area"]
    return [*cells, change.difference, [change.low, change.high], seconds]


def write(rows: list[list[Any]], options: argparse.Namespace) -> None:
    """Write the table and the figure of the rows so far."""
    short = f" --images {options.images}" if options.images else ""
    names = " ".join(path.name.upper() for path in options.data)
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    content = {
        "command": [
            f"python benchmarks/ablations.py {names} --folds {options.folds}{short} "
            f"--trunk {options.trunk} --seed {options.seed}"
        ],
        "commit": commit or "not recorded",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}; Python "
        f"{platform.python_version()}, torch {torch.__version__}",
        "threads": torch.get_num_threads(),
        "date": date.today().isoformat(),
        "note": f"Mean area AP at IoU 0.5 on {options.folds} folds of the training splits, "
        "differences from the first row of the same data with paired bootstrap intervals over the "
        f"images. {options.trunk}, {options.boxes:,} proposals `fast`, no mirrored images.",
        "columns": COLUMNS,
        "rows": rows,
    }
    write_text(options.json, json.dumps(content, indent=1) + "\n")
    draw(rows, options.figure)


def draw(rows: list[list[Any]], path: Path) -> None:
    """The differences from the baseline with their intervals: one panel for each data set."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(entry[0] for entry in rows))
    labels = list(dict.fromkeys(f"{e[1]}: {e[2]}" for e in rows if e[5] is not None))
    figure = Figure(figsize=(3 + 3 * len(names), 1.5 + 0.35 * len(labels)), layout="constrained")
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        for entry in rows:
            if entry[0] == name and entry[5] is not None:
                place = labels.index(f"{entry[1]}: {entry[2]}")
                low, high = (100 * end for end in entry[6])
                axes.plot([low, high], [place, place], color="tab:blue")
                axes.plot([100 * entry[5]], [place], "o", color="tab:blue")
        axes.axvline(0, color="grey", linewidth=1)
        first = next(entry for entry in rows if entry[0] == name)
        axes.set(title=f"{name}: {100 * (first[3] or 0):.1f} %", xlabel="points of mAP")
        axes.set_yticks(range(len(labels)), labels)
        axes.grid(axis="x", alpha=0.3)
    panels[0].invert_yaxis()
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


if __name__ == "__main__":
    main()
