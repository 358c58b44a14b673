"""How long one waits in ``sppdet label``: for suggestions, for a photograph, for a large folder.

Photographs of data sets are put together in a folder, again and again where there are too few, and
``sppdet label`` is started on it with an empty cache. The figures are seconds where nothing else is
said:

- ``suggestions``: from the last box until the suggestions of the next photograph are new, with so
  many labelled photographs; the delay of a second after the last change is in it.
- ``picture``, ``proposals``: opening a photograph without labels that is prepared ahead, and
  opening one that nobody expects.
- ``memory``: of the server and the training together, in MB, with all photographs in the folder
  and so many labelled. What both share is counted once (Linux).
- ``folder``: from the start until the list of the photographs is there, for a large folder less
  that for a small one.

    python benchmarks/label_speed.py fruit kangaroo bccd/BCCD --labelled 100,500 --json speed.json
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from annotator import Server
from running import several, start, whole

from sppdet.cli.splits import training_split
from sppdet.datasets import Dataset, read_dataset
from sppdet.datasets.writers.common import Picture
from sppdet.datasets.writers.voc import annotation
from sppdet.images import image_size
from sppdet.runtime.files import write_text

REPEATS = 7
READING = 5.0
"""Seconds that a person looks at a photograph."""


def fill(folder: Path, datasets: Sequence[Dataset], labelled: int, total: int) -> None:
    """Put photographs into a folder, those without labels first and each of these another one."""
    found = [(one, index) for one in datasets for index in range(len(one.images))]
    folder.mkdir(parents=True)
    for number in range(total):
        dataset, index = found[number * 37 % len(found)] if total > 1 else found[0]
        source = dataset.images[index]
        place = folder / f"{number:05}{source.suffix.lower()}"
        try:
            os.link(source, place)
        except OSError:
            place.symlink_to(source.resolve())
        if number >= total - labelled:
            size = image_size(source)
            picture = Picture(source, place.name, size, dataset.annotations(index), number)
            place.with_suffix(".xml").write_text(annotation(picture, dataset.classes), "utf-8")


def waited(server: Server, photo: int, seed: int) -> float:
    """Seconds from a new box of a photograph to the new suggestions of the next one."""
    content = server.ask("GET", f"api/photos/{photo}")
    known = server.ask("GET", "api/folder")["classes"]
    side = min(content["width"], content["height"]) / 4
    box = [side + seed, side, 3 * side + seed, 3 * side]
    objects = [*content["objects"], {"label": known[0], "box": box, "difficult": False}]
    generation = server.ask("GET", "api/status")["generation"]
    start = time.perf_counter()
    answer = {"revision": content["revision"], "objects": objects, "background": False}
    server.ask("PUT", f"api/photos/{photo}", answer)
    while True:  # folds that were in progress may give a detector that knows nothing of the box
        status = server.ask("GET", "api/status")
        if status["generation"] > generation and not status["training"]:
            break
        time.sleep(0.02)
    following = server.ask("GET", f"api/next?after={photo}&order=name")["id"]
    server.ask("GET", f"api/photos/{following}/suggestions")
    return time.perf_counter() - start


def opened(server: Server, photo: int) -> tuple[float, float]:
    """Seconds until a photograph is there: the picture, and everything."""
    start = time.perf_counter()
    server.ask("GET", f"api/photos/{photo}")
    server.fetch(f"api/photos/{photo}/image")
    picture = time.perf_counter() - start
    server.ask("GET", f"api/photos/{photo}/proposals")
    server.ask("GET", f"api/photos/{photo}/suggestions")
    return picture, time.perf_counter() - start


def memory(server: Server) -> float | None:
    """MB of the server and its training; None on systems that do not tell."""
    own = server.process.pid
    children = Path(f"/proc/{own}/task/{own}/children")
    try:
        processes = [own, *map(int, children.read_text().split())]
        texts = [Path(f"/proc/{one}/smaps_rollup").read_text() for one in processes]
    except OSError:
        return None
    lines = [line.split() for text in texts for line in text.splitlines()]
    return sum(int(line[1]) for line in lines if line[0] == "Pss:") / 1000


def measured(folder: Path, labelled: int, total: int) -> dict[str, Any]:
    """The figures with so many labelled photographs."""
    server = Server(folder)
    try:
        server.finish()
        median = statistics.median
        waits = [waited(server, number, number) for number in range(REPEATS)]
        ahead, sudden = [], []
        for number in range(REPEATS, 2 * REPEATS):
            server.ask("GET", f"api/photos/{number}")
            server.settle()
            time.sleep(READING)
            ahead.append(opened(server, number + 1))
            sudden.append(opened(server, (total - labelled) // 2 + number))
        return {
            "labelled": labelled,
            "photographs": total,
            "suggestions": round(median(waits), 2),
            "suggestions, longest": round(max(waits), 2),
            "picture": round(median(one[0] for one in ahead), 3),
            "proposals": round(median(one[1] for one in ahead), 3),
            "picture, unexpected": round(median(one[0] for one in sudden), 3),
            "proposals, unexpected": round(median(one[1] for one in sudden), 3),
            "memory": None if (found := memory(server)) is None else round(found),
        }
    finally:
        server.stop()


def started(folder: Path) -> float:
    """Seconds from the start of the command until the photographs are listed."""
    start = time.perf_counter()
    server = Server(folder)
    try:
        server.ask("GET", "api/folder")
        return time.perf_counter() - start
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument(
        "--labelled", type=several(0), default="100,500", help="Numbers of labelled photographs."
    )
    parser.add_argument("--photographs", type=whole(1), default=1000, help="In the folder.")
    parser.add_argument(
        "--large", type=whole(1), default=5000, help="Photographs of a large folder."
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    datasets = [read_dataset(path, training_split(path, None)) for path in options.data]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="sppdet-label-speed-") as temporary:
        place = Path(temporary)
        os.environ["SPPDET_CACHE"] = str(place / "cache")
        subprocess.run([sys.executable, "-m", "sppdet", "warm-up", "--quiet"], check=True)
        for labelled in options.labelled:
            folder = place / f"labelled-{labelled}"
            fill(folder, datasets, labelled, options.photographs)
            rows.append(measured(folder, labelled, options.photographs))
            print(json.dumps(rows[-1], indent=1), flush=True)
        for name, count in (("small", 1), ("large", options.large)):
            fill(place / name, datasets, 0, count)
        small, large = (min(started(place / name) for _ in range(3)) for name in ("small", "large"))
        rows.append({"photographs": options.large, "folder": round(large - small, 2)})
        print(json.dumps(rows[-1], indent=1))
    if options.json:
        write_text(options.json, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    start(main)
