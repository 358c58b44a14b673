"""mAP of one detector under other settings of suppression and box voting.

Meant for a part of the training photographs that the detector has not learned from: settings are
not chosen on a test split. The first row is the default.

    python tools/train.py FOLD --output fold.safetensors      # learns from FOLD/train
    python benchmarks/selection.py FOLD --model fold.safetensors --json selection.json
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

from running import start

from sppdet.datasets import read_dataset
from sppdet.detector import Detector
from sppdet.evaluation.detecting import detect_all
from sppdet.evaluation.voc import evaluate_voc
from sppdet.runtime.files import write_text
from sppdet.settings import SelectionSettings

DEFAULT = SelectionSettings()
SETTINGS = (
    DEFAULT,
    replace(DEFAULT, group_penalty=0.0),
    replace(DEFAULT, voter_iou=1),
    replace(DEFAULT, nms_iou=0.35),
    replace(DEFAULT, nms_iou=0.4),
    replace(DEFAULT, nms_iou=0.4, voter_iou=0.4),
    replace(DEFAULT, nms_iou=0.4, voter_iou=0.6),
    replace(DEFAULT, nms_iou=0.4, max_candidates=100),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    dataset = read_dataset(arguments.data, arguments.split)
    detector = Detector.load(arguments.model, "cpu")
    rows = []
    for selection in SETTINGS:
        detector.settings = replace(detector.settings, selection=selection)
        found, failures = detect_all(detector, dataset.images)
        figures = evaluate_voc(found, dataset.all_annotations(), dataset.classes)
        rows.append({**asdict(selection), "map_11": figures.map_11, "map_area": figures.map_area})
        print(*(f"{key} {value}" for key, value in rows[-1].items()), sep="  ", flush=True)
        for line in failures:
            print(f"  {line}")
    if arguments.json:
        write_text(arguments.json, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    start(main)
