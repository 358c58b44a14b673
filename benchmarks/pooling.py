"""Pyramid pooling of windows: our kernel, our torch operations, and four calls of roi_pool.

All pool the same random windows of one random map, in turns; times are medians in milliseconds.

    python benchmarks/pooling.py --json pooling.json
    python benchmarks/pooling.py --map 64,86,512 --windows 2000 --threads 2
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from running import exactly, start, whole
from torchvision.ops import roi_pool

from sppdet.benchmark.speed import machine
from sppdet.features.pyramid import bin_count
from sppdet.features.window_pooling import pool_windows
from sppdet.features.window_pooling_torch import pool_windows_torch
from sppdet.runtime.files import write_text
from sppdet.runtime.memory import keep_freed_memory

LEVELS = (1, 2, 3, 6)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--map",
        type=exactly(3, ",", "43,62,256", 1),
        default="43,62,256",
        help="rows, columns, channels",
    )
    parser.add_argument("--windows", type=whole(1), default=2000)
    parser.add_argument("--threads", type=whole(1), default=1)
    parser.add_argument("--repeats", type=whole(1), default=9)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    rows, columns, channels = arguments.map
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()

    random = np.random.default_rng(0)
    feature_map = random.standard_normal((rows, columns, channels), np.float32)
    windows = random_windows(random, rows, columns, arguments.windows)
    channels_first = torch.from_numpy(feature_map).permute(2, 0, 1)[None].contiguous()
    last = torch.from_numpy(feature_map)
    rois = torch.from_numpy(windows).float()
    rois = torch.cat([torch.zeros(len(rois), 1), rois[:, :2], rois[:, 2:] - 1], dim=1)
    out = np.empty((len(windows), bin_count(LEVELS), channels), np.float32)

    ways: dict[str, Callable[[], object]] = {
        "roi_pool, four calls": lambda: [roi_pool(channels_first, rois, level) for level in LEVELS],
        "torch operations": lambda: pool_windows_torch(last, windows, LEVELS),
        "kernel": lambda: pool_windows(feature_map, windows, LEVELS, out, arguments.threads),
        "writing the result": lambda: out.fill(0),
    }
    expected = np.concatenate(
        [one.flatten(2).transpose(1, 2).numpy() for one in ways["roi_pool, four calls"]()],  # type: ignore[attr-defined]
        axis=1,
    )
    difference = {
        "torch operations": float(np.abs(ways["torch operations"]().numpy() - expected).max()),  # type: ignore[attr-defined]
        "kernel": float(np.abs(np.asarray(ways["kernel"]()) - expected).max()),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        for turn in range(arguments.repeats + 2):
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                if turn >= 2:
                    times[name].append(1000 * (time.perf_counter() - start))
    medians = {name: float(np.median(values)) for name, values in times.items()}
    slowest = medians["roi_pool, four calls"]
    print(
        f"{len(windows)} windows, {rows} x {columns} x {channels} map, {arguments.threads} threads"
    )
    for name, value in medians.items():
        same = f", difference {difference[name]:g}" if name in difference else ""
        print(f"{name:<22} {value:8.1f} ms  {slowest / value:6.1f} x{same}")
    if arguments.json:
        content = {"milliseconds": medians, "difference": difference, "machine": machine()}
        write_text(arguments.json, json.dumps({**vars(arguments), **content}, default=str) + "\n")


def random_windows(
    random: np.random.Generator, rows: int, columns: int, count: int
) -> NDArray[np.int32]:
    """(N, 4) windows: sides uniform from one cell to the whole map."""
    limits = np.array([columns, rows])
    sides = random.integers(1, limits + 1, (count, 2))
    first = random.integers(0, limits - sides + 1)
    return np.concatenate([first, first + sides], axis=1).astype(np.int32)


if __name__ == "__main__":
    start(main)
