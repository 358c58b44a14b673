"""Explain two detections of the sample picture: the picture of ``sppdet explain`` in README.md.

Example:
    python data/explain_sample.py
"""

from pathlib import Path

import sppdet
from sppdet.detector import Detector
from sppdet.drawing import save_picture
from sppdet.explaining import explain
from sppdet.explaining.picture import explanation_picture
from sppdet.images import read_image

HERE = Path(__file__).resolve().parent
CLASSES = ("apple", "banana")


def main() -> None:
    weights = Path(sppdet.__file__).parent / "weights"
    detector = Detector.load(weights / "detector.safetensors", "cpu")
    image = read_image(HERE / "sample" / "fruit.jpg")
    found = detector.detect(image, {})
    one_of_each = [next(k for k, one in enumerate(found) if one.label == name) for name in CLASSES]
    explained = explain(detector, image, found[one_of_each])
    save_picture(
        explanation_picture(image, explained, detector.classes), HERE / "pictures" / "explain.png"
    )


if __name__ == "__main__":
    main()
