"""The images of a training: each made ready once, worked on side by side, delivered in order.

An image can also be seen in the mirror. Of N images, number i + N is the mirrored image i: its
proposals are those of image i, mirrored, so that nothing is searched twice.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from sppdet.boxes import Boxes, flip
from sppdet.datasets import Annotations, Dataset
from sppdet.errors import SppdetError
from sppdet.features.regions import RegionExtractor, Regions
from sppdet.images import read_image
from sppdet.proposals.cache import ProposalCache
from sppdet.runtime.files import cache_dir
from sppdet.runtime.threads import ordered_map
from sppdet.settings import DetectorSettings
from sppdet.training.region_store import RegionStore, image_key
from sppdet.training.roles import Roles, assign_roles, training_boxes

Result = TypeVar("Result")

Progress = Callable[[str, int, int], None]
"""Called with the name of a pass, the images done, and the images in all."""


@dataclass(frozen=True)
class PreparedImage:
    """One training image, ready to give features.

    Attributes:
        index: its number; that of a mirrored image is larger by the number of images.
        size: width and height in pixels.
        boxes: (N, 4), the annotated boxes followed by the proposals.
        regions: the same boxes on the map.
        roles: what each box is an example of.
        annotations: the annotated objects.
    """

    index: int
    size: tuple[int, int]
    boxes: Boxes
    regions: Regions
    roles: Roles
    annotations: Annotations


class TrainingImages:
    """Prepares the images of a data set, through the caches of proposals and of regions.

    Args:
        dataset: images and annotations.
        extractor: makes the regions.
        proposals: how to search.
        negative_iou: see :func:`sppdet.training.roles.assign_roles`.
        workers: images at a time.
        store_bytes: disk space for prepared images.
        progress: told of every image that is done.

    Attributes:
        failures: a line for each image that could not be read.
    """

    def __init__(
        self,
        dataset: Dataset,
        extractor: RegionExtractor,
        proposals: DetectorSettings,
        negative_iou: float,
        workers: int,
        store_bytes: int,
        progress: Progress,
    ) -> None:
        self.failures: list[str] = []
        self._dataset = dataset
        self._proposals = proposals
        self._negative_iou = negative_iou
        self._workers = workers
        self._progress = progress
        self._cache = ProposalCache(cache_dir() / "proposals")
        self._store = RegionStore(cache_dir() / "regions", extractor, store_bytes)

    def each(
        self,
        stage: str,
        indices: list[int],
        work: Callable[[PreparedImage], Result],
        done: int = 0,
        total: int | None = None,
    ) -> Iterator[tuple[int, Result | None]]:
        """Apply ``work`` to the images side by side; results in order, None for an unreadable one.

        ``done`` of ``total`` images of the stage were done before, for the progress. ``indices``
        are below twice the number of images; the upper half are mirrored.
        """
        total = len(indices) if total is None else total

        @torch.inference_mode()
        def step(index: int) -> Result | _Unreadable:
            try:
                return work(self._prepare(index))
            except _Unreadable as error:
                return error

        results = ordered_map(step, indices, self._workers)
        for index, result in zip(indices, results, strict=True):
            done += 1
            self._progress(stage, done, total)
            if isinstance(result, _Unreadable):
                if index < len(self._dataset.images):
                    self.failures.append(str(result))
                yield index, None
            else:
                yield index, result

    def clear(self) -> None:
        """Remove the prepared images from the disk: the training is over."""
        self._store.clear()

    def _prepare(self, index: int) -> PreparedImage:
        count = len(self._dataset.images)
        path: Path = self._dataset.images[index % count]
        annotations = self._dataset.annotations(index % count)
        try:
            image = read_image(path)
            key = image_key(path)
        except (OSError, SppdetError) as error:
            raise _Unreadable(str(error)) from None
        proposals = self._cache.get(image, self._proposals.proposals, self._proposals.max_boxes)
        height, width = image.shape[:2]
        if index >= count:
            image, key = np.ascontiguousarray(image[:, ::-1]), key + b"mirrored"
            annotations = replace(annotations, boxes=flip(annotations.boxes, width))
            proposals = flip(proposals, width)
        boxes = training_boxes(annotations, proposals)
        regions = self._store.get(lambda: image, key, boxes)
        roles = assign_roles(annotations, boxes, len(self._dataset.classes), self._negative_iou)
        return PreparedImage(index, (width, height), boxes, regions, roles, annotations)


class _Unreadable(Exception):
    """An image that cannot be read; the others go on."""
