"""Write benchmarks/results/gpu.json from what benchmarks/gpu_check.py found.

    python benchmarks/gpu_table.py out/gpu.json
    python benchmarks/tables.py

A figure that is missing or that failed stands there as "not measured".
"""

import argparse
import json
from pathlib import Path
from typing import Any

from running import read_json, start

RESULT = Path(__file__).resolve().parent / "results" / "gpu.json"

ROWS = [
    # what, unit (a share becomes %), where it stands, wanted
    ("2,000 windows of a map of 43 x 62 x 256 float32", "ms",
     "pooling > float32 ms", "≤ 0.10"),
    ("the same, float16", "ms",
     "pooling > float16 ms", ""),
    ("four calls of `roi_pool`", "ms",
     "pooling > float32 ms of four calls of roi_pool", ""),
    ("writing the float32 result", "ms",
     "pooling > float32 ms to write the result", ""),
    ("features of R-CNN, a photograph", "ms",
     "features > R-CNN, SqueezeNet > ms", ""),
    ("features of SPP-net, one scale, in a stream", "ms",
     "features > SqueezeNet, one scale > stream, ms", "≤ 1.3"),
    ("times as fast as R-CNN", "",
     "features > R-CNN / SPP-net > one scale, stream", "≥ 100"),
    ("features of SPP-net, five scales, in a stream", "ms",
     "features > SqueezeNet, five scales > stream, ms", "≤ 5"),
    ("times as fast as R-CNN", "",
     "features > R-CNN / SPP-net > five scales, stream", "≥ 25"),
    ("all behind the search, the detector that ships, in a stream", "ms",
     "features > find_later, the detector that ships > stream, ms", ""),
    ("largest difference of boxes from the CPU's", "px",
     "features > detections on the device and on the CPU > largest difference of boxes, px", ""),
    ("largest difference of scores", "",
     "features > detections on the device and on the CPU > largest difference of scores", ""),
    ("detection on Fruit, the detector that ships, threads", "photographs/s",
     "stream > small > threads > second_half_per_second", "≥ 150"),
    ("detection on Fruit, the detector that ships, processes", "photographs/s",
     "stream > small > processes > second_half_per_second", "≥ 150"),
    ("detection on Fruit, lite0, threads", "photographs/s",
     "stream > lite0 > threads > second_half_per_second", "≥ 150"),
    ("detection on Fruit, lite0, processes", "photographs/s",
     "stream > lite0 > processes > second_half_per_second", "≥ 150"),
    ("training on Fruit, small", "s",
     "training > small > seconds", "≤ 15"),
    ("11-point mAP of that detector on Fruit's test photographs", "",
     "training > small > ap_11", ""),
    ("training on Fruit, lite0", "s",
     "training > lite0 > seconds", ""),
    ("CIFAR-10, an epoch of spp5", "s",
     "classification > spp5 > epoch_seconds", "≤ 1"),
    ("CIFAR-10, an epoch of NIN", "s",
     "classification > nin > epoch_seconds", "≤ 2"),
    ("CIFAR-10, an epoch of spp5-wide", "s",
     "classification > spp5-wide > epoch_seconds", ""),
    ("CIFAR-10, test accuracy of spp5-wide", "%",
     "accuracy > spp5-wide > top1", "≥ 90"),
    ("its training", "s",
     "accuracy > spp5-wide > seconds", "≤ 480"),
    ("CIFAR-10, test accuracy of NIN", "%",
     "accuracy > nin > top1", "≥ 90"),
    ("its training", "s",
     "accuracy > nin > seconds", "≤ 480"),
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figures", type=Path, help="the file that gpu_check.py wrote")
    parser.add_argument("--note", default="", help="what must be said of these figures")
    arguments = parser.parse_args()
    what = "a file that benchmarks/gpu_check.py wrote"
    figures = read_json(arguments.figures, what, dict, "commit", "date", "parts")
    content = table(figures)
    content["note"] = f"{content['note']} {arguments.note}".strip()
    text = json.dumps(content, indent=1, ensure_ascii=False)
    RESULT.write_text(text + "\n", encoding="utf-8")


def table(figures: dict[str, Any]) -> dict[str, Any]:
    """The content of benchmarks/results/gpu.json."""
    machine = figures.get("machine") or {}
    return {
        "command": ["make gpu-check", "python benchmarks/gpu_table.py out/gpu.json"],
        "commit": figures["commit"],
        "machine": f"{machine.get('gpu', 'not recorded')}, {machine.get('cores', '?')} cores; "
        f"Python {machine.get('python', '?')}, torch {machine.get('torch', '?')}",
        "threads": machine.get("cores", 0),
        "date": figures["date"],
        "note": "R-CNN and SPP-net with SqueezeNet on Fruit's test photographs, about 1,400 "
        "proposals each; times in a stream are those of sizes that came before.",
        "columns": {"what": "", "found": "", "unit": "", "wanted": ""},
        "rows": [
            [what, rounded(figures["parts"], path, 100 if unit == "%" else 1), unit, wanted]
            for what, unit, path, wanted in ROWS
        ],
    }


def rounded(parts: Any, path: str, factor: float) -> float | str:
    """A figure with three digits."""
    for name in path.split(" > "):
        parts = parts.get(name) if isinstance(parts, dict) else None
    if not isinstance(parts, int | float):
        return "not measured"
    return float(f"{factor * parts:.3g}")


if __name__ == "__main__":
    start(main)
