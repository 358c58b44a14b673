"""Eight requests at once beside eight in a row, with one detector that threads share.

Every turn measures both, so that other work on the machine reaches both; the figures are medians.
A server wants the ratio to be at most 1.3.

    python benchmarks/threads.py photo.jpg --json threads.json
    python benchmarks/threads.py photo.jpg --model fruit.safetensors --threads 2 --requests 8
"""

import argparse
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import torch
from running import start, whole

from sppdet.benchmark.speed import machine
from sppdet.cli.detect import shipped_model
from sppdet.detector import Detector
from sppdet.images import read_image
from sppdet.runtime.files import write_text
from sppdet.runtime.memory import keep_freed_memory


def measure(
    detector: Detector, image: np.ndarray, requests: int, turns: int
) -> dict[str, list[float]]:
    """Seconds of so many requests ``in a row`` and ``at once``, one pair per turn.

    Every answer at once must be that of a request alone.
    """
    wanted = detector.detect(image)

    def request(_: int) -> None:
        if detector.detect(image) != wanted:
            raise SystemExit("error: a request at once was answered differently")

    seconds: dict[str, list[float]] = {"in a row": [], "at once": []}
    with ThreadPoolExecutor(requests) as pool:
        ways: dict[str, Callable[[], object]] = {
            "in a row": lambda: [request(number) for number in range(requests)],
            "at once": lambda: list(pool.map(request, range(requests))),
        }
        ways["at once"]()  # every thread has been started
        for turn in range(turns):
            for name in list(ways) if turn % 2 else reversed(ways):
                start = time.perf_counter()
                ways[name]()
                seconds[name].append(time.perf_counter() - start)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photo", type=Path)
    parser.add_argument("--model", type=Path, help="default: the model that ships")
    parser.add_argument("--requests", type=whole(1), default=8)
    parser.add_argument("--turns", type=whole(1), default=9)
    parser.add_argument("--threads", type=whole(1), default=2, help="of PyTorch, for each request")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    keep_freed_memory()
    detector = Detector.load(arguments.model or shipped_model(), "cpu")
    image = read_image(arguments.photo)
    detector.warm_up()
    seconds = measure(detector, image, arguments.requests, arguments.turns)
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    ratio = medians["at once"] / medians["in a row"]
    for name, value in medians.items():
        print(f"{arguments.requests} requests {name}: {value:.3f} s")
    print(f"at once takes {ratio:.2f} times the time")
    if arguments.json:
        content = {
            "seconds": medians,
            "ratio": ratio,
            "all_seconds": seconds,
            "requests": arguments.requests,
            "turns": arguments.turns,
            "threads": arguments.threads,
            "image": [image.shape[1], image.shape[0]],
            "model": detector.extractor.trunk.name,
            "machine": machine(),
            "date": date.today().isoformat(),
        }
        write_text(arguments.json, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    start(main)
