"""Layout and precision of the convolution on a CPU: time, change of the scores, change of mAP.

The same detector with the same proposals; only the trunk's arithmetic changes. The first row is
what sppdet does. Times are medians over the photographs, in turns in one process, warm.

    python benchmarks/precision.py FRUIT --model fruit.safetensors --threads 2 --json precision.json
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

import numpy as np
import torch
from running import start, whole
from torch import Tensor, nn

from sppdet.benchmark.speed import machine
from sppdet.cli.detect import shipped_model
from sppdet.datasets import read_dataset
from sppdet.detector import Detector
from sppdet.evaluation.detecting import detect_all
from sppdet.evaluation.voc import evaluate_voc
from sppdet.features.spp import SppRegionFeatures
from sppdet.features.windows import image_scales, resize
from sppdet.heads.path import score_regions
from sppdet.images import read_image
from sppdet.proposals.cache import ProposalCache
from sppdet.runtime.files import write_text
from sppdet.runtime.memory import keep_freed_memory

FORMATS = {
    "float32, channels-last": (torch.float32, torch.channels_last),
    "float32, contiguous": (torch.float32, torch.contiguous_format),
    "bfloat16, channels-last": (torch.bfloat16, torch.channels_last),
    "bfloat16, contiguous": (torch.bfloat16, torch.contiguous_format),
}


class Recast(nn.Module):
    """A network that computes in another type and layout; its map comes back as float32."""

    def __init__(self, network: nn.Module, kind: torch.dtype, layout: torch.memory_format) -> None:
        super().__init__()
        self.network = network
        self.kind = kind
        self.layout = layout

    def forward(self, batch: Tensor) -> Tensor:
        return self.network(batch.to(self.kind, memory_format=self.layout)).float()


def recast(detector: Detector, kind: torch.dtype, layout: torch.memory_format) -> Detector:
    """The same detector on a trunk of its own in this type and layout."""
    loaded = detector.extractor
    assert isinstance(loaded, SppRegionFeatures)
    network = loaded.trunk.network.to(kind, memory_format=layout)
    trunk = dataclasses.replace(loaded.trunk, network=Recast(network, kind, layout))
    extractor = SppRegionFeatures(trunk, loaded.settings)
    return Detector(
        extractor, detector.scorer, detector.classes, detector.settings, detector.regression
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path, help="of SPP-net; default: the model that ships")
    parser.add_argument("--split", default="test")
    parser.add_argument(
        "--photos", type=whole(1), default=5, help="photographs for times and scores"
    )
    parser.add_argument("--threads", type=whole(1), default=2)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    model = arguments.model or shipped_model()
    dataset = read_dataset(arguments.data, arguments.split)
    ways = {name: recast(Detector.load(model, "cpu"), *how) for name, how in FORMATS.items()}

    cache = ProposalCache()
    times: dict[str, list[float]] = {name: [] for name in ways}
    changes: dict[str, list[float]] = {name: [] for name in ways}
    step = max(len(dataset.images) // arguments.photos, 1)
    for path in dataset.images[::step][: arguments.photos]:
        image = read_image(path)
        expected = None
        for name, detector in ways.items():
            settings = detector.settings
            boxes = cache.get(image, settings.proposals, settings.max_boxes)
            regions = detector.extractor.prepare(image, boxes)
            scores = score_regions(regions, detector.scorer)[regions.keys]
            expected = scores if expected is None else expected
            changes[name].append(float(np.abs(scores - expected).max()))
        for turn in range(5):
            for name, detector in ways.items():
                extractor = detector.extractor
                assert isinstance(extractor, SppRegionFeatures)
                height, width = image.shape[:2]
                seen = extractor.settings
                scales = image_scales(width, height, seen.scales, seen.longest_side)
                resized = [resize(image, scale) for scale in scales]
                start = time.perf_counter()
                for one in resized:
                    extractor.trunk.map(one)
                if turn >= 2:
                    times[name].append(1000 * (time.perf_counter() - start))

    print(f"{model.name}: {arguments.threads} threads, {len(dataset.images)} photographs")
    rows = {}
    for name, detector in ways.items():
        found, _ = detect_all(detector, dataset.images)
        figures = evaluate_voc(found, dataset.all_annotations(), dataset.classes)
        rows[name] = {
            "milliseconds": float(np.median(times[name])),
            "largest change of an SVM score": max(changes[name]),
            "map_11": figures.map_11,
            "map_area": figures.map_area,
        }
        print(name, *(f"{key} {value:.4g}" for key, value in rows[name].items()), sep="  ")
    if arguments.json:
        content = {"rows": rows, "threads": arguments.threads, "machine": machine()}
        write_text(arguments.json, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    start(main)
