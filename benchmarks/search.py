"""Region proposals compared: time and recall of our selective search, OpenCV's, and two packages'.

Prints a table and writes JSON. All methods search the same photographs, keep boxes of every size,
and run in this process, on one thread, each warmed up, photograph by photograph in turns; times are
medians per photograph.
The packages `selectivesearch` and `selective-search` (PyPI) take part when they are installed.

    python benchmarks/search.py --coco ../shared/data/coco128 --json search.json
    python benchmarks/search.py --coco ../shared/data/coco128 --methods fast,opencv-fast
"""

import argparse
import importlib.util
import json
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from running import read_json, some_of, start, whole

from sppdet.images import read_image
from sppdet.proposals import METHODS, propose, resize_for_search
from sppdet.proposals.recall import NUMBERS, Recall, measure_recall
from sppdet.runtime.files import write_text

SIDE = 500
MINIMUM_SIDE = 1
Search = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--coco", type=Path, required=True, help="images/ and instances.json")
    parser.add_argument(
        "--methods",
        type=some_of((*METHODS, "packages")),
        default="complete,fast,quality,tiny,opencv-fast,opencv-quality,packages",
    )
    parser.add_argument("--images", type=whole(1), help="only the first so many photographs")
    parser.add_argument("--package-images", type=whole(1), default=10, help="for the slow packages")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()

    console = Console(width=max(Console().width, 130))  # a table that is cut says nothing
    photographs = read_annotations(arguments.coco)[: arguments.images]
    images = [read_image(path) for path, _, _ in photographs]
    runs: list[tuple[str, Search, int]] = []
    for method in arguments.methods:
        if method == "packages":
            runs += [(*package, arguments.package_images) for package in packages(console)]
            continue
        runs.append((method, _ours(method), len(images)))
    cv2.setNumThreads(1)

    ready = []
    for name, search, count in runs:
        try:
            search(images[0][:64, :64].copy())
        except Exception as error:  # of a package that does not suit the versions installed
            console.print(f"{name}: left out, it fails here ({type(error).__name__}: {error})")
            continue
        ready.append((name, search, count))
    milliseconds: list[list[float]] = [[] for _ in ready]
    found: list[list[NDArray[np.float32]]] = [[] for _ in ready]
    for index, image in enumerate(track(images, "searching", console=Console(stderr=True))):
        for row, (_, search, count) in enumerate(ready):
            if index < count:
                started = time.perf_counter()
                found[row].append(search(image))
                milliseconds[row].append(1000 * (time.perf_counter() - started))
    results = []
    for row, (name, _, _) in enumerate(ready):
        recall = measure_recall(
            (boxes, truths, labels)
            for boxes, (_, truths, labels) in zip(found[row], photographs, strict=False)
        )
        results.append(_figures(name, milliseconds[row], found[row], recall))
    for entry in results:
        twin = "fast" if entry["method"] == "complete" else entry["method"]
        theirs = [e for e in results if e["method"] == f"opencv-{twin}"]
        if theirs:
            entry["faster_than_opencv"] = round(
                theirs[0]["milliseconds"] / entry["milliseconds"],  # type: ignore[operator]
                1,
            )

    console.print(_table(results))
    if arguments.json:
        report = {
            "machine": platform.processor() or platform.machine(),
            "opencv": cv2.__version__,
            "results": results,
        }
        write_text(arguments.json, json.dumps(report, indent=2) + "\n")


def read_annotations(
    folder: Path,
) -> list[tuple[Path, NDArray[np.float32], NDArray[np.int64]]]:
    """Path, boxes and labels of each photograph that has objects; crowds are left out."""
    content = read_json(folder / "instances.json", "COCO JSON", dict, "annotations", "images")
    objects: dict[int, list[tuple[list[float], int]]] = {}
    for annotation in content["annotations"]:
        if not annotation.get("iscrowd"):
            x, y, width, height = annotation["bbox"]
            objects.setdefault(annotation["image_id"], []).append(
                ([x, y, x + width, y + height], annotation["category_id"])
            )
    return [
        (
            folder / "images" / Path(entry["file_name"]).name,
            np.array([box for box, _ in objects[entry["id"]]], np.float32),
            np.array([label for _, label in objects[entry["id"]]], np.int64),
        )
        for entry in content["images"]
        if entry["id"] in objects
    ]


def packages(console: Console) -> list[tuple[str, Search]]:
    """The PyPI packages that are installed, each with its documented settings."""
    found: list[tuple[str, Search]] = []
    if importlib.util.find_spec("selectivesearch"):
        import selectivesearch

        def old(image: NDArray[np.uint8]) -> NDArray[np.float32]:
            small = resize_for_search(image, SIDE)
            _, regions = selectivesearch.selective_search(small, scale=500, sigma=0.9, min_size=10)
            boxes = np.float32([region["rect"] for region in regions]).reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            return _mapped_back(boxes, small, image)

        found.append(("selectivesearch", old))
    if importlib.util.find_spec("selective_search"):
        import selective_search

        def newer(image: NDArray[np.uint8]) -> NDArray[np.float32]:
            small = resize_for_search(image, SIDE)
            boxes = selective_search.selective_search(small, mode="fast", random_sort=False)
            return _mapped_back(np.float32(boxes).reshape(-1, 4), small, image)

        found.append(("selective-search", newer))
    if not found:
        console.print("selectivesearch and selective-search are not installed: left out")
    return found


def _ours(method: str) -> Search:
    settings = replace(METHODS[method], minimum_side=MINIMUM_SIDE)
    return lambda image: propose(image, settings, max(NUMBERS))


def _mapped_back(
    boxes: NDArray[np.float32], small: NDArray[np.uint8], image: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Distinct boxes with large enough sides, in the order given, in pixels of ``image``."""
    boxes = boxes[(boxes[:, 2:] - boxes[:, :2]).min(axis=1) >= MINIMUM_SIDE]
    _, first = np.unique(boxes, axis=0, return_index=True)
    scale = np.float32([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]] * 2)
    return boxes[np.sort(first)] * scale


def _figures(
    name: str,
    milliseconds: list[float],
    found: list[NDArray[np.float32]],
    recall: Recall,
) -> dict[str, object]:
    return {
        "method": name,
        "images": len(found),
        "milliseconds": round(float(np.median(milliseconds)), 1),
        "boxes": round(float(np.mean([len(boxes) for boxes in found]))),
        "numbers": list(recall.numbers),
        "recall_50": recall.recall(0.5).round(4).tolist(),
        "recall_70": recall.recall(0.7).round(4).tolist(),
        "mean_best_overlap": recall.mean_best_overlap().round(4).tolist(),
    }


def _table(results: list[dict[str, object]]) -> Table:
    table = Table(title="recall at IoU 0.5 / recall at 0.7 / mean best overlap")
    headings = ("method", "images", "ms", "OpenCV / ours", "boxes", *map(str, NUMBERS))
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for result in results:
        cells = zip(
            result["recall_50"], result["recall_70"], result["mean_best_overlap"], strict=True
        )
        table.add_row(
            *(str(result[key]) for key in ("method", "images", "milliseconds")),
            str(result.get("faster_than_opencv", "")),
            str(result["boxes"]),
            *(" ".join(f"{value:.3f}" for value in cell) for cell in cells),
        )
    return table


if __name__ == "__main__":
    start(main)
