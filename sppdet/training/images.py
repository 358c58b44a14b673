"""The images of a training: each prepared once, worked on side by side, delivered in order.

Training can also use the mirrored image. Its proposals are the mirrored proposals of the image, so
that no image is searched twice.
"""

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from sppdet.boxes import Boxes, flip
from sppdet.datasets import Annotations, Dataset
from sppdet.device.maps import maps_of
from sppdet.errors import SppdetWarning
from sppdet.features.regions import RegionExtractor, Regions
from sppdet.heads.layers import LayeredRegions, Layers
from sppdet.proposals.cache import ProposalCache
from sppdet.runtime.cache import cache_dir
from sppdet.runtime.memory import give_back_freed_memory
from sppdet.runtime.threads import ordered_map
from sppdet.settings import TrainSettings
from sppdet.training.device_store import DeviceStore, KeptRegions, home_of, room_on
from sppdet.training.photograph import GivenProposals, Photograph, Unreadable
from sppdet.training.region_store import RegionStore
from sppdet.training.roles import Roles, assign_roles, training_boxes
from sppdet.training.workers import Workers

Result = TypeVar("Result")

GIVE_BACK = 64
"""Views after which freed memory is given back to the system. Without it, what passing arrays of
ever other sizes leave behind grows by several megabytes a view."""

Progress = Callable[[str, int, int], None]
"""Called with the name of a pass, the images done, and the images in all."""


@dataclass(frozen=True)
class View:
    """One image as training sees it.

    Attributes:
        index: number of the image in the data set.
        mirrored: whether the image is flipped left to right.
    """

    index: int
    mirrored: bool = False

    def number(self, images: int) -> int:
        """A number among all views of ``images`` images; random choices depend on it."""
        return self.index + images * self.mirrored


def views_of(indices: Iterable[int], mirror: bool) -> list[View]:
    """The views of these images: each image, followed by its mirrored self if ``mirror``."""
    sides = (False, True) if mirror else (False,)
    return [View(index, mirrored) for index in indices for mirrored in sides]


@dataclass(frozen=True)
class PreparedImage:
    """One training image, ready to give features.

    Attributes:
        view: which image it is, and whether it is mirrored.
        number: :meth:`View.number` of the view.
        size: width and height in pixels.
        boxes: (N, 4), the annotated boxes followed by the proposals.
        regions: the same boxes on the map.
        roles: what each box is an example of.
        annotations: the annotated objects.
        home: the device on which its examples are wanted; None means the CPU.
    """

    view: View
    number: int
    size: tuple[int, int]
    boxes: Boxes
    regions: Regions
    roles: Roles
    annotations: Annotations
    home: torch.device | None = None

    def main_bytes(self) -> int:
        """Bytes of main memory, most of them; a window of a region takes 20."""
        roles = self.roles
        numbers = self.regions.keys.nbytes + roles.best_iou.nbytes + roles.best_truth.nbytes
        return self.boxes.nbytes + numbers + roles.negative.nbytes + 20 * self.regions.count


class TrainingImages:
    """Prepares the images of a data set, through the caches of proposals and of regions.

    On a GPU with enough memory the prepared images stay there
    (:mod:`sppdet.training.device_store`); else they are on the disk
    (:mod:`sppdet.training.region_store`).

    Args:
        dataset: images and annotations.
        extractor: makes the regions.
        settings: how to search, which proposals are negatives, images at a time, disk space.
        progress: told of every image that is done.
        proposals: computed before, by image file; None searches for them.
        workers: do the work on the images; None means threads of this process.

    Attributes:
        failures: a line for each image that could not be read.
        device: where the features are computed.
        home: where the examples lie; see :func:`sppdet.training.device_store.home_of`.
        workers: as given.
    """

    def __init__(
        self,
        dataset: Dataset,
        extractor: RegionExtractor,
        settings: TrainSettings,
        progress: Progress,
        proposals: GivenProposals | None = None,
        workers: Workers | None = None,
    ) -> None:
        self.failures: list[str] = []
        self.device = extractor.trunk.device
        self.workers = workers
        self._dataset = dataset
        self._settings = settings
        self._progress = progress
        self._proposals = proposals
        self._cache = ProposalCache(cache_dir() / "proposals")
        self._extractor = extractor
        self._store = RegionStore(cache_dir() / "regions", extractor, settings.store_bytes)
        self.home = home_of(extractor)
        self._kept: DeviceStore[PreparedImage] | None = None
        if self.home is not None:
            self._kept = DeviceStore(self._room())
        self._layers: Layers | None = None
        self._told = False
        self._failed: set[int] = set()
        self._lines: list[str] = []
        if workers is not None:
            workers.begin(dataset, extractor, settings, proposals)

    def through(self, layers: Layers) -> "TrainingImages":
        """The same images, caches and failures; their features go through ``layers``."""
        other = copy.copy(self)
        other._layers = layers
        return other

    def quietly(self) -> "TrainingImages":
        """The same images, caches and failures, of which nobody is told."""
        other = copy.copy(self)
        other._progress, other._told = (lambda *_: None), True
        return other

    @property
    def stored_bytes(self) -> int:
        """Bytes on the disk of the prepared images that were used so far."""
        return self._store.bytes

    @property
    def stored_files(self) -> set[Path]:
        """The files of the prepared images that were used so far; :meth:`clear` removes them."""
        return self._store.used

    def each(
        self,
        stage: str,
        views: Sequence[View],
        work: Callable[[PreparedImage], Result],
        done: int = 0,
        total: int | None = None,
    ) -> Iterator[tuple[View, Result | None]]:
        """Apply ``work`` to the views side by side; results in order, None for an unreadable one.

        ``done`` of ``total`` views of the stage were done before; the progress counts from there.
        """
        total = len(views) if total is None else total
        together = [list(same) for _, same in groupby(views, key=lambda view: view.index)]
        several: Iterator[list[Result | Unreadable]]
        if self.workers is not None:
            several = self.workers.map(work, self._layers, together)
        else:
            several = ordered_map(partial(self.work_on, work), together, self._settings.workers)
        for view, result in zip(views, chain.from_iterable(several), strict=True):
            done += 1
            self._progress(stage, done, total)
            if done % (GIVE_BACK if self.home is None else 4 * GIVE_BACK) == 0:
                give_back_freed_memory()
            if isinstance(result, Unreadable):
                if view.index not in self._failed:  # also in a pass in which it has vanished
                    self._failed.add(view.index)
                    self.failures.append(str(result))
                yield view, None
            else:
                yield view, result
        self._tell_resumed()

    @torch.inference_mode()
    def work_on(
        self, work: Callable[[PreparedImage], Result], same: list[View]
    ) -> list[Result | Unreadable]:
        """Apply ``work`` to views of one image; for each its result, or why it cannot be read."""
        photograph = self._photograph(same[0].index)
        results: list[Result | Unreadable] = []
        for view in same:
            try:
                results.append(work(self._prepare(view, photograph)))
            except Unreadable as error:
                results.append(error)
        return results

    def _tell_resumed(self) -> None:
        """After the first pass: how much of it an earlier run had done."""
        resumed = self._store.resumed
        if resumed and not self._told:
            total = resumed + self._store.prepared
            warnings.warn(
                f"{resumed} of {total} views were already prepared by an earlier run",
                SppdetWarning,
                stacklevel=2,
            )
        self._told = True

    def clear(self) -> None:
        """Remove the prepared images: the training is over."""
        if self.workers is not None:
            self._lines = self.workers.clear()
        self._store.clear()
        if self._kept is not None:
            self._kept.clear()

    def cache_lines(self) -> list[str]:
        """What the caches gave, a line each."""
        return [*self._lines, *self._cache.disk.summary("proposals"), *self._store.summary()]

    def _room(self) -> int:
        assert self.home is not None
        free = room_on(self.home) if self.home.type == "cuda" else self._settings.store_bytes
        return min(free, self._settings.store_bytes)

    def _photograph(self, index: int) -> Photograph:
        given = self._proposals
        return Photograph(self._dataset.images[index], self._cache, self._settings.detector, given)

    def _prepare(self, view: View, photograph: Photograph) -> PreparedImage:
        prepared = self._kept.get(view) if self._kept is not None else None
        prepared = prepared or self._made(view, photograph)
        if isinstance(prepared.regions, KeptRegions) and self._kept is not None:
            prepared = replace(prepared, regions=prepared.regions.to_type(torch.float32))
        if self._layers is not None:
            layered = LayeredRegions(prepared.regions, self._layers)
            prepared = replace(prepared, regions=layered)
        return prepared

    def _made(self, view: View, photograph: Photograph) -> PreparedImage:
        annotations = self._dataset.annotations(view.index)
        image, proposals = photograph.image, photograph.proposals
        height, width = image.shape[:2]
        if view.mirrored:
            image = np.ascontiguousarray(image[:, ::-1])
            annotations = replace(annotations, boxes=flip(annotations.boxes, width))
            proposals = flip(proposals, width)
        boxes = training_boxes(annotations, proposals)
        if self._kept is None:
            key = photograph.key + b"mirrored" * view.mirrored
            regions = self._store.get(lambda: image, key, boxes)
        else:
            maps = maps_of(self._extractor, image)
            regions = self._extractor.prepare(image, boxes, maps=maps)
        negative_iou = self._settings.mining.negative_iou
        roles = assign_roles(annotations, boxes, len(self._dataset.classes), negative_iou)
        number, size = view.number(len(self._dataset.images)), (width, height)
        made = PreparedImage(view, number, size, boxes, regions, roles, annotations, self.home)
        if self._kept is not None and isinstance(regions, KeptRegions):
            # Rounded even where it is not kept, so that both are the same.
            made = replace(made, regions=regions.to_type(torch.float16))
            self._kept.put(view, made, regions.nbytes // 2, made.main_bytes())
        return made
