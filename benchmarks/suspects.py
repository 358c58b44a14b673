"""How many labels that were broken on purpose stand at the head of the list of suspects.

A share of the labels is broken, a third each: dropped, given another class, or moved by a half of
their width or height. `data suspects` then looks for them. The table says, for each kind,
how many of the broken labels stand among the first 10 % of the list, which are as many suspects as
a tenth of the labels. A dropped label counts where a missing box overlaps it at an IoU of at least
--iou, a label of another class where a suspect is about this label, and a moved one in both cases.

    python benchmarks/suspects.py ../shared/data/fruit/train --share 0.05 --seed 0
"""

import argparse
import copy
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from running import real, start, whole

from sppdet.boxes import Boxes, iou
from sppdet.cli.splits import training_split
from sppdet.datasets import Annotations, Dataset, read_dataset
from sppdet.datasets.image_names import relative_names
from sppdet.datasets.writers import write_dataset
from sppdet.images import image_size

KINDS = ("dropped", "class", "moved")


def main() -> None:
    """Break, look, and count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="a data set; its training split is taken")
    parser.add_argument(
        "--share", type=real(0, 1), default=0.05, help="of the labels that are broken"
    )
    parser.add_argument("--seed", type=whole(0), default=0, help="of the choice")
    parser.add_argument("--trunk", default="lite0")
    parser.add_argument(
        "--iou", type=real(0, 1), default=0.3, help="of a missing box and the label"
    )
    parser.add_argument("--json", type=Path, help="write the ranks of the broken labels here")
    options = parser.parse_args()
    dataset = read_dataset(options.data, training_split(options.data, None))
    changed, broken = break_labels(dataset, options.share, options.seed)
    with tempfile.TemporaryDirectory(prefix="sppdet-suspects-") as folder:
        data, output = Path(folder) / "data", Path(folder) / "suspects"
        write_dataset({"": changed}, "coco", data)
        command = ["data", "suspects", str(data), "-o", str(output), "--pictures", "0"]
        words = [sys.executable, "-m", "sppdet", *command, "--trunk", options.trunk]
        subprocess.run(words, check=True)
        found = json.loads((output / "suspects.json").read_bytes())
    names = relative_names(dataset.images)
    ranks = [rank(one, names[one.image], found["suspects"], options.iou) for one in broken]
    if options.json is not None:
        rows = [{"kind": one.kind, "rank": r} for one, r in zip(broken, ranks, strict=True)]
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    first = round(0.1 * found["labels"])
    print(f"| of {found['labels']} labels | broken | among the first {first} suspects |")
    print("|---|---|---|")
    for kind in (*KINDS, "all"):
        own = [r for one, r in zip(broken, ranks, strict=True) if kind in (one.kind, "all")]
        if own:
            head = sum(r is not None and r <= first for r in own)
            print(f"| {kind} | {len(own)} | {head} ({100 * head / len(own):.0f} %) |")


def rank(one: "Broken", name: str, suspects: list[dict[str, Any]], least: float) -> int | None:
    """The place in the list, from 1, of the first suspect that shows a broken label."""
    for number, suspect in enumerate(suspects, 1):
        if suspect["image"] == name and shows(suspect, one, least):
            return number
    return None


def shows(suspect: dict[str, Any], one: "Broken", least: float) -> bool:
    """Whether a suspect of the same image is about this label."""
    label, found = suspect["label"], suspect["found"]
    if label is None:
        return one.kind != "class" and overlap(found["box"], one.boxes[0]) >= least
    return one.kind != "dropped" and overlap(label["box"], one.boxes[-1]) > 0.9


def overlap(a: list[float], b: NDArray[np.float32]) -> float:
    """The IoU of two boxes."""
    return float(iou(np.array([a], np.float32), b[None])[0, 0])


@dataclass(frozen=True)
class Broken:
    """A label that was broken.

    Attributes:
        image: its number.
        kind: one of :data:`KINDS`.
        boxes: (1 or 2, 4): where it was, and where it is now if it was moved.
    """

    image: int
    kind: str
    boxes: Boxes


def break_labels(dataset: Dataset, share: float, seed: int) -> tuple[Dataset, list[Broken]]:
    """The data set with ``share`` of its labels broken, and these labels."""
    random = np.random.default_rng(seed)
    entries = dataset.all_annotations()
    places = [(i, row) for i, entry in enumerate(entries) for row in range(len(entry))]
    count = round(share * len(places))
    kinds = KINDS if len(dataset.classes) > 1 else ("dropped", "moved")
    lost: dict[int, list[int]] = {}
    broken = []
    for number, place in enumerate(random.permutation(len(places))[:count].tolist()):
        image, row = places[place]
        entry, kind = entries[image], kinds[number % len(kinds)]
        boxes, labels = entry.boxes.copy(), entry.labels.copy()
        old = boxes[row : row + 1].copy()
        if kind == "dropped":
            lost.setdefault(image, []).append(row)
        elif kind == "class":
            others = [label for label in range(len(dataset.classes)) if label != labels[row]]
            labels[row] = random.choice(others)
        else:
            boxes[row] = moved(boxes[row], image_size(dataset.images[image]), random)
        entries[image] = replace(entry, boxes=boxes, labels=labels)
        where = np.concatenate([old, boxes[row : row + 1]]) if kind == "moved" else old
        broken.append(Broken(image, kind, where))
    for image, rows in lost.items():
        keep = np.setdiff1d(np.arange(len(entries[image])), rows)
        one = entries[image]
        entries[image] = Annotations(
            one.boxes[keep], one.labels[keep], one.difficult[keep], one.crowd[keep]
        )
    changed = copy.copy(dataset)
    changed._annotations = entries
    return changed, broken


def moved(
    box: NDArray[np.float32], size: tuple[int, int], random: np.random.Generator
) -> NDArray[np.float32]:
    """A box moved by a half of its width or height, to a side where the image has room for it.

    Where no side has, the box is moved to where most of it stays, and cut.
    """
    half = (box[2:] - box[:2]) / 2
    steps = np.array([[half[0], 0], [-half[0], 0], [0, half[1]], [0, -half[1]]], np.float32)
    limits = np.tile(np.array(size, np.float32), 2)
    choices = np.clip(box + np.tile(steps, 2), 0, limits)
    areas = np.prod(choices[:, 2:] - choices[:, :2], axis=1)
    best = np.flatnonzero(areas >= 0.99 * areas.max())
    return choices[random.choice(best)]


if __name__ == "__main__":
    start(main)
