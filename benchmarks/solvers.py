"""The two solvers of the SVMs, one beside the other: Gram matrix, and examples from the disk.

Both detectors are trained on the same prepared photographs and evaluated on the same test split;
they differ in ``MiningSettings.gram_examples``, the number of examples of a class from which the
streaming solver takes over. Everything else is as
`sppdet train` has it, at the trunk's own scale with the search `fast`.

    python benchmarks/solvers.py FRUIT BCCD/BCCD --trunk small --gram-examples 500
"""

import argparse
import json
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from running import start, whole

from sppdet.benchmark.speed import machine
from sppdet.datasets import Dataset, read_dataset
from sppdet.errors import SppdetError, SppdetWarning
from sppdet.evaluation.detecting import detect_all
from sppdet.evaluation.voc import evaluate_voc
from sppdet.features.spp import SppRegionFeatures
from sppdet.runtime.files import write_text
from sppdet.runtime.memory import keep_freed_memory
from sppdet.settings import TrainSettings
from sppdet.training.train import train
from sppdet.trunks import Trunk, load_trunk


def compare(data: Path, trunk: Trunk, gram_examples: int) -> dict[str, dict[str, Any]]:
    """The figures of both solvers on one data set.

    Raises:
        SppdetError: no class has enough examples for the streaming solver.
    """
    warnings.filterwarnings("ignore", message=".*already prepared", category=SppdetWarning)
    training, test = read_dataset(data, "train"), read_dataset(data, "test")
    usual = TrainSettings()
    limited = replace(usual, mining=replace(usual.mining, gram_examples=gram_examples))
    rows = {}
    for name, settings in (("Gram matrix", usual), ("from the disk", limited)):
        begun = time.perf_counter()
        result = train(training, SppRegionFeatures.of(trunk), settings)
        seconds = time.perf_counter() - begun
        largest = max(result.examples.values())
        if largest <= settings.mining.gram_examples and settings is limited:
            result.images.clear()
            raise SppdetError(
                f"{data}: no class has more than {largest} examples; give a smaller --gram-examples"
            )
        rows[name] = {**figures(result.detector, test), "examples": largest, "seconds": seconds}
    result.images.clear()
    return rows


def figures(detector: Any, test: Dataset) -> dict[str, float | None]:
    found, _ = detect_all(detector, test.images)
    result = evaluate_voc(found, test.all_annotations(), test.classes)
    return {"map_11": result.map_11, "map_area": result.map_area}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+", help="with a train and a test split")
    parser.add_argument("--trunk", default="small")
    parser.add_argument("--gram-examples", type=whole(2), default=500)
    parser.add_argument("--threads", type=whole(1), default=2)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    trunk = load_trunk(arguments.trunk)
    rows = {}
    for data in arguments.data:
        rows[data.name] = compare(data, trunk, arguments.gram_examples)
        for solver, row in rows[data.name].items():
            print(data.name, solver, *(f"{key} {value:.4f}" for key, value in row.items()))
    if arguments.json:
        content = {"rows": rows, "trunk": arguments.trunk, "machine": machine()}
        write_text(arguments.json, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    start(main)
