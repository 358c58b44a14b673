"""Other pyramids: train a detector per pyramid on rendered scenes and compare their mAP.

    python examples/other_levels.py 1 6 1,2,3,6

A pyramid is named by its levels, the number of bins per side: 1,2,3,6 has 1 + 4 + 9 + 36 = 50 bins
(SPP-net, He et al., 2014, section 4.1). More bins describe a window more finely and give longer
feature vectors. Levels that divide a finer one cost almost no time.
"""

import argparse
import tempfile
from pathlib import Path

from sppdet.datasets import Dataset, read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.detector import Detector
from sppdet.evaluation.detecting import detect_all
from sppdet.evaluation.voc import evaluate_voc
from sppdet.features.spp import SppRegionFeatures
from sppdet.settings import DetectorSettings, SppSettings, TrainSettings
from sppdet.training.train import train
from sppdet.trunks import load_trunk


def mean_ap(detector: Detector, dataset: Dataset) -> float:
    """The VOC 2007 mAP at an IoU of 0.5."""
    found, _ = detect_all(detector, dataset.images)
    result = evaluate_voc(found, dataset.all_annotations(), dataset.classes)
    return result.map_11 or 0.0


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Compare pyramids on rendered scenes.")
    parser.add_argument("pyramids", nargs="*", default=["1", "6", "1,2,3,6"], metavar="LEVELS")
    parser.add_argument("--scenes", type=int, default=30, help="scenes to train on")
    given = parser.parse_args(arguments)

    with tempfile.TemporaryDirectory() as folder:
        write_scenes(Path(folder) / "train", given.scenes, seed=0, size=(320, 240))
        write_scenes(Path(folder) / "test", given.scenes // 2, seed=1, size=(320, 240))
        training = read_dataset(folder, "train")
        test = read_dataset(folder, "test", training.classes)
        # Fewer boxes, no mirrored images, no box regression: the example is quick.
        settings = TrainSettings(
            detector=DetectorSettings(max_boxes=500),
            mirror=False,
            box_regression=False,
            store_bytes=0,
        )
        trunk = load_trunk("small")
        for text in given.pyramids:
            levels = tuple(int(level) for level in text.split(","))
            extractor = SppRegionFeatures(trunk, SppSettings((320,), levels=levels))
            detector = train(training, extractor, settings).detector
            length = extractor.dimension
            print(f"levels {text:10} {length:6} features  mAP {mean_ap(detector, test):.3f}")


if __name__ == "__main__":
    main()
