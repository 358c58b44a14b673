"""The detector: proposals, features, scores, box regression, suppression, box voting."""

import copy
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from sppdet import model_file
from sppdet.boxes import Boxes, check_boxes
from sppdet.detections import Detections
from sppdet.features.regions import RegionExtractor
from sppdet.heads.base import Recipe, Scorer
from sppdet.heads.kept import KeptExamples
from sppdet.heads.path import find
from sppdet.heads.regression import BoxRegression
from sppdet.heads.selection import Scored, Threshold
from sppdet.heads.thresholds import UNKNOWN, least_probabilities
from sppdet.images import ImageLike, Rgb, as_image
from sppdet.inputs import Inputs, images_of
from sppdet.panorama import detect_in_parts, is_panorama
from sppdet.pipeline.stream import Pipeline
from sppdet.proposals import propose
from sppdet.runtime.timing import Clock
from sppdet.runtime.torch_threads import side_by_side
from sppdet.runtime.words import counted
from sppdet.settings import DetectorSettings
from sppdet.trunks import Trunk
from sppdet.trunks.trunk import Precision


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
        kept: training examples that :mod:`sppdet.explaining` shows.
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
        kept: KeptExamples | None = None,
    ) -> None:
        device = extractor.trunk.device
        self.extractor = extractor
        self.scorer = scorer.to(device)
        self.classes = tuple(classes)
        self.settings = settings or DetectorSettings()
        self.regression = regression.to(device) if regression is not None else None
        self.thresholds = tuple(thresholds or (UNKNOWN,) * len(self.classes))
        self.card = dict(card or {})
        self.kept = kept
        if len(self.thresholds) != len(self.classes):
            given = counted(len(self.thresholds), "threshold")
            raise ValueError(f"{given} for {counted(len(self.classes), 'class', 'classes')}")

    def __repr__(self) -> str:
        names = ", ".join(self.classes[:4]) + (", ..." if len(self.classes) > 4 else "")
        return (
            f"Detector({counted(len(self.classes), 'class', 'classes')}: {names}; "
            f"{self.extractor!r}; "
            f"{self.scorer.name} heads{', box regression' if self.regression else ''}; "
            f"{self.settings.proposals} proposals, at most {self.settings.max_boxes})"
        )

    def propose(self, image: Rgb) -> Boxes:
        """The proposals that this detector was trained with, (N, 4), best first."""
        return propose(image, self.settings.proposals, max_boxes=self.settings.max_boxes)

    @torch.inference_mode()
    def in_precision(self, precision: Precision) -> "Detector":
        """The same detector whose network runs in another precision on a CPU; see
        :meth:`sppdet.trunks.Trunk.in_precision`.

        Raises:
            ValueError, SppdetError: as there.
        """
        changed = copy.copy(self)
        changed.extractor = copy.copy(self.extractor)
        changed.extractor.trunk = self.extractor.trunk.in_precision(precision)
        return changed

    def detect(
        self,
        image: ImageLike,
        threshold: float | Mapping[str, float] | None = None,
        boxes: ArrayLike | None = None,
        *,
        channels: str = "RGB",
    ) -> Detections:
        """Find the objects in an image; one of more than 10:1 is seen in parts that overlap.

        Threads may call it at the same time: each gets what it would get alone.

        Args:
            image: a path, the bytes of an image file, an open binary file, a ``PIL.Image``, an
                array (H, W, 3) uint8, or what else :func:`sppdet.images.as_image` accepts.
            threshold: least probability of a detection, 0 to 1, for all classes, or a mapping from
                names of classes; the others have their own, ``detector.thresholds``, so that ``{}``
                shows what training found worth showing. None keeps all that survive suppression, at
                most ``selection.max_per_class`` per class, as evaluation wants them.
            boxes: proposals computed before, (N, 4), pixels of the image; by default they are
                searched for.
            channels: ``"BGR"`` for an array that OpenCV has read.

        Returns:
            Detections with calibrated scores, and with the seconds of the stages ``proposals``,
            ``convolution``, ``windows``, ``pooling``, ``scoring``, ``regression``, ``suppression``
            and ``total``. The first two run at the same time where there is a core for each, so
            that the total can be less than the sum. On a GPU, :mod:`sppdet.device.path` does
            all that is behind the search at once: the stages are then ``proposals``, ``device``
            and ``total``.

        Raises:
            SppdetError: the image file cannot be read.
            TypeError, ValueError: an argument is none of the above; the message names it.
        """
        source = image if isinstance(image, str | os.PathLike) else None
        image = as_image(image, channels)
        size = image.shape[1], image.shape[0]
        least = least_probabilities(threshold, self.classes, self.thresholds)
        if boxes is None and is_panorama(image):
            found = detect_in_parts(
                image,
                lambda part: self.detect(part, threshold),
                self.classes,
                self.settings.selection.nms_iou,
            )
            return replace(found, size=size, source=source)
        given = check_boxes(boxes, *size) if boxes is not None else None
        on_device = self._runs_on_device()
        clock = Clock("cpu" if on_device else self.extractor.trunk.device)
        found = Detections.none(self.classes)
        with clock.stage("total"):
            scored = (self._find_on_device if on_device else self._find)(image, given, least, clock)
            if len(scored.labels):
                scores = self.scorer.probabilities(scored.scores, scored.labels)
                found = Detections(scored.boxes, scored.labels, scores, self.classes)
        clock.seconds["total"] = clock.seconds.pop("total")
        return replace(found, seconds=clock.seconds, size=size, source=source)

    def detect_many(
        self,
        images: Iterable[ImageLike],
        threshold: float | Mapping[str, float] | None = None,
        *,
        workers: int | None = None,
        channels: str = "RGB",
    ) -> Iterator[Detections]:
        """:meth:`detect` on many images, side by side, in their order.

        Args:
            images: what ``detect`` accepts. A generator is read only ``workers`` + 1 images ahead,
                on a GPU a few more.
            threshold, channels: as for ``detect``.
            workers: images at a time; on a CPU they share PyTorch's threads. None means one per
                thread.

        On a GPU the images of a long list are read and searched in processes, see
        :class:`sppdet.pipeline.stream.Pipeline`.

        An image that cannot be read raises SppdetError; the results before it have been given.
        """
        number = len(images) if isinstance(images, Sized) else 0
        with Pipeline(self, workers, number) as pipeline:
            yield from pipeline.map(
                lambda image: pipeline.detect(image, threshold, channels=channels), images
            )

    def stream(
        self,
        inputs: Inputs | Iterable["ImageLike"],
        threshold: float | Mapping[str, float] | None = None,
        *,
        recursive: bool = False,
        every: int | None = None,
        channels: str = "RGB",
    ) -> Iterator[Detections]:
        """Detections of one image or frame after the other, from any input.

        Args:
            inputs: one or several names as :func:`sppdet.inputs.find_sources` takes them (files,
                folders, patterns, ``"@list.txt"``, ``"-"``, URLs, videos, numbers of cameras as
                text), or images as ``detect`` takes them.
            threshold, channels: as for ``detect``.
            recursive: look in the folders of folders too.
            every: take every such frame. None means all frames of a video, and the first of an
                animation or a file of several pages.

        The ``source`` of a result is the file, or the pixels where no file is the frame. An input
        that cannot be read gives a warning; a name at whose place there is nothing raises
        SppdetError. Several images are worked on at a time, as in :meth:`detect_many`.
        """
        with Pipeline(self) as pipeline:

            def work(item: tuple[Rgb, Any]) -> Detections:
                return replace(pipeline.detect(item[0], threshold), source=item[1])

            yield from pipeline.map(work, images_of(inputs, recursive, every, channels))

    def warm_up(self, size: tuple[int, int] = (640, 480)) -> float:
        """Detect once on noise of (width, height) pixels, so that the next calls are fast.

        The search is compiled or loaded, and the network and the libraries make their plans.
        Returns the seconds that it took.
        """
        start = time.perf_counter()
        width, height = size
        noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        self.detect(noise)
        return time.perf_counter() - start

    def _find(self, image: Rgb, given: Boxes | None, least: Threshold, clock: Clock) -> Scored:
        see = partial(self.extractor.maps, image, clock)
        boxes, maps = (given, None) if given is not None else self._look(image, clock, see)
        if len(boxes) == 0:
            return Scored.none()
        regions = self.extractor.prepare(image, boxes, clock, maps)
        size, chosen = (image.shape[1], image.shape[0]), self.settings.selection
        return find(regions, boxes, size, self.scorer, self.regression, chosen, least, clock)

    def _runs_on_device(self) -> bool:
        """Whether all that is behind the search is one piece of work for a GPU."""
        if self.extractor.trunk.device.type != "cuda":
            return False
        from sppdet.device.path import is_supported

        return is_supported(self)

    def _find_on_device(
        self, image: Rgb, given: Boxes | None, least: Threshold, clock: Clock
    ) -> Scored:
        from sppdet.device.path import find_later, resize_all

        see = partial(resize_all, self.extractor, image)
        boxes, resized = (given, see()) if given is not None else self._look(image, clock, see)
        with clock.stage("device"):
            return find_later(self, resized, image.shape[1::-1], boxes, least).result()

    def _look(self, image: Rgb, clock: Clock, see: Callable[[], Any]) -> tuple[Boxes, Any]:
        """The proposals, and what ``see`` makes of the image at the same time."""
        clock.seconds["proposals"] = 0.0  # the first stage, though it may end after the second

        def search() -> Boxes:
            with clock.stage("proposals"):
                return self.propose(image)

        return side_by_side(search, see, self.extractor.trunk.device.type == "cuda")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the detector to one safetensors file; see :mod:`sppdet.model_file`.

        Raises:
            SppdetError: the file cannot be written, or it could not be read again.
        """
        parts = (getattr(self, name) for name in model_file.Model._fields)
        model_file.save(path, model_file.Model(*parts))

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
