"""Training from Python, with every choice written out.

python examples/train_from_python.py            # rendered scenes, about a minute
python examples/train_from_python.py photos     # photographs in photos/train and photos/test
"""

import sys
import tempfile
from pathlib import Path

import sppdet
from sppdet.datasets.scenes import write_scenes
from sppdet.evaluation.intervals import bootstrap
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.linear import LinearSvms
from sppdet.settings import DetectorSettings, SppSettings, SvmSettings, TrainSettings


def main(data: str | None = None) -> dict[str, float]:
    """Train, evaluate with intervals, detect; return the average precision of each class."""
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(data or folder)
        if data is None:
            write_scenes(photos / "train", 40, seed=0, size=(320, 240))
            write_scenes(photos / "test", 15, seed=1, size=(320, 240))
        train, test = (sppdet.read_dataset(photos, split) for split in ("train", "test"))

        # Features: the trunk, the sizes at which it sees an image, the pyramid.
        extractor = SppRegionFeatures(
            sppdet.load_trunk("small"), SppSettings(scales=(240, 320), levels=(1, 2, 3, 6))
        )
        # Proposals, seed, and how many images are worked on side by side.
        settings = TrainSettings(
            detector=DetectorSettings(proposals="fast", max_boxes=1000), seed=1, workers=2
        )
        # Heads: linear SVMs with a larger C than the papers'.
        heads = LinearSvms(SvmSettings(cost=0.002))

        def progress(stage: str, done: int, total: int) -> None:
            if done == total:
                print(f"{stage}: {done}")

        result = sppdet.train(train, extractor, settings, progress, heads)
        result.images.clear()  # the prepared images on the disk
        print("examples:", result.examples)
        print("images that could not be read:", result.failures or "none")

        figures = sppdet.evaluate(result.detector, test)
        interval = bootstrap(figures, len(test.images))["map_11"]
        print(f"mean AP {figures.map_11:.3f}, 95 % {interval.low:.3f} to {interval.high:.3f}")
        found = result.detector.detect(test.images[0], threshold=0.35)
        for box, label, score in zip(found.boxes, found.labels, found.scores, strict=True):
            print(f"{found.classes[label]} {score:.2f} {box.round().astype(int).tolist()}")
    return {entry.name: entry.ap_11 or 0.0 for entry in figures.classes}


if __name__ == "__main__":
    main(*sys.argv[1:2])
