"""Regions of photographs that resemble an example, ranked by its exemplar SVM.

The negatives are those that a model keeps (``sppdet train --keep-examples``), or random proposals
of the searched photographs; proposals of the example's own photograph join them. Random proposals
are good negatives without any labels, for three reasons. Of the hundreds of boxes that a search
proposes in a photograph, few fit an object like the example. Those that do and are drawn count
little: the positive weighs as much as 50 of them, and the nearest ones are left out. There is no
hard negative mining, which would find just the objects that are looked for.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from sppdet.boxes import Boxes, Corners, check_boxes, iou, nms
from sppdet.errors import SppdetError
from sppdet.features.regions import RegionExtractor, Regions
from sppdet.features.streaming import half_features
from sppdet.heads.kept import KeptExamples
from sppdet.heads.path import score_regions
from sppdet.images import Rgb, read_image
from sppdet.proposals.cache import ProposalCache
from sppdet.retrieval.exemplar import ExemplarSettings, fit_exemplar, without_nearest
from sppdet.settings import DetectorSettings

Progress = Callable[[str, int, int], None]
"""Called with the name of a stage, the images done, and the images in all."""


@dataclass(frozen=True)
class Match:
    """A region: its image file, its box in pixels and its score, which is not a probability."""

    image: Path
    box: Corners
    score: float


@dataclass(frozen=True)
class Matches:
    """Attributes:
    found: the regions, the best first.
    failures: a line for each image that could not be read.
    negatives: number of negatives of the exemplar SVM.
    """

    found: list[Match]
    failures: list[str]
    negatives: int


@torch.inference_mode()
def find_like(
    extractor: RegionExtractor,
    example: Path,
    box: ArrayLike,
    images: Sequence[Path],
    *,
    search: DetectorSettings | None = None,
    kept: KeptExamples | None = None,
    per_image: int = 3,
    settings: ExemplarSettings | None = None,
    progress: Progress | None = None,
) -> Matches:
    """Rank the regions of photographs by their likeness to an example.

    Args:
        extractor: of the features.
        example: image file of the example.
        box: x1, y1, x2, y2 in its pixels.
        images: files to search. In the example's own file the example is left out.
        search: method and number of proposals, and the IoU of suppression within a photograph.
        kept: examples of a model, of whose background the negatives are taken.
        per_image: most regions of one photograph.
        settings: of the exemplar SVM.
        progress: told of every image of both passes.

    Raises:
        SppdetError: the example cannot be read, no image can be read, or there is no negative.
        ValueError: the box is not four numbers, or lies outside the image.
    """
    search, settings = search or DetectorSettings(), settings or ExemplarSettings()
    tell = progress or (lambda *_: None)
    random = np.random.default_rng(settings.seed)
    finder = _Finder(extractor, search)
    pixels = read_image(example)
    if np.shape(box) != (4,):
        raise ValueError("give x1, y1, x2, y2 in pixels of the image")
    own = check_boxes(np.asarray(box)[None], pixels.shape[1], pixels.shape[0])
    positive = half_features(extractor.prepare(pixels, own), np.zeros(1, np.int64))[0]
    boxes, regions = finder.look(pixels)
    far = regions.keys[iou(boxes, own)[:, 0] < settings.negative_iou]
    negatives = [_some(regions, far, settings.from_example, random)]
    background = np.zeros(0, np.int64)
    if kept is not None:
        background = np.flatnonzero(kept.background & ~kept.positive)
    failures: dict[Path, str] = {}
    if kept is not None and len(background):
        negatives.append(kept.features[torch.from_numpy(background)])
    else:
        sampled = [images[k] for k in random.permutation(len(images))[: settings.sampled_images]]
        share = -(-(settings.negatives - len(negatives[0])) // max(len(sampled), 1))
        drawn = []
        for number, path in enumerate(sampled, 1):
            try:
                _, regions = finder.look(read_image(path))
                drawn.append(_some(regions, regions.keys, share, random))
            except SppdetError as error:
                failures[path] = str(error)
            tell("negatives", number, len(sampled))
        if drawn:
            negatives.append(without_nearest(torch.cat(drawn), positive, settings.left_out))
    together = torch.cat(negatives)
    if len(together) == 0:
        raise SppdetError("there is no negative to learn from; name more photographs")
    scorer = fit_exemplar(positive, together, settings).to(extractor.trunk.device)

    found: list[Match] = []
    for number, path in enumerate(images, 1):
        try:
            boxes, regions = finder.look(read_image(path))
        except SppdetError as error:
            failures[path] = str(error)
        else:
            scores = score_regions(regions, scorer)[regions.keys, 0] if len(boxes) else _NONE
            if os.path.realpath(path) == os.path.realpath(example):
                scores = np.where(iou(boxes, own)[:, 0] > search.selection.nms_iou, -np.inf, scores)
            for row in nms(boxes, scores, search.selection.nms_iou)[:per_image].tolist():
                if np.isfinite(scores[row]):
                    x1, y1, x2, y2 = boxes[row].tolist()
                    found.append(Match(path, (x1, y1, x2, y2), float(scores[row])))
        tell("searching", number, len(images))
    if len(failures) == len(set(images)):
        raise SppdetError(next(iter(failures.values()), "there is no photograph to search"))
    found.sort(key=lambda one: -one.score)
    return Matches(found, list(failures.values()), len(together))


_NONE: NDArray[np.float32] = np.zeros(0, np.float32)


class _Finder:
    """Proposals and regions of images, with the searches kept on disk."""

    def __init__(self, extractor: RegionExtractor, search: DetectorSettings) -> None:
        self._extractor, self._search, self._cache = extractor, search, ProposalCache()

    def look(self, image: Rgb) -> tuple[Boxes, Regions]:
        """The proposals (N, 4) of an image, ready to give features."""
        boxes = self._cache.get(image, self._search.proposals, self._search.max_boxes)
        return boxes, self._extractor.prepare(image, boxes)


def _some(
    regions: Regions, keys: NDArray[np.int64], count: int, random: np.random.Generator
) -> Tensor:
    """Features (M, D) float16 of at most ``count`` of the distinct regions ``keys``, at random."""
    distinct = random.permutation(np.unique(keys))[: max(count, 0)]
    return half_features(regions, np.sort(distinct))
