"""Seconds of detect on one photograph beside torchvision's detectors, and images per second.

torchvision's networks have random weights: their speed, not their accuracy. Everything is warm, in
one process, in turns; times are medians.

    python benchmarks/detect.py photo.jpg --model fruit.safetensors --threads 2 --json detect.json
    python benchmarks/detect.py photo.jpg --folder photos --number 60
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
import torchvision
from running import start, whole
from torchvision.transforms.functional import to_tensor

from sppdet.benchmark.speed import machine
from sppdet.cli.detect import shipped_model
from sppdet.detector import Detector
from sppdet.images import find_images, read_image
from sppdet.runtime.files import write_text
from sppdet.runtime.memory import keep_freed_memory
from sppdet.runtime.threads import ordered_map

OTHERS = (
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "ssdlite320_mobilenet_v3_large",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photo", type=Path)
    parser.add_argument("--model", type=Path, help="default: the model that ships")
    parser.add_argument("--side", type=whole(1), default=500, help="longer side of the photograph")
    parser.add_argument("--threads", type=whole(1), default=2)
    parser.add_argument("--repeats", type=whole(1), default=7)
    parser.add_argument("--folder", type=Path, help="measure the throughput on these photographs")
    parser.add_argument("--number", type=whole(1), default=60, help="of photographs of the folder")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    keep_freed_memory()
    model = arguments.model or shipped_model()
    detector = Detector.load(model, "cpu")
    content: dict[str, object] = {"machine": machine(), "threads": arguments.threads}

    image = read_image(arguments.photo)
    factor = arguments.side / max(image.shape[:2])
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    tensor = to_tensor(image)
    ways: dict[str, Callable[[], object]] = {"sppdet": lambda: detector.detect(image, 0.35)}  # type: ignore[arg-type]
    for name in OTHERS:
        network = getattr(torchvision.models.detection, name)(weights=None, weights_backbone=None)
        network.eval()
        ways[name] = lambda network=network: network([tensor])
    times: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        for turn in range(arguments.repeats + 2):
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                if turn >= 2:
                    times[name].append(time.perf_counter() - start)
    medians = {name: float(np.median(values)) for name, values in times.items()}
    print(f"{size[0]} x {size[1]} px, {arguments.threads} threads, seconds")
    for name, value in medians.items():
        print(f"{name:<40} {value:.3f}")
    content["seconds"] = medians

    if arguments.folder:
        files = find_images(arguments.folder)[: arguments.number]
        rates: dict[str, list[float]] = {"one after the other": [], "side by side": []}

        def work(file: Path) -> object:
            return detector.detect(read_image(file), 0.35)

        for _ in range(3):
            for name, values in rates.items():
                side_by_side = name == "side by side"
                torch.set_num_threads(1 if side_by_side else arguments.threads)
                start = time.perf_counter()
                list(ordered_map(work, files, arguments.threads if side_by_side else 1))
                values.append(len(files) / (time.perf_counter() - start))
        for name, values in rates.items():
            print(f"{len(files)} photographs, {name}: {np.median(values):.2f} per second")
        content["images_per_second"] = {name: np.median(v) for name, v in rates.items()}
    if arguments.json:
        write_text(arguments.json, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    start(main)
