"""Time of the evaluation, and agreement with pycocotools.

    python benchmarks/evaluation.py [--coco128 FOLDER]

Prints a table in Markdown. Everything runs on one thread.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from running import start

from sppdet.datasets import Annotations, Dataset, read_dataset
from sppdet.detections import Detections
from sppdet.evaluation.coco import evaluate_coco
from sppdet.evaluation.errors import analyse
from sppdet.evaluation.intervals import bootstrap
from sppdet.evaluation.voc import VocResult, evaluate_voc


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--coco128", type=Path, help="a folder with COCO128")
    options = parser.parse_args()
    coco = None if options.coco128 is None else read_dataset(options.coco128)
    found, annotations, classes = synthetic(5000, 20, 20)
    print("| what (100,000 detections, 15,000 objects, 5,000 images, 20 classes) | seconds |")
    print("|---|---|")
    result = evaluate_voc(found, annotations, classes)
    seconds = timed(lambda: evaluate_voc(found, annotations, classes))
    print(f"| VOC AP, 11-point and area | {seconds} |")
    print(f"| error kinds and gains | {timed(lambda: analyse(result))} |")
    print(f"| bootstrap, 1,000 samples | {timed(lambda: bootstrap(result, 5000), 1)} |")
    if coco is not None:
        agreement(coco)


def agreement(dataset: Dataset) -> None:
    """Mean area AP at IoU 0.5 beside pycocotools' AP50, and what makes the difference."""
    print(
        "\n| perturbed truth of COCO128, seed | area AP | AP50 | at 101 points | difference left |"
    )
    print("|---|---|---|---|---|")
    for seed in range(3):
        found = perturbed(dataset, seed)
        result = evaluate_voc(found, dataset.all_annotations(), dataset.classes)
        coco = evaluate_coco(dataset, found)["AP50"]
        sampled = at_101_points(result)
        left = sampled - coco
        print(f"| {seed} | {result.map_area:.4f} | {coco:.4f} | {sampled:.4f} | {left:+.5f} |")


def at_101_points(result: VocResult) -> float:
    """The mean AP of our curves read at pycocotools' 101 recalls."""
    values = []
    for entry in result.classes:
        if entry.truths:
            best = np.append(np.maximum.accumulate(entry.precision[::-1])[::-1], 0)
            values.append(best[np.searchsorted(entry.recall_curve, np.linspace(0, 1, 101))].mean())
    return float(np.mean(values))


def perturbed(dataset: Dataset, seed: int) -> list[Detections]:
    """Predictions made from the truth: shaken, some lost, some doubled, some invented."""
    random = np.random.default_rng(seed)
    result = []
    for truth in dataset.all_annotations():
        rows = np.flatnonzero((random.random(len(truth)) < 0.85) & ~truth.crowd)
        rows = np.concatenate([rows, rows[random.random(len(rows)) < 0.15]])
        sides = np.tile(truth.boxes[rows, 2:] - truth.boxes[rows, :2], 2)
        boxes = truth.boxes[rows] + sides * random.normal(0, 0.09, (len(rows), 4))
        extra = random.uniform(0, 400, (3, 2))
        boxes = np.concatenate([boxes, np.concatenate([extra, extra + 80], axis=1)])
        labels = np.append(truth.labels[rows], random.integers(0, len(dataset.classes), 3))
        scores = np.append(random.beta(3, 1, len(rows)), random.beta(1, 3, 3))
        result.append(Detections(boxes, labels, scores, dataset.classes))
    return result


def synthetic(
    images: int, per_image: int, classes: int
) -> tuple[list[Detections], list[Annotations], tuple[str, ...]]:
    """Random detections and three random objects per image."""
    random = np.random.default_rng(0)
    names = tuple(f"class{k}" for k in range(classes))

    def boxes(count: int) -> np.ndarray:
        corner = random.uniform(0, 400, (count, 2))
        return np.concatenate([corner, corner + random.uniform(10, 100, (count, 2))], axis=1)

    no = np.zeros(3, bool)
    annotations = [
        Annotations(boxes(3).astype(np.float32), random.integers(0, classes, 3), no, no)
        for _ in range(images)
    ]
    found = [
        Detections(
            boxes(per_image),
            random.integers(0, classes, per_image),
            random.random(per_image),
            names,
        )
        for _ in range(images)
    ]
    return found, annotations, names


def timed(work: Callable[[], object], repeats: int = 5) -> str:
    """Median seconds of ``work``."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return f"{median(seconds):.2f}"


if __name__ == "__main__":
    start(main)
