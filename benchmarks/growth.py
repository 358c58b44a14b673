r"""How time, memory and disk of a training grow with the number of images, on rendered scenes.

    python benchmarks/growth.py --data scenes --layout voc --images 500,1000,2000,5000 \
        --json growth.json --details details.json --figure growth.png

renders scenes with the label statistics of PASCAL VOC 2007 (20 classes, 2.5 objects an image), or
with ``--layout coco`` of COCO (80 classes, 7.3 objects), trains the trunk ``small`` on the first
500, 1,000, ... of them, each in a process and with a cache of its own, and records what every pass
takes. Scenes that are in the folder already are not rendered again, and a number of images that is
in the file of ``--details`` already is not measured again.

A pass lasts until the first image of the next one is done; the fits that follow the images are part
of it. Its line appears on the standard error when it ends. Its memory is the peak of the process
during the pass (Linux).
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from running import exactly, read_json, several, start, whole

from sppdet.runtime.files import write_text

VOC_OBJECTS = (
    *(306, 353, 486, 290, 505, 229, 1250, 376, 798, 259),
    *(215, 510, 362, 339, 4690, 514, 257, 248, 297, 324),
)
"""Objects of each class in VOC 2007 trainval, difficult ones left out (the challenge's table)."""

COCO_OBJECTS = (262465, *(int(262465 * 0.6 / (rank + 4)) for rank in range(1, 80)))
"""About those of COCO train2017: 262,465 persons, then ever rarer classes."""

DIFFICULT = 0.19
"""Share of difficult objects: 3,054 of 15,662 in VOC 2007 trainval."""

SHAPES = ("apple", "banana", "orange", "ball", "book", "mug", "leaf")

PASSES = ("features", "box regression", "mining", "calibration")

COLUMNS = {
    "images": "",
    "pass": "",
    "seconds": ".0f",
    "seconds an image": ".3f",
    "peak memory, MB": ".0f",
    "disk an image, MB": ".2f",
}

LINE = "{:>6} {:<15} {:>7.0f} s {:>7.3f} s/image {:>6.0f} MB {:>6.2f} MB/image"


@dataclass(frozen=True)
class Layout:
    """Label statistics of a data set.

    Attributes:
        objects: of each class, in all; their shares count.
        mean: objects of an image, at least one.
        sides: least and greatest side of an object, as a share of the image's shorter side.
    """

    objects: tuple[int, ...]
    mean: float
    sides: tuple[float, float]

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each class: the shapes in one tint, then in the next."""
        count = len(self.objects)
        return tuple(f"{SHAPES[i % 7]}-{i // 7 + 1}" for i in range(count))

    def drawn(self, random: np.random.Generator) -> list[str]:
        """The objects of one image: a geometric number of them, each of a random class."""
        shares = np.array(self.objects) / sum(self.objects)
        number = min(int(random.geometric(1 / self.mean)), 40)
        return [self.names[label] for label in random.choice(len(shares), number, p=shares)]


LAYOUTS = {
    "voc": Layout(VOC_OBJECTS, 12608 / 5011, (0.15, 0.8)),
    "coco": Layout(COCO_OBJECTS, 860001 / 118287, (0.08, 0.6)),
}


def render(index: int, folder: Path, layout: str, size: tuple[int, int]) -> None:
    """Write scene ``index`` with its labels, unless it is there."""
    from sppdet.datasets.scenes import render_scene, write_scene

    path = folder / f"{index:06d}.jpg"
    if path.exists() and path.with_suffix(".xml").exists():
        return
    chosen = LAYOUTS[layout]
    random = np.random.default_rng([index, 7])
    scene = render_scene(
        index, size, clutter=(0, 2), sides=chosen.sides, objects=chosen.drawn(random)
    )
    hard = scene.difficult | (random.random(len(scene.names)) < DIFFICULT)
    write_scene(replace(scene, difficult=hard), path)


def measure(data: Path, images: int, names: tuple[str, ...], workers: int) -> dict[str, Any]:
    """Train on the first images of a folder; what each pass takes. Runs in a process of its own."""
    from sppdet.datasets import read_dataset
    from sppdet.features.spp import SppRegionFeatures
    from sppdet.runtime.cache import cache_dir
    from sppdet.runtime.memory import keep_freed_memory
    from sppdet.settings import DetectorSettings, SppSettings, TrainSettings
    from sppdet.training.train import train
    from sppdet.trunks import load_trunk

    keep_freed_memory()  # as the commands do
    dataset = read_dataset(data, classes=names).subset(range(images), None)
    extractor = SppRegionFeatures(load_trunk("small"), SppSettings((320,)))
    settings = TrainSettings(detector=DetectorSettings("fast", 2000), workers=workers)
    passes: dict[str, dict[str, float]] = {}
    current, start = "", time.perf_counter()

    def progress(stage: str, _: int, __: int) -> None:
        nonlocal current, start
        if stage == current:
            return
        if current:
            now = time.perf_counter()
            disk = sum(file.stat().st_size for file in cache_dir().rglob("*") if file.is_file())
            taken = {"seconds": now - start, "peak": peak_memory(), "disk": disk}
            passes[current] = taken
            line = images, current, taken["seconds"], taken["seconds"] / images, taken["peak"] / 1e6
            print(LINE.format(*line, disk / images / 1e6), file=sys.stderr, flush=True)
            start = now
        current = stage

    result = train(dataset, extractor, settings, progress)
    progress("the end", 0, 0)
    result.images.clear()
    card = result.detector.card
    left = sum(file.stat().st_size for file in cache_dir().glob("regions/*"))
    return {
        "images": images,
        "passes": passes,
        "objects": sum(len(one) for one in dataset.all_annotations()),
        "examples": sum(result.examples.values()),
        "map_11_of_folds": card["folds"]["map_11"] if card else None,
        "disk_left": left,
    }


def peak_memory() -> int:
    """Most bytes of this process since the last call (Linux); elsewhere since its start."""
    status = Path("/proc/self/status")
    if not status.exists():
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5")  # see proc(5): the peak starts anew
    return int(line.split()[1]) * 1024


def in_process(options: argparse.Namespace, images: int) -> dict[str, Any]:
    """:func:`measure` in a process and with a cache of its own."""
    with tempfile.TemporaryDirectory(prefix="growth-", dir=options.data.parent) as cache:
        words = [sys.executable, __file__, "--data", str(options.data), "--layout", options.layout]
        words += ["--workers", str(options.workers), "--measure", str(images)]
        environment = {**os.environ, "SPPDET_CACHE": cache}
        done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    content: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return content


def rows_of(measured: list[dict[str, Any]]) -> list[list[Any]]:
    """Rows of :data:`COLUMNS`: the passes, and the whole training."""
    rows: list[list[Any]] = []
    for one in measured:
        images, passes = one["images"], one["passes"]
        whole = {
            "seconds": sum(taken["seconds"] for taken in passes.values()),
            "peak": max(taken["peak"] for taken in passes.values()),
            "disk": max(taken["disk"] for taken in passes.values()),
        }
        for name, taken in {**passes, "all": whole}.items():
            seconds, disk = taken["seconds"], taken["disk"] / images / 1e6
            rows.append([images, name, seconds, seconds / images, taken["peak"] / 1e6, disk])
    return rows


def draw(measured: list[dict[str, Any]], path: Path) -> None:
    """Write a PNG: time, peak memory and disk of each pass against the number of images."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.4), dpi=110, layout="constrained")
    panels = (
        ("seconds", 1, "seconds"),
        ("peak", 1e6, "peak memory, MB"),
        ("disk", 1e9, "disk, GB"),
    )
    for axes, (key, unit, title) in zip(figure.subplots(1, 3), panels, strict=True):
        for name in PASSES:
            points = [(m["images"], m["passes"][name][key] / unit) for m in measured]
            axes.plot(*zip(*points, strict=True), marker="o", label=name)
        axes.set(xlabel="images", ylabel=title)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    figure.axes[0].legend(frameon=False)
    FigureCanvasAgg(figure)
    figure.savefig(path, format="png")


def write_results(path: Path, measured: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """The figures in the form of benchmarks/tables.py."""
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    width, height = options.size
    counts = ",".join(map(str, options.images))
    layout = LAYOUTS[options.layout]
    content = {
        "command": [
            f"python benchmarks/growth.py --data scenes --layout {options.layout} "
            f"--images {counts} --size {width}x{height}"
        ],
        "commit": commit or "not recorded",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}; Python "
        f"{platform.python_version()}",
        "threads": options.workers,
        "date": date.today().isoformat(),
        "note": f"Training small on rendered scenes of {width} x {height} px with "
        f"{len(layout.names)} classes and {layout.mean:.1f} objects an image.",
        "columns": COLUMNS,
        "rows": rows_of(measured),
    }
    write_text(path, json.dumps(content, indent=1) + "\n")


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the rendered scenes")
    parser.add_argument("--layout", choices=LAYOUTS, default="voc")
    parser.add_argument(
        "--images", type=several(1), default="500,1000,2000,5000", help="numbers, by comma"
    )
    size = exactly(2, "x", "500x375", 32)
    parser.add_argument("--size", type=size, default="500x375", help="of a scene, in pixels")
    parser.add_argument("--workers", type=whole(1), default=2, help="images at a time")
    parser.add_argument("--json", type=Path, help="file of the figures, in the form of tables.py")
    parser.add_argument("--details", type=Path, help="file of what was measured, which is kept")
    parser.add_argument("--figure", type=Path, help="PNG")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    options.images.sort()
    return options


def main() -> None:
    """Render, measure, and print a line for each pass."""
    options = parse()
    if options.measure is not None:
        names = LAYOUTS[options.layout].names
        print(json.dumps(measure(options.data, options.measure, names, options.workers)))
        return
    measured: list[dict[str, Any]] = []
    if options.details is not None and options.details.exists():
        measured = read_json(options.details, "what --details wrote", list, "images", "passes")
    options.data.mkdir(parents=True, exist_ok=True)
    one = partial(render, folder=options.data, layout=options.layout, size=tuple(options.size))
    with ProcessPoolExecutor(options.workers) as pool:
        list(pool.map(one, range(options.images[-1]), chunksize=16))
    for images in options.images:
        if images not in [one["images"] for one in measured]:
            measured.append(in_process(options, images))
            measured.sort(key=lambda one: int(one["images"]))
            if options.details is not None:
                write_text(options.details, json.dumps(measured, indent=1) + "\n")
        found = [one for one in measured if one["images"] == images]
        for row in rows_of(found):
            print(LINE.format(*row))
    measured = [one for one in measured if one["images"] in options.images]
    if options.json is not None:
        write_results(options.json, measured, options)
    if options.figure is not None:
        draw(measured, options.figure)


if __name__ == "__main__":
    start(main)
