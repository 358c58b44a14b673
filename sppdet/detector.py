"""The detector: proposals, features, scores, box regression, suppression, box voting."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from sppdet import model_file
from sppdet.boxes import Boxes, check_boxes
from sppdet.detections import Detections
from sppdet.features.regions import RegionExtractor
from sppdet.heads.base import Recipe, Scorer
from sppdet.heads.path import find
from sppdet.heads.regression import BoxRegression
from sppdet.heads.selection import Threshold
from sppdet.heads.thresholds import UNKNOWN
from sppdet.images import ImageLike, Rgb, as_image
from sppdet.panorama import detect_in_parts, is_panorama
from sppdet.proposals import propose
from sppdet.runtime.timing import Clock
from sppdet.settings import DetectorSettings
from sppdet.trunks import Trunk


class Detector:
    """A trained detector; :meth:`detect` is its use, :meth:`save` and :meth:`load` its file.

    Args:
        extractor: makes the region features.
        scorer: what the heads learned; it is moved to the features' device.
        classes: names of the K classes.
        settings: of the proposals and of the selection.
        regression: box regression; None without it.
        thresholds: for each class the probability from which detections are worth showing;
            training chooses it on folds. None where nothing is known: :data:`UNKNOWN`.
        card: what is known about the training, as JSON; see :mod:`sppdet.training.folds`.
    """

    def __init__(
        self,
        extractor: RegionExtractor,
        scorer: Scorer,
        classes: tuple[str, ...],
        settings: DetectorSettings | None = None,
        regression: BoxRegression | None = None,
        thresholds: Sequence[float] | None = None,
        card: Mapping[str, Any] | None = None,
    ) -> None:
        device = extractor.trunk.device
        self.extractor = extractor
        self.scorer = scorer.to(device)
        self.classes = tuple(classes)
        self.settings = settings or DetectorSettings()
        self.regression = regression.to(device) if regression is not None else None
        self.thresholds = tuple(thresholds or (UNKNOWN,) * len(self.classes))
        self.card = dict(card or {})
        if len(self.thresholds) != len(self.classes):
            raise ValueError(f"{len(self.thresholds)} thresholds for {len(self.classes)} classes")

    def __repr__(self) -> str:
        names = ", ".join(self.classes[:4]) + (", ..." if len(self.classes) > 4 else "")
        return (
            f"Detector({len(self.classes)} classes: {names}; {self.extractor!r}; "
            f"{self.scorer.name} heads{', box regression' if self.regression else ''}; "
            f"{self.settings.proposals} proposals, at most {self.settings.max_boxes})"
        )

    def propose(self, image: Rgb) -> Boxes:
        """The proposals that this detector was trained with, (N, 4), best first."""
        return propose(image, self.settings.proposals, max_boxes=self.settings.max_boxes)

    @torch.inference_mode()
    def detect(
        self,
        image: ImageLike,
        threshold: float | Mapping[str, float] | None = None,
        boxes: ArrayLike | None = None,
        *,
        channels: str = "RGB",
    ) -> Detections:
        """Find the objects in an image; one of more than 10:1 is seen in parts that overlap.

        Args:
            image: a path, the bytes of an image file, an open binary file, a ``PIL.Image``, an
                array (H, W, 3) uint8, or what else :func:`sppdet.images.as_image` accepts.
            threshold: least probability of a detection, 0 to 1, for all classes, or a mapping from
                names of classes; the others have their own, ``detector.thresholds``, so that ``{}``
                shows what training found worth showing. None keeps all that survive suppression, at
                most ``selection.max_per_class`` per class, as evaluation wants them.
            boxes: proposals computed before, (N, 4), pixels of the image; by default they are
                searched for. On a CPU torch's number of threads is then lowered while the search
                runs: threads of one process that detect side by side should set it to 1.
            channels: ``"BGR"`` for an array that OpenCV has read.

        Returns:
            Detections with calibrated scores, and with the seconds of the stages ``proposals``,
            ``convolution``, ``windows``, ``pooling``, ``scoring``, ``regression``, ``suppression``
            and ``total``. The first two run at the same time where there is a core for each, so
            that the total can be less than the sum.

        Raises:
            SppdetError: the image file cannot be read.
            TypeError, ValueError: an argument is none of the above; the message names it.
        """
        image = as_image(image, channels)
        size = image.shape[1], image.shape[0]
        least = self._least(threshold)
        if boxes is None and is_panorama(image):
            return detect_in_parts(
                image,
                lambda part: self.detect(part, threshold),
                self.classes,
                self.settings.selection.nms_iou,
            )
        given = check_boxes(boxes, *size) if boxes is not None else None
        clock = Clock(self.extractor.trunk.device)
        with clock.stage("total"):
            proposals, maps = (given, None) if given is not None else self._look(image, clock)
            found = Detections.none(self.classes)
            if len(proposals):
                regions = self.extractor.prepare(image, proposals, clock, maps)
                scored = find(
                    regions,
                    proposals,
                    size,
                    self.scorer,
                    self.regression,
                    self.settings.selection,
                    least,
                    clock,
                )
                scores = self.scorer.probabilities(scored.scores, scored.labels)
                found = Detections(scored.boxes, scored.labels, scores, self.classes)
        clock.seconds["total"] = clock.seconds.pop("total")
        return replace(found, seconds=clock.seconds)

    def _least(self, threshold: float | Mapping[str, float] | None) -> Threshold:
        """The thresholds of all classes (K,), or none."""
        if threshold is None:
            return None
        if not isinstance(threshold, Mapping):
            threshold = dict.fromkeys(self.classes, threshold)
        for name, value in threshold.items():
            if name not in self.classes:
                raise ValueError(
                    f"threshold names the class {name!r}: choose from {', '.join(self.classes)}"
                )
            if not _is_probability(value):
                raise ValueError(f"threshold is {value!r}: give a number from 0 to 1, or None")
        pairs = zip(self.classes, self.thresholds, strict=True)
        return np.array([threshold.get(name, own) for name, own in pairs], np.float32)

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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the detector to one safetensors file; see :mod:`sppdet.model_file`.

        Raises:
            SppdetError: the file cannot be written, or it could not be read again.
        """
        model_file.save(
            path,
            model_file.Model(
                self.extractor,
                self.scorer,
                self.classes,
                self.settings,
                self.regression,
                self.thresholds,
                self.card,
            ),
        )

    @staticmethod
    def load(
        path: str | os.PathLike[str],
        device: str | torch.device | None = None,
        *,
        trunk: Trunk | None = None,
        heads: Recipe | None = None,
    ) -> "Detector":
        """Read a detector.

        Args:
            path: what :meth:`save` wrote.
            device: None means that of ``trunk``, or a GPU when there is one.
            trunk: of a detector with a trunk of one's own (:func:`sppdet.trunks.make_trunk`).
            heads: of a detector with heads of one's own.

        Raises:
            SppdetError: the file is missing, damaged or not a detector, or it wants another trunk
                or other heads.
        """
        return Detector(*model_file.load(path, device, trunk, heads))


def _is_probability(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) <= 1
