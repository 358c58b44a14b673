"""Photographs a second of a pipeline over many photographs, with the work of the CPU in threads and
in processes; and of that work alone."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from sppdet.cli.detect import shipped_model
from sppdet.detector import Detector
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.linear import LinearScorer
from sppdet.heads.path import score_regions
from sppdet.heads.regression import BoxRegression
from sppdet.images import find_images, read_image
from sppdet.pipeline.preparing import begin, prepare, prepare_with_folder
from sppdet.pipeline.stream import Pipeline, recipe_of
from sppdet.runtime.processes import Processes
from sppdet.runtime.threads import ordered_map
from sppdet.runtime.torch_threads import torch_threads
from sppdet.trunks import load_trunk

LONGEST = 6.0
"""Seconds of a figure: what is not done by then is left out."""


def measure(data: Path, device: torch.device, short: bool, found: dict[str, Any]) -> None:
    """Fill ``found`` with figures of streams of the Fruit test photographs, read each time.

    Args:
        data: the folder with ``fruit``.
        device: on which the networks run; processes are used on a GPU only.
        short: a few photographs, without processes and the second detector.
        found: gets ``small`` for the detector that ships and ``lite0`` for one with random heads,
            by way of working ``photographs_per_second``, and ``second_half_per_second``, in which
            all processes run; and ``preparation``, the reading, search and resizing alone,
            photographs a second by the number of workers, which shows how far the GIL limits
            threads. In place of a figure that failed stands its error as text.
    """
    files = find_images(data / "fruit" / "test")
    files = files[:4] if short else files
    many = files if short else files * 10
    detector = Detector.load(shipped_model(), device)
    threads = torch_threads()
    found["cpus"] = os.cpu_count()
    found["torch_threads"] = threads
    found["photographs"] = len(many)
    found["megapixels"] = round(float(np.mean([_pixels(file) for file in files])) / 1e6, 3)
    ways = ("threads",) if device.type == "cpu" else ("threads", "processes")

    def streams(name: str, which: Detector) -> None:
        figures = found[name] = {}
        start = time.perf_counter()
        for _ in _stream(which, files, False):  # every size for the first time
            pass
        figures["first_pass_per_second"] = round(len(files) / (time.perf_counter() - start), 2)
        for _ in _stream(which, files, False):  # captures of graphs
            pass
        for way in ways:
            figures[way] = _or_error(
                lambda way=way: _rates(_stream(which, many, way == "processes"), many)
            )

    for _ in _stream(detector, files[:1], False):  # the kernels are compiled
        pass
    problem = _or_error(lambda: streams("small", detector))
    if problem:
        found["small"]["failed"] = problem
    if not short:
        found["lite0"] = {}
        problem = _or_error(lambda: streams("lite0", _with_random_heads(device, files[0])))
        if problem:
            found["lite0"]["failed"] = problem
    counts = [1, 2] if short else sorted({1, 8, threads})
    alone = found["preparation"] = {}
    for count in counts:
        name = f"{count} threads"
        alone[name] = _or_error(lambda count=count: _in_threads(detector, many, count))
    if short:
        return
    alone[f"{threads} processes"] = _or_error(lambda: _in_processes(detector, many, threads))


def _stream(detector: Detector, files: list[Path], processes: bool) -> Iterator[object]:
    with Pipeline(detector, None, len(files), processes=processes) as pipeline:
        yield from pipeline.map(lambda file: pipeline.detect(file, {}), files)


def _rates(results: Iterable[object], files: list[Path]) -> dict[str, float]:
    """Of results that come one by one; the start counts for the first rate."""
    start = time.perf_counter()
    times = []
    for _ in results:
        times.append(time.perf_counter() - start)
        if times[-1] > LONGEST:
            break
    half = len(times) // 2
    return {
        "photographs": len(times),
        "photographs_per_second": round(len(times) / times[-1], 2),
        "second_half_per_second": round(
            (len(times) - half) / (times[-1] - (times[half - 1] if half else 0)), 2
        ),
    }


def _in_threads(detector: Detector, files: list[Path], count: int) -> dict[str, float]:
    recipe = recipe_of(detector)
    prepare(files[0], recipe)
    cpu = time.process_time()
    some = files[: 40 * count]
    rates = _rates(ordered_map(lambda file: prepare(file, recipe), some, count), some)
    used = (time.process_time() - cpu) / rates["photographs"]
    return {**rates, "cpu_milliseconds_per_photograph": round(1000 * used, 2)}


def _in_processes(detector: Detector, files: list[Path], count: int) -> dict[str, float]:
    recipe = recipe_of(detector)
    start = time.perf_counter()
    processes = Processes(count, begin, Image.MAX_IMAGE_PIXELS)
    try:
        while processes.starting:
            time.sleep(0.01)
        ready = time.perf_counter() - start

        def one(file: Path) -> object:
            return processes.call(prepare_with_folder, file, recipe, None, None, True)

        some = files[: 40 * count]
        rates = _rates(ordered_map(one, some, count + 2), some)
    finally:
        processes.close()
    return {**rates, "seconds_to_start": round(ready, 2)}


def _with_random_heads(device: torch.device, photograph: Path) -> Detector:
    """A detector with the trunk lite0 whose three classes find something in about one of a thousand
    boxes."""
    extractor = SppRegionFeatures.of(load_trunk("lite0", device=device))
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(3, extractor.dimension, generator=random)
    calibration = np.tile(np.array([[1.0, 0.0]], np.float32), (3, 1))
    plain = LinearScorer(weight, torch.zeros(3), calibration)
    moves = torch.randn(12, extractor.dimension, generator=random)
    detector = Detector(extractor, plain, ("a", "b", "c"))
    image = read_image(photograph)
    with torch.inference_mode():
        regions = extractor.prepare(image, detector.propose(image))
        scores = torch.from_numpy(score_regions(regions, detector.scorer))
    scale, least = 1 / scores.std(dim=0), scores.quantile(0.999, dim=0)
    scorer = LinearScorer(weight * scale[:, None], -least * scale, calibration)
    regression = BoxRegression(moves * 0.05 / scores.std(), torch.zeros(12))
    return Detector(extractor, scorer, detector.classes, None, regression)


def _pixels(file: Path) -> int:
    return int(np.prod(read_image(file).shape[:2]))


def _or_error(figure: Callable[[], Any]) -> Any:
    try:
        return figure()
    except Exception as error:  # the other figures are still worth having
        return f"{type(error).__name__}: {error}"
