"""How many actions an object costs in ``sppdet label``, and how soon its detector is good.

A simulated annotator labels the training photographs of a data set through the HTTP interface;
:mod:`annotator_actions` counts its actions. After some numbers of photographs the detector is saved
and evaluated on the test split. At the end all other photographs are labelled at one time, for the
average precision that there is to reach.

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
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from annotator_actions import DRAWN, actions_of
from running import real, several, start, whole

from sppdet.boxes import as_boxes
from sppdet.cli.splits import training_split
from sppdet.datasets import Dataset, read_dataset
from sppdet.datasets.image_names import relative_names
from sppdet.detector import Detector
from sppdet.evaluation.evaluate import evaluate
from sppdet.runtime.files import write_text

STEPS = (10, 20, 40, 80)

QUIET = 20.0
"""Seconds without a new detector after which the folds have ended."""


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
        return json.loads(self.fetch(path, body, method))

    def fetch(self, path: str, body: bytes | None = None, method: str = "GET") -> bytes:
        """The content of the answer to a request."""
        request = urllib.request.Request(self.address + path, body, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=600) as answer:
            found: bytes = answer.read()
            return found

    def settle(self, seconds: float = 600) -> None:
        """Wait until the labels that were saved are learned."""
        end = time.monotonic() + seconds
        while self.ask("GET", "api/status")["training"] and time.monotonic() < end:
            time.sleep(0.1)

    def finish(self) -> None:
        """Wait until box regression and thresholds are of all labels too."""
        self.settle()
        known, since = -1, time.monotonic()
        while time.monotonic() - since < QUIET:
            generation = self.ask("GET", "api/status")["generation"]
            if generation != known:
                known, since = generation, time.monotonic()
            time.sleep(0.2)

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.wait()


@dataclass
class Tally:
    """Attributes:
    objects: that were labelled, by photograph.
    spent: actions with suggestions and proposals by what they are for, by photograph.
    proposed: actions with proposals in their geometric order only, by photograph.
    """

    objects: list[int] = field(default_factory=list)
    spent: list[Counter[str]] = field(default_factory=list)
    proposed: list[int] = field(default_factory=list)

    @property
    def actions(self) -> list[int]:
        """With suggestions and proposals, by photograph."""
        return [one.total() for one in self.spent]

    def per_object(self, actions: Sequence[int], first: int = 0, end: int | None = None) -> float:
        """Mean of the photographs from ``first`` to ``end``."""
        return sum(actions[first:end]) / max(sum(self.objects[first:end]), 1)


class Annotator:
    """Labels the photographs of a server as a data set has them.

    Args:
        server: on copies of the photographs.
        dataset: photographs and labels.
    """

    def __init__(self, server: Server, dataset: Dataset) -> None:
        self._server, self._dataset = server, dataset
        places = {name: index for index, name in enumerate(relative_names(dataset.images))}
        listed = server.ask("GET", "api/folder")["photos"]
        self._places = {one["id"]: places[one["name"]] for one in listed}
        self._open = set(self._places)
        for name in dataset.classes:
            server.ask("POST", "api/classes", {"name": name})

    def annotate(self, order: str, photographs: int, pause: float) -> Iterator[Tally]:
        """Label photographs one by one; after each, all that was done."""
        server, tally = self._server, Tally()
        current: int | None = server.ask("GET", f"api/next?order={order}")["id"]
        while current is not None and len(tally.objects) < photographs:
            self._count(current, tally)
            self._label(current)
            server.settle()
            time.sleep(pause)
            yield tally
            current = server.ask("GET", f"api/next?after={current}&order={order}")["id"]

    def rest(self) -> None:
        """Label all other photographs."""
        for photo in sorted(self._open):
            self._label(photo)

    def _count(self, photo: int, tally: Tally) -> None:
        entry = self._dataset.annotations(self._places[photo])
        labels = [self._dataset.classes[label] for label in entry.labels]
        self._server.ask("GET", f"api/photos/{photo}")
        proposed = self._server.ask("GET", f"api/photos/{photo}/proposals")
        suggested = self._server.ask("GET", f"api/photos/{photo}/suggestions")["boxes"]
        proposals = as_boxes(proposed["boxes"])
        scores = np.array(proposed["scores"]) if "scores" in proposed else None
        tally.objects.append(len(entry))
        tally.spent.append(actions_of(entry.boxes, labels, suggested, proposals, scores))
        tally.proposed.append(actions_of(entry.boxes, labels, [], proposals, None).total())

    def _label(self, photo: int) -> None:
        entry = self._dataset.annotations(self._places[photo])
        objects = [
            {"label": self._dataset.classes[label], "box": box, "difficult": bool(hard)}
            for label, box, hard in zip(
                entry.labels, entry.boxes.tolist(), entry.difficult, strict=True
            )
        ]
        revision = self._server.ask("GET", f"api/photos/{photo}")["revision"]
        content = {"revision": revision, "objects": objects, "background": not objects}
        self._server.ask("PUT", f"api/photos/{photo}", content)
        self._open.discard(photo)


def save(server: Server, path: Path) -> None:
    """Save the present detector, where there is one."""
    server.finish()
    try:
        saved = server.ask("POST", "api/model", {"file": path.name})["file"]
    except urllib.error.HTTPError:
        return
    shutil.move(saved, path)


def figures(tally: Tally) -> dict[str, Any]:
    """What the actions were, per object."""
    count = len(tally.objects)
    spent = sum(tally.spent, Counter[str]())
    return {
        "photographs": count,
        "objects": sum(tally.objects),
        "actions": round(tally.per_object(tally.actions), 3),
        "actions_after_40": round(tally.per_object(tally.actions, 40), 3),
        "proposals_only": round(tally.per_object(tally.proposed), 3),
        "drawing": float(DRAWN),
        **{f"for {kind}": number for kind, number in sorted(spent.items())},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", help="Photographs to label. Default: trainval or train.")
    parser.add_argument("--test", default="test", help="Split for the average precision.")
    parser.add_argument("--order", default="uncertain", choices=("uncertain", "random", "name"))
    parser.add_argument("--photographs", type=whole(1), default=100)
    parser.add_argument(
        "--steps",
        type=several(1),
        default=",".join(map(str, STEPS)),
        help="Numbers of photographs after which the detector is saved.",
    )
    parser.add_argument(
        "--pause", type=real(0, 3600), default=3, help="Seconds between photographs."
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    dataset = read_dataset(options.data, options.split or training_split(options.data, None))
    with tempfile.TemporaryDirectory(prefix="sppdet-annotator-") as temporary:
        folder, models = Path(temporary, "photos"), Path(temporary, "models")
        models.mkdir()
        for image, name in zip(dataset.images, relative_names(dataset.images), strict=True):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(image, folder / name)
        server = Server(folder)
        tally = Tally()
        try:
            annotator = Annotator(server, dataset)
            for tally in annotator.annotate(options.order, options.photographs, options.pause):
                if len(tally.objects) in options.steps:
                    save(server, models / f"{len(tally.objects)}.safetensors")
            annotator.rest()
            save(server, models / "all.safetensors")
        finally:
            server.stop()
        row = {"data": options.data.name, "order": options.order, **figures(tally)}
        test = read_dataset(options.data, options.test)
        for step in [*options.steps, "all"]:
            model = models / f"{step}.safetensors"
            if model.is_file():
                result = evaluate(Detector.load(model), test)
                row[f"ap_{step}"] = round(result.map_11 or 0.0, 4)
    for name, value in row.items():
        print(f"{name:<18} {value}")
    if options.json:
        write_text(options.json, json.dumps(row, indent=1) + "\n")


if __name__ == "__main__":
    start(main)
