"""Seconds of a training on Fruit with two trunks, by its parts, and the quality of the detector."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from sppdet.cli.common import images_at_a_time
from sppdet.datasets import Dataset, read_dataset
from sppdet.evaluation.evaluate import evaluate
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.base import Scorer
from sppdet.heads.examples import Examples
from sppdet.heads.linear import LinearScorer, LinearSvms
from sppdet.runtime.cache import without_cache
from sppdet.settings import DetectorSettings, SppSettings, TrainSettings
from sppdet.training.fitting import fit_to_labels
from sppdet.training.train import TrainResult, train
from sppdet.trunks import load_trunk

MOST_BEFORE_LITE0 = 40.0
"""Seconds after which the second training is left out."""


def measure(data: Path, device: torch.device, short: bool, figures: dict[str, Any]) -> None:
    """Train on ``data``/fruit/train as ``sppdet train`` does, with an empty cache each time.

    Args:
        data: the folder with ``fruit``.
        device: on which the network runs.
        short: 12 photographs and the trunk ``small`` only, without a warm-up and the test.

        figures: gets ``small`` and ``lite0``: ``seconds`` in all, ``seconds_of_parts`` (the parts
            are those that training tells of; the fit of the SVMs before a pass and the choice of
            the last one count to it), ``cpu_seconds_of_parts`` (of all threads),
            ``seconds_of_svm_fits`` (one after the other in mining; the sum of those side by side
            for the folds), ``fits``, ``examples`` by class, ``kept_on_device``, ``workers``,
            ``peak_device_gb``; and for ``small`` ``ap_11`` and ``ap_area`` on ``fruit/test``. In
            place of a figure that failed stands its error as text.
    """
    dataset = read_dataset(data / "fruit", "train")
    if short:
        few = dataset.subset(range(0, len(dataset), max(len(dataset) // 12, 1))[:12], None)
        figures["small"] = _noted(lambda: _figures(few, "small", device)[0])
        return
    begin = time.perf_counter()
    few = dataset.subset(range(0, len(dataset), 30), None)
    warm = _noted(lambda: _figures(few, "small", device)[0])
    figures["warm_up_seconds"] = warm if isinstance(warm, str) else warm["seconds"]

    def small() -> dict[str, Any]:
        result, trained = _figures(dataset, "small", device)
        figures["small"] = result
        start = time.perf_counter()
        test = read_dataset(data / "fruit", "test", classes=dataset.classes)
        found = evaluate(trained.detector, test, workers=images_at_a_time(device))
        seconds = time.perf_counter() - start
        quality = {"ap_11": found.map_11, "ap_area": found.map_area, "test_seconds": seconds}
        return {**result, **quality}

    done = _noted(small)
    if isinstance(done, str) and "small" in figures:
        figures["small"]["test"] = done
    else:
        figures["small"] = done
    if time.perf_counter() - begin > MOST_BEFORE_LITE0:
        figures["lite0"] = "left out: no time was left"
    else:
        figures["lite0"] = _noted(lambda: _figures(dataset, "lite0", device)[0])


@dataclass(frozen=True)
class _TimedSvms(LinearSvms):
    """Linear SVMs that note the seconds of each fit."""

    seconds: list[float] = field(default_factory=list)

    def fit(
        self,
        examples: Examples,
        changed: Collection[int] | None = None,
        previous: Scorer | None = None,
    ) -> LinearScorer:
        """See :class:`sppdet.heads.base.Heads`."""
        start = time.perf_counter()
        try:
            return super().fit(examples, changed, previous)
        finally:
            self.seconds.append(time.perf_counter() - start)


class _Parts:
    """Notes when each part of a training told of its last image."""

    def __init__(self) -> None:
        self.ends: dict[str, tuple[float, float]] = {}

    def __call__(self, part: str, done: int, total: int) -> None:
        self.ends[part] = time.perf_counter(), time.process_time()


def _figures(
    dataset: Dataset, name: str, device: torch.device
) -> tuple[dict[str, Any], TrainResult]:
    trunk = load_trunk(name, device=device)
    workers, parts, svms = images_at_a_time(device), _Parts(), _TimedSvms()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        torch.cuda.synchronize(device)
    with without_cache():
        parts("start", 0, 0)
        fitted = fit_to_labels(dataset, trunk.spec.scales, workers=workers)
        parts("fit to labels", 0, 0)
        extractor = SppRegionFeatures(trunk, SppSettings(fitted.scales))
        chosen = DetectorSettings(fitted.proposals, fitted.max_boxes)
        settings = TrainSettings(detector=chosen, workers=workers)
        result = train(dataset, extractor, settings, parts, svms)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        parts("decision", 0, 0)
        home = result.images.home
        result.images.clear()
    ends = list(parts.ends.items())
    pairs = list(pairwise(ends))
    figures: dict[str, Any] = {
        "seconds": ends[-1][1][0] - ends[0][1][0],
        "seconds_of_parts": {part: end[0] - before[0] for (_, before), (part, end) in pairs},
        "cpu_seconds_of_parts": {part: end[1] - before[1] for (_, before), (part, end) in pairs},
        "seconds_of_svm_fits": sum(svms.seconds),
        "fits": len(svms.seconds),
        "examples": result.examples,
        "photographs": len(dataset),
        "kept_on_device": home is not None,
        "workers": workers,
    }
    if device.type == "cuda":
        figures["peak_device_gb"] = torch.cuda.max_memory_allocated(device) / 1e9
    return figures, result


def _noted(figure: Callable[[], dict[str, Any]]) -> dict[str, Any] | str:
    """The figure, or why there is none."""
    try:
        return figure()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
