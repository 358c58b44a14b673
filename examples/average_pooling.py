"""Region features of one's own: average pooling over windows instead of maximum pooling.

    python examples/average_pooling.py

Whatever has the methods of ``sppdet.features.regions.RegionExtractor`` can be trained and can
detect. This one maps each box to a window of the feature map as SPP-net does and takes the mean of
each bin of the pyramid. A summed-area table (Crow, 1984) gives the sum of a bin of any size from
four reads. ``Detector.save`` refuses an extractor that is not sppdet's, so that the detector
stays in memory.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.boxes import Boxes
from sppdet.datasets import read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.evaluation.detecting import detect_all
from sppdet.evaluation.voc import evaluate_voc
from sppdet.features.windows import image_scales, map_windows, resize
from sppdet.images import Rgb
from sppdet.runtime.timing import Clock
from sppdet.settings import DetectorSettings, TrainSettings
from sppdet.training.train import train
from sppdet.trunks import Trunk, load_trunk


class AverageRegions:
    """The windows of one image: distinct ones (M, 4), and which of them each box has, (N,)."""

    def __init__(
        self,
        feature_map: Tensor,
        windows: NDArray[np.int32],
        keys: NDArray[np.int64],
        levels: tuple[int, ...],
    ) -> None:
        self.keys, self.count = keys, len(windows)
        self._map, self._windows, self._levels = feature_map, windows, levels
        # sums[y, x] is the sum of the cells above row y and left of column x.
        self._sums = torch.nn.functional.pad(
            feature_map.double().cumsum(0).cumsum(1), (0, 0, 1, 0, 1, 0)
        )

    def features(self, keys: NDArray[np.int64], clock: Clock | None = None) -> Tensor:
        """(len(keys), bins * channels) float32: level by level, bin by bin, row by row."""
        with (clock or Clock()).stage("pooling"):
            x1, y1, x2, y2 = torch.from_numpy(self._windows[keys]).long().to(self._sums.device).T
            levels = [self._means(x1, y1, x2 - x1, y2 - y1, n) for n in self._levels]
            return torch.cat(levels, dim=1).float()

    def _means(self, left: Tensor, top: Tensor, width: Tensor, height: Tensor, n: int) -> Tensor:
        """The n x n bins of M windows: (M, n * n * channels)."""
        step = torch.arange(n, device=left.device)
        # Bin i spans floor(i h / n) to ceil((i + 1) h / n), as for maximum pooling.
        y1 = (top[:, None] + step * height[:, None] // n)[:, :, None]
        y2 = (top[:, None] - (step + 1) * -height[:, None] // n)[:, :, None]
        x1 = (left[:, None] + step * width[:, None] // n)[:, None, :]
        x2 = (left[:, None] - (step + 1) * -width[:, None] // n)[:, None, :]
        s = self._sums
        total = s[y2, x2] - s[y1, x2] - s[y2, x1] + s[y1, x1]
        return (total / ((y2 - y1) * (x2 - x1))[..., None]).flatten(1)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What ``AveragePooling.restore`` needs."""
        feature_map = self._map.half().cpu().numpy()
        return {"map": feature_map, "windows": self._windows, "keys": self.keys}


class AveragePooling:
    """A ``RegionExtractor``: one map per image, the mean of every bin of every window."""

    def __init__(
        self, trunk: Trunk, side: int = 320, levels: tuple[int, ...] = (1, 2, 3, 6)
    ) -> None:
        self.trunk, self.side, self.levels = trunk, side, levels
        self.dimension = trunk.channels * sum(level * level for level in levels)

    def maps(self, image: Rgb, clock: Clock) -> list[Tensor]:
        """The feature map (rows, columns, channels), which needs no boxes."""
        (scale,) = image_scales(image.shape[1], image.shape[0], (self.side,), 2000)
        with clock.stage("convolution"):
            return [self.trunk.map(resize(image, scale))]

    def prepare(
        self,
        image: Rgb,
        boxes: Boxes,
        clock: Clock | None = None,
        maps: list[Tensor] | None = None,
    ) -> AverageRegions:
        """The windows of boxes (N, 4); boxes with the same window share a key."""
        clock = clock or Clock()
        (feature_map,) = maps or self.maps(image, clock)
        with clock.stage("windows"):
            (scale,) = image_scales(image.shape[1], image.shape[0], (self.side,), 2000)
            rows, columns = feature_map.shape[:2]
            windows = map_windows(boxes, scale, self.trunk.geometry, rows, columns)
            distinct, keys = np.unique(windows, axis=0, return_inverse=True)
        return AverageRegions(feature_map, distinct, keys.reshape(-1), self.levels)

    def restore(self, arrays: dict[str, NDArray[Any]]) -> AverageRegions:
        """The regions that ``AverageRegions.to_arrays`` describes."""
        feature_map = torch.from_numpy(arrays["map"]).to(self.trunk.device).float()
        return AverageRegions(feature_map, arrays["windows"], arrays["keys"], self.levels)

    def to_json(self) -> dict[str, Any]:
        """The name and the settings; prepared images are stored under them."""
        return {"method": "average", "side": self.side, "levels": self.levels}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train with average pooling on rendered scenes.")
    parser.add_argument("--scenes", type=int, default=30, help="scenes to train on")
    given = parser.parse_args(arguments)

    with tempfile.TemporaryDirectory() as folder:
        write_scenes(Path(folder) / "train", given.scenes, seed=0, size=(320, 240))
        write_scenes(Path(folder) / "test", given.scenes // 2, seed=1, size=(320, 240))
        training = read_dataset(folder, "train")
        test = read_dataset(folder, "test", training.classes)
        extractor = AveragePooling(load_trunk("small"))
        # Fewer boxes, no mirrored images, no box regression: the example is quick.
        settings = TrainSettings(
            detector=DetectorSettings(max_boxes=500),
            mirror=False,
            box_regression=False,
            store_bytes=0,
        )
        detector = train(training, extractor, settings).detector
        found, _ = detect_all(detector, test.images)
        result = evaluate_voc(found, test.all_annotations(), test.classes)
        print(f"average pooling: mAP {result.map_11 or 0:.3f} on {len(test)} scenes")


if __name__ == "__main__":
    main()
