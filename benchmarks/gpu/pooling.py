"""Pyramid pooling of 2,000 windows on a GPU: the kernel, what it can be launched with, other ways.

Times are medians in milliseconds. The result is compared with the same function on the CPU.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pooling import random_windows  # benchmarks/pooling.py: the same windows as on a CPU
from torch import Tensor

from sppdet.features.window_pooling_torch import pool_windows_torch

LEVELS = (1, 2, 3, 6)
SHAPE = (43, 62, 256)
WINDOWS = 2000
KINDS = (torch.float32, torch.float16, torch.bfloat16)


def measure(data: Path, device: torch.device, short: bool, found: dict[str, Any]) -> None:
    """Fill ``found`` with the figures; ``data`` is not needed."""
    rows, columns, channels = (9, 12, 16) if short else SHAPE
    random = np.random.default_rng(0)
    values = random.standard_normal((rows, columns, channels), np.float32)
    windows = random_windows(random, rows, columns, 50 if short else WINDOWS)
    sides = windows[:, 2:] - windows[:, :2]
    found["map"] = f"{rows} x {columns} x {channels}"
    found["windows"] = len(windows)
    found["mean cells of a window"] = float(sides.prod(axis=1).mean())
    there = torch.from_numpy(windows).to(device)
    for dtype in KINDS:
        name = str(dtype).removeprefix("torch.")
        feature_map = torch.from_numpy(values).to(device, dtype)

        def pool(feature_map: Tensor = feature_map) -> Tensor:
            return pool_windows_torch(feature_map, there, LEVELS)

        expected = pool_windows_torch(feature_map.cpu(), windows, LEVELS)
        result = pool()
        found[f"{name} equal to the CPU's"] = bool(torch.equal(result.cpu(), expected))
        found[f"{name} ms"] = median_ms(pool, device)
        found[f"{name} ms to write the result"] = median_ms(lambda r=result: r.fill_(1), device)
    if device.type == "cuda":
        feature_map = torch.from_numpy(values).to(device)
        found["float32 ms of four calls of roi_pool"] = roi_pool_ms(feature_map, there)
        found["float32 ms by launch"] = launches(feature_map, there)


def compile_kernels(device: torch.device, dtype: torch.dtype) -> None:
    """Compile what :func:`measure` launches for one type of numbers, and keep it on the disk."""
    feature_map = torch.zeros(SHAPE, device=device, dtype=dtype)
    windows = torch.tensor([[0, 0, 1, 1]], dtype=torch.int32, device=device)
    pool_windows_torch(feature_map, windows, LEVELS)
    if dtype == torch.float32:
        launches(feature_map, windows)
    torch.cuda.synchronize(device)


def launches(feature_map: Tensor, windows: Tensor) -> dict[str, Any]:
    """Milliseconds of the kernel by channels of a program, warps, depth of the table."""
    from sppdet.features.window_pooling_triton import Launch, pool_windows_triton

    times: dict[str, Any] = {}
    for channels, warps, depth in ((128, 1, 3), (64, 1, 3), (128, 1, 2)):
        launch = Launch(channels, warps, depth)
        times[f"{channels} channels, {warps} warps, depth {depth}"] = median_ms(
            lambda launch=launch: pool_windows_triton(feature_map, windows, LEVELS, launch),
            feature_map.device,
        )
    return times


def roi_pool_ms(feature_map: Tensor, windows: Tensor) -> float:
    """torchvision's kernel, once per level."""
    from torchvision.ops import roi_pool

    batch = feature_map.permute(2, 0, 1)[None].contiguous()
    corners = windows.float()
    rois = torch.cat([corners.new_zeros(len(corners), 1), corners[:, :2], corners[:, 2:] - 1], 1)
    return median_ms(lambda: [roi_pool(batch, rois, level) for level in LEVELS], batch.device)


def median_ms(work: Callable[[], object], device: torch.device, repeats: int = 25) -> float:
    """Milliseconds of ``work`` on the device, the median; on a GPU by events, as a CUDA graph's
    replay where it can be captured, so that the time is the device's and not the launches'."""
    if device.type != "cuda":
        work()
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
        return 1000 * float(np.median(seconds))
    for _ in range(3):
        work()
    torch.cuda.synchronize(device)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = work()
    times = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(10):
            graph.replay()
        end.record()
        torch.cuda.synchronize(device)
        times.append(start.elapsed_time(end) / 10)
    del kept
    return float(np.median(times))
