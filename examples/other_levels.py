"""Other pyramids: train a detector per pyramid on rendered scenes and compare their mAP.

    python examples/other_levels.py 1 6 1,2,3,6

A pyramid is named by its levels, the number of bins per side: 1,2,3,6 has 1 + 4 + 9 + 36 = 50 bins
(SPP-net, He et al., 2014, section 4.1). More bins describe a window more finely and give longer
feature vectors. Levels that divide a finer one cost almost no time.
"""

import argparse
import tempfile
from pathlib import Path

import sppdet
from sppdet.datasets.scenes import write_scenes
from sppdet.features.spp import SppRegionFeatures
from sppdet.settings import DetectorSettings, SppSettings, TrainSettings


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Compare pyramids on rendered scenes.")
    parser.add_argument("pyramids", nargs="*", default=["1", "6", "1,2,3,6"], metavar="LEVELS")
    parser.add_argument("--scenes", type=int, default=30, help="scenes to train on")
    given = parser.parse_args(arguments)

    with tempfile.TemporaryDirectory() as folder:
        write_scenes(Path(folder) / "train", given.scenes, seed=0, size=(320, 240))
        write_scenes(Path(folder) / "test", given.scenes // 2, seed=1, size=(320, 240))
        training = sppdet.read_dataset(folder, "train")
        test = sppdet.read_dataset(folder, "test", training.classes)
        # Fewer boxes, no mirrored images, no box regression: the example is quick.
        settings = TrainSettings(
            detector=DetectorSettings(max_boxes=500),
            mirror=False,
            box_regression=False,
            store_bytes=0,
        )
        trunk = sppdet.load_trunk("small")
        for text in given.pyramids:
            levels = tuple(int(level) for level in text.split(","))
            extractor = SppRegionFeatures(trunk, SppSettings((320,), levels=levels))
            detector = sppdet.train(training, extractor, settings).detector
            figures = sppdet.evaluate(detector, test)
            length = extractor.dimension
            print(f"levels {text:10} {length:6} features  mAP {figures.map_11:.3f}")


if __name__ == "__main__":
    main()
