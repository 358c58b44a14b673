"""From labelled photographs to a detector: three passes over the images, features streamed.

1. Collect: every image is searched and convolved; the features of the ground truth, of some random
   negatives and of the regression examples are taken.
2. Mine: every image is scored with what is learned so far; negatives that score too high become
   examples.
3. Judge: detect on images with heads that have not learned from them. This gives the probabilities,
   the thresholds and an honest average precision.

The passes share the prepared images through a disk store, and memory holds only the examples.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.datasets import Dataset
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.features.regions import RegionExtractor
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.base import Heads
from sppdet.heads.connected import Connected, ConnectedSvms
from sppdet.heads.examples import Examples
from sppdet.heads.linear import LinearSvms
from sppdet.heads.regression import BoxRegression, RegressionExamples
from sppdet.runtime.memory import give_back_freed_memory
from sppdet.settings import DetectorSettings, SppSettings, TrainSettings
from sppdet.training.connected import Learned, learn_connected
from sppdet.training.estimate import Estimate, estimate
from sppdet.training.first_examples import first_examples, quotas_of, where
from sppdet.training.fitting import fit_to_labels
from sppdet.training.folds import card, decide
from sppdet.training.images import Progress, TrainingImages, views_of
from sppdet.training.keeping import keep_examples
from sppdet.training.mining import mine
from sppdet.training.photograph import GivenProposals
from sppdet.training.unseen import Fold, fit_folds, look_at_unseen, split
from sppdet.training.workers import Workers
from sppdet.trunks import load_trunk


@dataclass(frozen=True)
class TrainResult:
    """Attributes:
    detector: the trained detector.
    failures: images that could not be read, a line each.
    examples: number of examples per class at the end; 0 for a class that could not be trained.
    images: the prepared images; ``images.clear()`` frees their space once the detector is safe.
    folds: parts of the images, each with what the others teach; uncalibrated.
    """

    detector: Detector
    failures: list[str]
    examples: dict[str, int]
    images: TrainingImages
    folds: list[Fold]


@torch.inference_mode()
def train(
    dataset: Dataset,
    extractor: RegionExtractor | None = None,
    settings: TrainSettings | None = None,
    progress: Progress | None = None,
    heads: Heads | Connected | ConnectedSvms | None = None,
    proposals: GivenProposals | None = None,
    estimated: Callable[[Estimate], None] | None = None,
    workers: Workers | None = None,
) -> TrainResult:
    """Train a detector.

    Args:
        dataset: images with annotations.
        extractor: makes the region features; by default SPP-net on the trunk lite0, at the sizes
            that suit the labels.
        settings: by default :class:`sppdet.settings.TrainSettings` with the proposals that suit the
            labels (:func:`sppdet.training.fitting.fit_to_labels`).
        progress: told of every image of every pass.
        heads: what learns from the features; by default linear SVMs, the papers'.
            :class:`sppdet.heads.connected.Connected` fine-tunes fully connected layers.
        proposals: computed before, by image file; the detector searches as its settings say.
        estimated: told before the passes how long they will take, where that can be estimated
            (:func:`sppdet.training.estimate.estimate`; :class:`Heads` on the CPU).
        workers: do the work on the images in place of threads, such as those of
            :func:`sppdet.scale.ray_training.ray_workers`; the detector is the same.

    Raises:
        SppdetError: the data set has no image that can be read, or no object to learn.
        TypeError: an argument is none of the above; the message names it.
    """
    if not isinstance(dataset, Dataset):
        raise TypeError(f"dataset is {type(dataset).__name__}: give what read_dataset(path) gives")
    if extractor is not None and not hasattr(extractor, "prepare"):
        raise TypeError(f"extractor is {type(extractor).__name__}: give a RegionExtractor")
    if settings is not None and not isinstance(settings, TrainSettings):
        raise TypeError(f"settings is {type(settings).__name__}: give TrainSettings(...)")
    if heads is not None and (isinstance(heads, type) or not hasattr(heads, "calibrate")):
        raise TypeError(
            f"heads is {type(heads).__name__}: give an object with the methods of Heads"
        )
    heads, progress = heads or LinearSvms(), progress or (lambda *_: None)
    if extractor is None or settings is None:
        trunk = extractor.trunk if extractor is not None else load_trunk("lite0")
        at_once = settings.workers if settings is not None else TrainSettings.workers
        fitted = fit_to_labels(dataset, trunk.spec.scales, workers=at_once)
        if extractor is None:
            extractor = SppRegionFeatures(trunk, SppSettings(fitted.scales))
        chosen = DetectorSettings(fitted.proposals, fitted.max_boxes)
        settings = settings or TrainSettings(detector=chosen)
    images = TrainingImages(dataset, extractor, settings, progress, proposals, workers)

    if isinstance(heads, Connected | ConnectedSvms):
        learned = learn_connected(
            images,
            len(dataset.images),
            len(dataset.classes),
            extractor.dimension,
            settings,
            heads,
            progress,
            partial(_svms, dataset, settings, progress),
        )
    else:
        if estimated is not None and workers is None:
            quotas = quotas_of(dataset, extractor.dimension, settings)
            expected = estimate(
                images,
                dataset.classes,
                len(dataset.images),
                extractor.dimension,
                heads,
                quotas,
                settings,
            )
            if expected is not None:
                estimated(expected)
        learned = _learn(dataset, images, extractor.dimension, settings, heads, progress)
    most = settings.calibration_images
    seen = look_at_unseen(images, learned.folds, settings.detector.selection, most)
    decided = decide(seen, heads, learned.scorer, dataset.classes, settings)

    readable = len(dataset.images) - len(images.failures)
    detector = Detector(
        extractor,
        decided.scorer,
        dataset.classes,
        replace(settings.detector, selection=decided.selection),
        learned.regression,
        tuple(one.threshold for one in decided.thresholds),
        card(dataset, decided, readable, settings, len(learned.folds), len(seen)),
        learned.kept,
    )
    numbers = dict(zip(dataset.classes, learned.examples, strict=True))
    return TrainResult(detector, images.failures, numbers, images, learned.folds)


def _learn(
    dataset: Dataset,
    images: TrainingImages,
    dimension: int,
    settings: TrainSettings,
    heads: Heads,
    progress: Progress,
) -> Learned:
    """The first two passes, and for each fold what the others teach."""
    collected = collect(dataset, images, dimension, settings)
    readable, examples = collected.readable, collected.examples
    folds = split(readable, settings.seed)
    regressions = regress(collected, folds, settings, progress)  # frees room for the products
    examples.finish(examples.scale)
    views = views_of(readable, settings.mirror)
    scorer = mine(images, views, heads, examples, settings.mining, settings.seed)
    give_back_freed_memory()
    scorers = fit_folds(heads, examples, folds)
    unseen = [
        Fold(
            fold,
            one.to(images.device),
            regression.to(images.device) if regression is not None else None,
        )
        for fold, one, regression in zip(folds, scorers, regressions[1:], strict=True)
    ]
    kept = keep_examples(dataset, images, examples, scorer, settings)
    return Learned(scorer, regressions[0], unseen, _numbers(examples), kept)


def _svms(
    dataset: Dataset,
    settings: TrainSettings,
    progress: Progress,
    images: TrainingImages,
    dimension: int,
    heads: Heads,
    without: NDArray[np.int64],
) -> Learned:
    """The first two passes over the images that are not left out; no folds."""
    collected = collect(dataset, images, dimension, settings, without)
    regression = regress(collected, [], settings, progress)[0]
    collected.examples.finish(collected.examples.scale)
    views = views_of(collected.readable, settings.mirror)
    scorer = mine(images, views, heads, collected.examples, settings.mining, settings.seed)
    return Learned(scorer, regression, [], _numbers(collected.examples))


def _numbers(examples: Examples) -> list[int]:
    """Examples of each class; 0 for a class that could not be trained."""
    return [
        len(examples[label]) if examples[label].learnable else 0 for label in range(len(examples))
    ]


@dataclass(frozen=True)
class Collected:
    """What the first pass took.

    Attributes:
        readable: numbers of the images that can be read.
        examples: of the heads; they have their scale, and are still to be finished with it.
        regression: for each class the examples of box regression; :func:`regress` empties the list.
    """

    readable: list[int]
    examples: Examples
    regression: list[RegressionExamples]


def collect(
    dataset: Dataset,
    images: TrainingImages,
    dimension: int,
    settings: TrainSettings,
    without: NDArray[np.int64] | None = None,
) -> Collected:
    """The first pass: the first examples of every class, and the scale to a common norm.

    ``without`` are the numbers of images that are left out.

    Raises:
        SppdetError: there is no image that can be read, or no object.
    """
    classes = len(dataset.classes)
    quotas = quotas_of(dataset, dimension, settings)
    norms: list[Tensor] = []
    most = settings.mining.gram_examples
    examples = Examples(dimension, classes, 1.0, settings.workers, images.home, most)
    regression = [RegressionExamples(images.home) for _ in range(classes)]
    readable = []

    chosen = np.arange(len(dataset.images))
    chosen = chosen if without is None else np.setdiff1d(chosen, without)
    views = views_of(chosen.tolist(), settings.mirror)
    for view, taken in images.each("features", views, partial(first_examples, quotas=quotas)):
        if taken is None:
            continue
        if not view.mirrored:
            readable.append(view.index)
        norms.append(taken.norms)
        for label in range(classes):
            examples[label].collect(1, taken.positives[label])
            examples[label].collect(-1, taken.negatives[label])
            regression[label].add(*taken.regression[label], view.index)
    if not readable:
        raise SppdetError(f"{where(dataset)}: none of its images can be read")
    give_back_freed_memory()
    mean_norm = float(torch.cat(norms).cpu().numpy().mean())
    examples.scale = settings.mining.target_norm / max(mean_norm, 1e-12)
    return Collected(readable, examples, regression)


def regress(
    collected: Collected,
    folds: list[NDArray[np.int64]],
    settings: TrainSettings,
    progress: Progress,
) -> list[BoxRegression | None]:
    """Box regression of all images, then for each fold that of the images outside it."""
    examples = collected.examples
    columns = []
    for label in range(len(examples)):
        one, collected.regression[label] = collected.regression[label], RegressionExamples()
        columns.append(one.fit(settings.regression.ridge, examples.scale, settings.workers, folds))
        give_back_freed_memory()
        if settings.box_regression:
            progress("box regression", label + 1, len(examples))
    return [
        BoxRegression.of(regressors, examples.dimension)
        for regressors in zip(*columns, strict=True)
    ]
