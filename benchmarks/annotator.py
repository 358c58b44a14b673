"""How many actions an object costs in ``sppdet label``, and how soon its detector is good.

A simulated annotator labels the training photographs of a data set through the HTTP interface. In
each photograph it accepts the suggestions that are right (all at once, and deletes the wrong ones,
where that is less), corrects those that are nearly right, clicks the middle of every other object
if the first choice fits at an IoU of 0.7 or walks to a choice that does, and draws the rest. An
action is a click, a key, a step of a walk, or one of the two ends of a drag: drawing alone costs 2.

    python benchmarks/annotator.py fruit --order uncertain --photographs 100 --json annotator.json
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import Boxes, as_boxes, iou
from sppdet.cli.splits import training_split
from sppdet.datasets import Dataset, read_dataset
from sppdet.datasets.image_names import relative_names
from sppdet.detector import Detector
from sppdet.evaluation.evaluate import evaluate
from sppdet.runtime.files import write_text

FITS = 0.7
NEAR = 0.5
"""IoU from which a suggestion is corrected, which costs a drag, instead of drawn."""

DUPLICATE, MIDDLE = 0.75, 0.35  # as the page has them, sppdet/serving/static/proposals.js
DRAWN = 2
STEPS = (10, 20, 40, 80)


class Server:
    """``sppdet label`` on a folder, as a process, and its interface."""

    def __init__(self, folder: Path) -> None:
        words = ["label", str(folder), "--port", "0", "--no-browser"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sppdet", *words], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            found = re.search(r"http://\S+", line)
            if found:
                self.address = found[0]
                return
        raise SystemExit("the server has ended")

    def ask(self, method: str, path: str, content: Any = None) -> Any:
        """The answer to a request."""
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.address + path, body, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.loads(answer.read())

    def settle(self, seconds: float = 600) -> None:
        """Wait until the labels that were saved are learned."""
        end = time.monotonic() + seconds
        while self.ask("GET", "api/status")["training"] and time.monotonic() < end:
            time.sleep(0.1)

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.wait()


@dataclass
class Tally:
    """Attributes:
    objects: that were labelled.
    actions: with suggestions and proposals.
    proposed: actions with proposals in their geometric order only.
    """

    objects: list[int] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    proposed: list[int] = field(default_factory=list)

    def per_object(self, actions: Sequence[int], first: int = 0, end: int | None = None) -> float:
        """Mean of the photographs from ``first`` to ``end``."""
        return sum(actions[first:end]) / max(sum(self.objects[first:end]), 1)


def choices_at(
    point: NDArray[np.float64], proposals: Boxes, scores: NDArray[np.float64] | None
) -> list[int]:
    """The proposals under a point, as the page orders them."""
    inside = (proposals[:, :2] <= point).all(axis=1) & (point <= proposals[:, 2:]).all(axis=1)
    rows = np.flatnonzero(inside)
    sides = np.maximum(proposals[rows, 2:] - proposals[rows, :2], 1e-9)
    centres = (proposals[rows, 2:] + proposals[rows, :2]) / 2
    distance = np.hypot(*((point - centres) / sides).T)
    rank = distance + 2
    if scores is not None:
        rank = np.where(distance <= MIDDLE, 1 - scores[rows], rank)
    kept: list[int] = []
    for row in rows[np.lexsort((distance, rank))]:
        if not (iou(proposals[row : row + 1], proposals[kept]) > DUPLICATE).any():
            kept.append(int(row))
        if len(kept) == 3:
            break
    return kept


def clicks(truth: Boxes, proposals: Boxes, scores: NDArray[np.float64] | None) -> int:
    """The actions for one object (1, 4) by proposals: a click and the steps of the walk, or a
    drag."""
    point = (truth[0, :2] + truth[0, 2:]).astype(np.float64) / 2
    for steps, row in enumerate(choices_at(point, proposals, scores)):
        if 1 + steps >= DRAWN:
            break
        if iou(truth, proposals[row : row + 1])[0, 0] >= FITS:
            return 1 + steps
    return DRAWN


def actions_of(
    truths: Boxes,
    names: Sequence[str],
    suggestions: Sequence[dict[str, Any]],
    proposals: Boxes,
    scores: NDArray[np.float64] | None,
) -> int:
    """The actions for the objects (N, 4) of a photograph."""
    boxes = as_boxes([one["box"] for one in suggestions])
    overlap = iou(truths, boxes)
    same = np.array([[one["label"] == name for one in suggestions] for name in names], bool)
    overlap = np.where(same.reshape(overlap.shape), overlap, 0)
    taken: set[int] = set()
    right: set[int] = set()
    near: set[int] = set()
    for flat in np.argsort(-overlap, axis=None, kind="stable"):
        row, column = divmod(int(flat), max(len(boxes), 1))
        if overlap[row, column] < NEAR:
            break
        if row in right | near or column in taken:
            continue
        taken.add(column)
        (right if overlap[row, column] >= FITS else near).add(row)
    wrong = len(boxes) - len(taken)
    rest = [
        clicks(truths[row : row + 1], proposals, scores)
        for row in range(len(truths))
        if row not in right
    ]
    one_by_one = len(right) + sum(rest)
    if not len(boxes):
        return one_by_one
    others = [
        cost
        for row, cost in zip(set(range(len(truths))) - right, rest, strict=True)
        if row not in near
    ]
    all_at_once = 1 + wrong + DRAWN * len(near) + sum(others)
    return min(one_by_one, all_at_once)


def annotate(
    server: Server,
    dataset: Dataset,
    order: str,
    photographs: int,
    steps: Sequence[int],
    models: Path,
) -> Tally:
    """Label photographs; after each number of ``steps`` the detector is saved in ``models``."""
    tally = Tally()
    names = {name: index for index, name in enumerate(relative_names(dataset.images))}
    listed = {one["id"]: one["name"] for one in server.ask("GET", "api/folder")["photos"]}
    for name in dataset.classes:
        server.ask("POST", "api/classes", {"name": name})
    current: int | None = server.ask("GET", f"api/next?order={order}")["id"]
    while current is not None and len(tally.objects) < photographs:
        entry = dataset.annotations(names[listed[current]])
        photo = server.ask("GET", f"api/photos/{current}")
        proposed = server.ask("GET", f"api/photos/{current}/proposals")
        suggested = server.ask("GET", f"api/photos/{current}/suggestions")["boxes"]
        proposals = as_boxes(proposed["boxes"])
        scores = np.array(proposed["scores"]) if "scores" in proposed else None
        labels = [dataset.classes[label] for label in entry.labels]
        tally.objects.append(len(entry))
        tally.actions.append(actions_of(entry.boxes, labels, suggested, proposals, scores))
        tally.proposed.append(actions_of(entry.boxes, labels, [], proposals, None))
        objects = [
            {"label": label, "box": box, "difficult": bool(hard)}
            for label, box, hard in zip(labels, entry.boxes.tolist(), entry.difficult, strict=True)
        ]
        content = {"revision": photo["revision"], "objects": objects, "background": not objects}
        server.ask("PUT", f"api/photos/{current}", content)
        server.settle()
        if len(tally.objects) in steps:
            name = str(models / f"after-{len(tally.objects)}")
            save(server, Path(name))
        current = server.ask("GET", f"api/next?after={current}&order={order}")["id"]
    return tally


def save(server: Server, path: Path) -> None:
    """Save the present detector, where there is one."""
    try:
        saved = server.ask("POST", "api/model", {"file": path.name})["file"]
    except urllib.error.HTTPError:
        return
    shutil.move(saved, path.with_suffix(".safetensors"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", help="Photographs to label. Default: trainval or train.")
    parser.add_argument("--test", default="test", help="Split for the average precision.")
    parser.add_argument("--order", default="uncertain", choices=("uncertain", "random", "name"))
    parser.add_argument("--photographs", type=int, default=100)
    parser.add_argument("--steps", default=",".join(map(str, STEPS)))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    steps = [int(word) for word in options.steps.split(",") if word]
    dataset = read_dataset(options.data, options.split or training_split(options.data, None))
    with tempfile.TemporaryDirectory(prefix="sppdet-annotator-") as temporary:
        folder, models = Path(temporary, "photos"), Path(temporary, "models")
        models.mkdir()
        for image, name in zip(dataset.images, relative_names(dataset.images), strict=True):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(image, folder / name)
        server = Server(folder)
        try:
            tally = annotate(server, dataset, options.order, options.photographs, steps, models)
        finally:
            server.stop()
        row: dict[str, Any] = {
            "data": options.data.name,
            "order": options.order,
            "photographs": len(tally.objects),
            "objects": sum(tally.objects),
            "actions": round(tally.per_object(tally.actions), 3),
            "actions_after_40": round(tally.per_object(tally.actions, 40), 3),
            "proposals_only": round(tally.per_object(tally.proposed), 3),
            "drawing": float(DRAWN),
        }
        test = read_dataset(options.data, options.test)
        for step in steps:
            model = models / f"after-{step}.safetensors"
            if model.is_file():
                result = evaluate(Detector.load(model), test)
                row[f"ap_{step}"] = round(result.map_11 or 0.0, 4)
    for name, value in row.items():
        print(f"{name:<18} {value}")
    if options.json:
        write_text(options.json, json.dumps(row, indent=1) + "\n")


if __name__ == "__main__":
    main()
