"""Detection with proposals of one's own.

    python examples/own_proposals.py data/sample/fruit.jpg boxes.json

The file holds boxes as JSON, a list of [x1, y1, x2, y2], or as a NumPy array (.npy) of shape
(N, 4). A box is in pixels of the image, counted from 0; x2 and y2 are exclusive. Any method may
propose the boxes: a sliding window, another network, a person. Without a file the detector searches
for them.
"""

import argparse
import json
from pathlib import Path

import numpy as np

import sppdet
from sppdet.boxes import Boxes, as_boxes

SHIPPED = Path(sppdet.__file__).parent / "weights" / "detector.safetensors"


def read_boxes(path: Path) -> Boxes:
    """Boxes (N, 4) float32 from a JSON or a NumPy file."""
    return as_boxes(np.load(path) if path.suffix == ".npy" else json.loads(path.read_text()))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Detect objects among boxes of one's own.")
    parser.add_argument("image", type=Path)
    parser.add_argument("boxes", type=Path, nargs="?", help="a .json or .npy file")
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--threshold", type=float, default=0.35, help="least probability")
    given = parser.parse_args(arguments)

    image = sppdet.read_image(given.image)
    detector = sppdet.Detector.load(given.model)
    boxes = read_boxes(given.boxes) if given.boxes else detector.propose(image)
    found = detector.detect(image, given.threshold, boxes)

    print(f"{len(boxes)} proposals, {len(found)} detections")
    for label, score, box in zip(found.labels, found.scores, found.boxes, strict=True):
        numbers = " ".join(f"{value:7.1f}" for value in box)
        print(f"{found.classes[label]:10} {score:.3f}  {numbers}")


if __name__ == "__main__":
    main()
