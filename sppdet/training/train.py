"""From labelled photographs to a detector: three passes over the images, features streamed.

1. Every image is searched and convolved; the features of the truths, of some random negatives and
   of the regression examples are taken.
2. Every image is scored with the SVMs so far; negatives that score too high become examples.
3. Some images are detected on with SVMs that have not seen them, to calibrate the scores.

The passes share the prepared images through a disk store, and memory holds only the examples.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.datasets import Dataset
from sppdet.detector import Detector, LinearHeads
from sppdet.errors import SppdetError
from sppdet.features.regions import RegionExtractor
from sppdet.features.scoring import half_features, linear_scores
from sppdet.heads.regression import BoxRegressor, RegressionExamples, stack_regressors
from sppdet.runtime.memory import give_back_freed_memory
from sppdet.settings import TrainSettings
from sppdet.training.first_examples import FirstExamples, Quotas, first_examples
from sppdet.training.images import PreparedImage, Progress, TrainingImages
from sppdet.training.judging import Unseen, calibrate, split
from sppdet.training.mining import ClassMiner, stack_svms

GROUP = 8
"""Images that are mined with the same SVMs, so that they can be scored side by side."""


@dataclass(frozen=True)
class TrainResult:
    """Attributes:
    detector: the trained detector.
    failures: images that could not be read, a line each.
    examples: number of SVM examples per class at the end; 0 for a class that could not be trained.
    images: the prepared images; ``images.clear()`` frees their space once the detector is safe.
    """

    detector: Detector
    failures: list[str]
    examples: dict[str, int]
    images: TrainingImages


@torch.inference_mode()
def train(
    dataset: Dataset,
    extractor: RegionExtractor,
    settings: TrainSettings | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a detector.

    Raises:
        SppdetError: the data set has no image that can be read, or no object to learn.
    """
    run = _Run(dataset, extractor, settings or TrainSettings(), progress or (lambda *_: None))
    run.collect()
    run.regress()
    run.mine()
    give_back_freed_memory()
    heads = run.heads()
    detector = Detector(extractor, heads, dataset.classes, run.settings.detector)
    examples = {
        name: len(miner) if miner.svm else 0
        for name, miner in zip(dataset.classes, run.miners, strict=True)
    }
    return TrainResult(detector, run.images.failures, examples, run.images)


class _Run:
    """The state of one training."""

    def __init__(
        self,
        dataset: Dataset,
        extractor: RegionExtractor,
        settings: TrainSettings,
        progress: Progress,
    ) -> None:
        self.dataset, self.extractor, self.settings = dataset, extractor, settings
        self.progress = progress
        self.num_classes = len(dataset.classes)
        self.count = len(dataset.images)
        self.indices = list(range(self.count))
        self.views = 2 if settings.mirror else 1
        self.images = TrainingImages(
            dataset,
            extractor,
            settings.detector,
            settings.mining.negative_iou,
            settings.workers,
            settings.store_bytes,
            progress,
        )
        self.miners: list[ClassMiner] = []
        self.folds: list[NDArray[np.int64]] = []
        self.regressors: list[list[BoxRegressor | None]] = []
        self.regression = [RegressionExamples() for _ in dataset.classes]
        images_with = np.zeros(self.num_classes, np.int64)
        for index in self.indices:
            annotations = dataset.annotations(index)
            usable = ~(annotations.difficult | annotations.crowd)
            images_with[np.unique(annotations.labels[usable])] += self.views
        if not images_with.any():
            raise SppdetError(f"{_where(dataset)}: no image has an annotated object to learn from")
        room = settings.mining.room(extractor.dimension, self.num_classes)
        self.quotas = Quotas(
            positives=min(settings.mining.max_positives, room),
            negatives=min(settings.mining.initial_negatives, room),
            regressed=min(settings.regression.max_examples, room),
            images=self.count * self.views,
            images_with=images_with,
            positive_iou=settings.mining.positive_iou,
            regression_iou=settings.regression.minimum_iou if settings.box_regression else None,
            seed=settings.seed,
        )

    def collect(self) -> None:
        """The first pass."""
        norms: list[NDArray[np.float32]] = []
        positives: list[list[tuple[int, Tensor]]] = [[] for _ in range(self.num_classes)]
        negatives: list[list[tuple[int, Tensor]]] = [[] for _ in range(self.num_classes)]
        readable = []

        def take(prepared: PreparedImage) -> FirstExamples:
            return first_examples(prepared, self.quotas)

        for number, taken in self.images.each("features", self._views(self.indices), take):
            if taken is None:
                continue
            index = number % self.count
            if index == number:
                readable.append(index)
            norms.append(taken.norms)
            for label in range(self.num_classes):
                positives[label].append((index, taken.positives[label]))
                negatives[label].append((index, taken.negatives[label]))
                self.regression[label].add(*taken.regression[label], index)
        self.indices = readable
        if not readable:
            raise SppdetError(f"{_where(self.dataset)}: none of its images can be read")
        give_back_freed_memory()
        scale = self.settings.mining.target_norm / max(float(np.concatenate(norms).mean()), 1e-12)
        self.scale = scale
        for label in range(self.num_classes):
            miner = ClassMiner(
                self.extractor.dimension,
                self.num_classes,
                scale,
                self.settings.mining,
                self.settings.workers,
            )
            for sign, examples in ((1, positives[label]), (-1, negatives[label])):
                for index, features in examples:
                    miner.add(features, sign, np.full(len(features), index))
            positives[label], negatives[label] = [], []
            miner.train()
            self.miners.append(miner)

    def _views(self, indices: list[int]) -> list[int]:
        """The numbers of these images and, if asked for, of their mirrored selves after each."""
        return [index + view * self.count for index in indices for view in range(self.views)]

    def mine(self) -> None:
        """The second pass: groups of images scored side by side with the same SVMs."""
        random = np.random.default_rng(self.settings.seed)
        order = random.permutation(self._views(self.indices)).tolist()
        done = 0
        for start in range(0, len(order), GROUP):
            weight, bias = stack_svms(
                [miner.svm for miner in self.miners], self.extractor.dimension, self.scale
            )
            weight = weight.contiguous().to(self.extractor.trunk.device)
            bias = bias.to(self.extractor.trunk.device)

            def hard(
                prepared: PreparedImage, weight: Tensor = weight, bias: Tensor = bias
            ) -> list[Tensor]:
                return self._hard_negatives(prepared, weight, bias)

            give_back_freed_memory()
            group = order[start : start + GROUP]
            for index, found in self.images.each("mining", group, hard, done, len(order)):
                done += 1
                for miner, features in zip(self.miners, found or (), strict=False):
                    miner.offer(features, index % self.count)
        for miner in self.miners:
            miner.train()

    def _hard_negatives(
        self, prepared: PreparedImage, weight: Tensor, bias: Tensor
    ) -> list[Tensor]:
        regions = prepared.regions
        scores = linear_scores(regions, np.arange(regions.count), weight, bias)
        result = []
        for label in range(self.num_classes):
            negative = np.zeros(regions.count, bool)
            negative[regions.keys[prepared.roles.negative[:, label]]] = True
            near = prepared.roles.best_iou[:, label] > self.settings.mining.positive_iou
            negative[regions.keys[near]] = False
            hard = np.flatnonzero(negative & (scores[:, label] > self.settings.mining.hard_score))
            limit = self.settings.mining.hard_per_image
            if len(hard) > limit:
                best = np.argsort(-scores[hard, label], kind="stable")[:limit]
                hard = np.sort(hard[best])
            result.append(half_features(regions, hard))
        return result

    def regress(self) -> None:
        """Box regression, before the mining, so that its examples make room for the others."""
        self.folds = split(self.indices, self.settings.seed)
        self.regressors = [[] for _ in range(1 + len(self.folds))]
        ridge, workers = self.settings.regression.ridge, self.settings.workers
        for label in range(self.num_classes):
            examples, self.regression[label] = self.regression[label], RegressionExamples()
            fitted = examples.fit(ridge, self.scale, workers, self.folds)
            for column, regressor in zip(self.regressors, fitted, strict=True):
                column.append(regressor)
            if self.settings.box_regression:
                self.progress("box regression", label + 1, self.num_classes)

    def heads(self) -> LinearHeads:
        """What was learned, with the third pass."""
        dimension = self.extractor.dimension
        weight, bias = stack_svms([miner.svm for miner in self.miners], dimension, self.scale)
        boxes = stack_regressors(self.regressors[0], dimension) or (None, None)
        return LinearHeads(weight, bias, self._calibrate(), *boxes)

    def _calibrate(self) -> NDArray[np.float32]:
        """The third pass."""
        dimension, device = self.extractor.dimension, self.extractor.trunk.device
        unseen = []
        for fold, regressors in zip(self.folds, self.regressors[1:], strict=True):
            svms = stack_svms([m.without(fold) for m in self.miners], dimension, self.scale)
            boxes = stack_regressors(regressors, dimension)
            if boxes is not None:
                boxes = boxes[0].flatten(0, 1).to(device), boxes[1].flatten().to(device)
            unseen.append(Unseen(fold, (svms[0].to(device), svms[1].to(device)), boxes))
        settings = self.settings
        return calibrate(
            self.images, unseen, settings.detector.selection, settings.calibration_images
        )


def _where(dataset: Dataset) -> Path:
    return dataset.images[0].parent if dataset.images else Path("the data set")
