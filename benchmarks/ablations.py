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
each variant to --json, in the form of benchmarks/tables.py, and drawn to --figure. Other images or
labels, other settings and another version of sppdet are measured again.
"""

import argparse
import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from ablation_variants import VARIANTS, Variant, extractor_of, heads_of
from running import command_line, key_of, start, whole, write_table

from sppdet.cli.common import choose_device, images_at_a_time
from sppdet.cli.splits import training_split
from sppdet.datasets import Dataset, read_dataset
from sppdet.detections import Detections
from sppdet.errors import SppdetError
from sppdet.evaluation.detecting import detect_all
from sppdet.evaluation.intervals import bootstrap, compare
from sppdet.evaluation.voc import VocResult, evaluate_voc
from sppdet.features.regions import RegionExtractor
from sppdet.runtime.files import atomic_path
from sppdet.settings import DetectorSettings, SelectionSettings, TrainSettings
from sppdet.training.train import train
from sppdet.trunks import load_trunk

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


def main() -> None:
    """Train, test and write, variant by variant."""
    options = parse()
    where = choose_device(options.device)
    workers = images_at_a_time(where, options.workers)
    trunk = load_trunk(options.trunk, options.weights, where)
    datasets = [subset(path, options) for path in options.data]
    rows: list[list[Any]] = []
    for path, dataset in zip(options.data, datasets, strict=True):
        place = path.absolute().name
        content = content_digest(dataset)
        baseline: VocResult | None = None
        for variant in VARIANTS:
            if options.only and variant.choice not in ("baseline", *options.only):
                continue
            settings = TrainSettings(
                detector=DetectorSettings(
                    "fast", options.boxes, SelectionSettings(**variant.selection)
                ),
                seed=options.seed,
                workers=workers,
                mirror=False,
            )
            settings = replace(settings, **variant.training)
            extractor = extractor_of(variant, trunk)
            name = key_of(content, described(variant, extractor, settings), options.folds)
            file = options.work / f"{place}-{variant.choice}-{name}.npz"
            if file.is_file():
                found, seconds = read(file, len(dataset.images), dataset.classes)
            else:
                found, seconds = detections_of(dataset, variant, extractor, settings, options.folds)
                keep(file, found, seconds)
            figures = evaluate_voc(found, dataset.all_annotations(), dataset.classes)
            baseline = baseline or figures
            rows.append([place, *row(variant, figures, baseline, len(dataset.images), seconds)])
            print(*rows[-1], sep="  ", flush=True)
            write(rows, options)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    choices = list(dict.fromkeys(variant.choice for variant in VARIANTS))
    parser.add_argument("data", type=Path, nargs="+", help="data sets; training splits are taken")
    parser.add_argument("--folds", type=whole(2), default=3)
    parser.add_argument("--images", type=whole(2), help="at most so many images of a data set")
    parser.add_argument("--boxes", type=whole(1), default=2000, help="proposals per image")
    parser.add_argument("--trunk", default="lite0")
    parser.add_argument("--weights", help="of the trunk")
    parser.add_argument("--only", help=f"choices, with commas: {', '.join(choices)}")
    parser.add_argument("--seed", type=whole(0), default=0)
    parser.add_argument("--device")
    parser.add_argument("--workers", type=whole(1))
    parser.add_argument("--work", type=Path, default=Path("out") / "ablations")
    parser.add_argument("--json", type=Path, default=Path("out") / "ablations.json")
    parser.add_argument("--figure", type=Path, default=Path("out") / "ablations.png")
    options = parser.parse_args()
    options.only = options.only.split(",") if options.only else None
    unknown = [name for name in options.only or () if name not in choices]
    if unknown:
        parser.error(f"--only {unknown[0]}: choose from {', '.join(choices)}")
    return options


def subset(path: Path, options: argparse.Namespace) -> Dataset:
    """The training split, or some of its images in a random order.

    Raises:
        SppdetError: it cannot be read, or has fewer images than there are folds.
    """
    dataset = read_dataset(path, training_split(path, None))
    count = len(dataset.images)
    if options.images is not None and options.images < count:
        order = np.random.default_rng(options.seed).permutation(count)
        count = options.images
        dataset = dataset.subset(sorted(order[:count].tolist()), dataset.split)
    if count < 2:
        raise SppdetError(f"{path}: has {count} images, and folds need at least 2")
    if count < options.folds:
        raise SppdetError(
            f"--folds {options.folds}: more than the {count} images of {path} that are taken; give "
            f"at most {count}"
        )
    return dataset


def content_digest(dataset: Dataset) -> str:
    """A name of all that is learned from: the images' files, byte for byte, and the labels."""
    digest = hashlib.sha256("\0".join(dataset.classes).encode())
    for index, path in enumerate(dataset.images):
        one = dataset.annotations(index)
        parts = [path.name.encode("utf-8", "surrogateescape")]
        parts.append(path.read_bytes() if path.is_file() else b"")
        parts += [a.tobytes() for a in (one.boxes, one.labels, one.difficult, one.crowd)]
        for part in parts:
            digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def described(
    variant: Variant, extractor: RegionExtractor, settings: TrainSettings
) -> dict[str, Any]:
    """All that decides the detections of a variant besides the data, as JSON."""
    training = asdict(settings)
    for name in ("workers", "store_bytes"):
        del training[name]
    trunk = extractor.trunk
    return {
        "trunk": [trunk.spec.name, trunk.digest, asdict(trunk.preprocessing), trunk.device.type],
        "features": extractor.to_json(),
        "training": training,
        "heads": [variant.heads, asdict(heads_of(variant.heads))],
    }


def detections_of(
    dataset: Dataset,
    variant: Variant,
    extractor: RegionExtractor,
    settings: TrainSettings,
    folds: int,
) -> tuple[list[Detections], float]:
    """The detections in every image, by the detector of the other folds; and the seconds."""
    count = len(dataset.images)
    found = [Detections.none(dataset.classes)] * count
    begun = time.perf_counter()
    order = np.random.default_rng(settings.seed).permutation(count)
    for fold in np.array_split(order, folds):
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
    return found, time.perf_counter() - begun


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
    names = [path.absolute().name.upper() for path in options.data]
    note = (
        f"Mean area AP at IoU 0.5 on {options.folds} folds of the training splits, differences "
        "from the first row of the same data with paired bootstrap intervals over the images. "
        f"{options.trunk}, {options.boxes:,} proposals `fast`, no mirrored images."
    )
    write_table(options.json, command_line("ablations.py", names, options), note, COLUMNS, rows)
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
    start(main)
