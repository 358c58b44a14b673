"""The detector: proposals, features, scores, box regression, suppression, box voting."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet import model_file
from sppdet.boxes import Boxes, as_boxes
from sppdet.detections import Detections
from sppdet.features.regions import RegionExtractor
from sppdet.features.scoring import linear_scores
from sppdet.heads.calibration import probabilities
from sppdet.heads.regression import move_boxes
from sppdet.heads.selection import Scored, candidates, select
from sppdet.images import Rgb
from sppdet.proposals import propose
from sppdet.runtime.timing import Clock
from sppdet.settings import DetectorSettings


@dataclass(frozen=True)
class LinearHeads:
    """All that is learned on top of the trunk, for raw features of D values and K classes.

    Attributes:
        svm_weight, svm_bias: (K, D) and (K,) float32; the feature scale is folded in. A class that
            could not be trained has the bias NaN and is never detected.
        box_weight, box_bias: (K, 4, D) and (K, 4) float32, deltas for :func:`sppdet.boxes.decode`;
            None without box regression.
        calibration: (K, 2) float32, slope and offset of the probability.
    """

    svm_weight: Tensor
    svm_bias: Tensor
    calibration: NDArray[np.float32]
    box_weight: Tensor | None = None
    box_bias: Tensor | None = None


class Detector:
    """A trained detector; :meth:`detect` is its use, :meth:`save` and :meth:`load` its file."""

    def __init__(
        self,
        extractor: RegionExtractor,
        heads: LinearHeads,
        classes: tuple[str, ...],
        settings: DetectorSettings | None = None,
    ) -> None:
        self.extractor = extractor
        self.heads = heads
        self.classes = classes
        self.settings = settings or DetectorSettings()
        device = extractor.trunk.device
        self._svm_weight = heads.svm_weight.contiguous().to(device)
        self._svm_bias = heads.svm_bias.to(device)
        self._regression: tuple[Tensor, Tensor] | None = None
        if heads.box_weight is not None and heads.box_bias is not None:
            weight = heads.box_weight.flatten(0, 1).contiguous().to(device)
            self._regression = weight, heads.box_bias.flatten().to(device)

    def propose(self, image: Rgb) -> Boxes:
        """The proposals that this detector was trained with, (N, 4), best first."""
        return propose(image, self.settings.proposals, max_boxes=self.settings.max_boxes)

    @torch.inference_mode()
    def detect(
        self, image: Rgb, threshold: float | None = None, boxes: Boxes | None = None
    ) -> Detections:
        """Find the objects in an image.

        Args:
            image: (H, W, 3) uint8 RGB.
            threshold: least probability of a detection; None keeps all that survive suppression,
                at most ``selection.max_per_class`` per class, as evaluation wants them.
            boxes: proposals computed before, (N, 4); by default they are searched for. On a CPU
                torch's number of threads is then lowered while the search runs: threads of one
                process that detect side by side should set it to 1.

        Returns:
            Detections with calibrated scores, and with the seconds of the stages ``proposals``,
            ``convolution``, ``windows``, ``pooling``, ``scoring``, ``regression``, ``suppression``
            and ``total``. The first two run at the same time where there is a core for each, so
            that the total can be less than the sum.
        """
        clock = Clock(self.extractor.trunk.device)
        with clock.stage("total"):
            if boxes is None:
                boxes, maps = self._look(image, clock)
            else:
                boxes, maps = as_boxes(boxes), None
            found = self._detect(image, boxes, maps, threshold, clock)
        clock.seconds["total"] = clock.seconds.pop("total")
        return Detections(*found, self.classes, clock.seconds)

    def _look(self, image: Rgb, clock: Clock) -> tuple[Boxes, list[Tensor]]:
        """The proposals and the maps: side by side when torch may use a second core or a GPU."""

        clock.seconds["proposals"] = 0.0  # the first stage, though it may end after the second

        def search() -> Boxes:
            with clock.stage("proposals"):
                return self.propose(image)

        threads = torch.get_num_threads()
        on_gpu = self.extractor.trunk.device.type == "cuda"
        if threads == 1 and not on_gpu:
            return search(), self.extractor.maps(image, clock)
        with ThreadPoolExecutor(1) as pool:
            searching = pool.submit(search)
            try:
                if not on_gpu:  # the search has a core to itself: three workers on two are slower
                    torch.set_num_threads(threads - 1)
                maps = self.extractor.maps(image, clock)
            finally:
                torch.set_num_threads(threads)
            return searching.result(), maps

    def _detect(
        self,
        image: Rgb,
        boxes: Boxes,
        maps: list[Tensor] | None,
        threshold: float | None,
        clock: Clock,
    ) -> tuple[Boxes, NDArray[np.int64], NDArray[np.float32]]:
        if len(boxes) == 0:
            return boxes, np.zeros(0, np.int64), np.zeros(0, np.float32)
        regions = self.extractor.prepare(image, boxes, clock, maps)
        keys = np.arange(regions.count)
        scores = linear_scores(regions, keys, self._svm_weight, self._svm_bias, clock)
        calibration, settings = self.heads.calibration, self.settings.selection
        with clock.stage("suppression"):
            rows, labels = candidates(scores[regions.keys], calibration, settings, threshold)
        moved = boxes[rows]
        if self._regression is not None:
            size = image.shape[1], image.shape[0]
            with clock.stage("regression"):
                moved = move_boxes(regions, boxes, labels, rows, self._regression, size)
        with clock.stage("suppression"):
            scored = Scored(moved, labels, scores[regions.keys[rows], labels])
            kept, voted = select(scored, calibration, settings, threshold)
        labels = labels[kept]
        return voted, labels, probabilities(scored.scores[kept], labels, calibration)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the detector to one safetensors file; see :mod:`sppdet.model_file`."""
        model_file.save(self, path)

    @staticmethod
    def load(path: str | os.PathLike[str], device: str | torch.device | None = None) -> "Detector":
        """Read a detector; ``device`` None means a GPU when there is one.

        Raises:
            SppdetError: the file is missing, damaged, or no detector.
        """
        return model_file.load(path, device or default_device())


def default_device() -> torch.device:
    """A GPU when there is one, the CPU otherwise."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
