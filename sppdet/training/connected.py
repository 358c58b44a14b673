"""Training of heads on fully connected layers: windows, fine-tuning, and SVMs on fc7 if asked for.

One part of the images is left out of a second, smaller training, so that its detections show what
the scores are worth on unseen images.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Event

import numpy as np
from numpy.typing import NDArray

from sppdet.heads.base import Heads, Scorer
from sppdet.heads.connected import Connected, ConnectedSvms, LayeredSvms
from sppdet.heads.kept import KeptExamples
from sppdet.heads.linear import LinearScorer
from sppdet.heads.regression import BoxRegression
from sppdet.settings import TrainSettings
from sppdet.training.fine_tuning import Tuned, fine_tune, prepare_inputs
from sppdet.training.images import Progress, TrainingImages, views_of
from sppdet.training.unseen import Fold, split
from sppdet.training.windows import collect_windows


@dataclass(frozen=True)
class Learned:
    """What a training learned, before calibration.

    Attributes:
        scorer, regression: of all images.
        folds: the same of a part of the images, with the images that were left out.
        examples: number of examples per class at the end; 0 for a class that could not be trained.
        kept: examples that the detector keeps.
    """

    scorer: Scorer
    regression: BoxRegression | None
    folds: list[Fold]
    examples: list[int]
    kept: KeptExamples | None = None


SvmTraining = Callable[[TrainingImages, int, Heads, NDArray[np.int64]], Learned]
"""Learns SVMs and box regression: from the images, with features of so many values, by a recipe,
without the images with these numbers; the result has no folds."""


def learn_connected(
    images: TrainingImages,
    count: int,
    classes: int,
    dimension: int,
    settings: TrainSettings,
    heads: Connected | ConnectedSvms,
    progress: Progress,
    svms: SvmTraining,
) -> Learned:
    """Learn from all images, then from those outside one fold.

    Args:
        images: the training images.
        count: their number.
        classes: K.
        dimension: length of the pooled features.
        settings: seed, mirrored images, box regression, threads.
        heads: the recipe.
        progress: told of every mini-batch, from two threads if there are two workers.
        svms: how SVMs on fc7 are learned.

    Raises:
        SppdetError: no image can be read, or there is no object to learn.
    """
    recipe = heads.layers if isinstance(heads, ConnectedSvms) else heads
    views = views_of(range(count), settings.mirror)
    windows = collect_windows(images, views, classes, dimension, recipe.settings, settings.seed)
    inputs = prepare_inputs(windows, recipe.settings, recipe.start, settings.workers)
    fold = split(np.unique(windows.images).tolist(), settings.seed)[0]

    every = np.zeros(0, np.int64)
    stop = Event()

    def tune(stage: str, without: NDArray[np.int64]) -> Tuned:
        def tell(done: int, total: int) -> None:
            if stop.is_set():
                raise InterruptedError(stage)
            progress(stage, done, total)

        return fine_tune(
            inputs,
            classes,
            recipe.settings,
            without=without,
            seed=settings.seed,
            device=images.device,
            progress=tell,
        )

    def learned(tuned: Tuned, without: NDArray[np.int64]) -> Learned:
        if isinstance(heads, ConnectedSvms):
            return _on_fc7(tuned, images, heads, without, svms)
        learning = windows.labels[~np.isin(windows.images, without)]
        numbers = np.bincount(learning[learning < classes], minlength=classes)
        regression = tuned.regression if settings.box_regression else None
        return Learned(tuned.scorer, regression, [], numbers.tolist())

    # A mini-batch is too small for two threads; two trainings side by side use two cores.
    with ThreadPoolExecutor(min(settings.workers, 2)) as pool:
        first = pool.submit(tune, "fine-tuning", every)
        second = pool.submit(tune, "without a fold", fold)
        try:
            tuned, tuned_part = first.result(), second.result()
        except BaseException:
            stop.set()
            raise
    whole = learned(tuned, every)
    part = learned(tuned_part, fold)
    device = images.device
    unseen = Fold(
        fold,
        part.scorer.to(device),
        part.regression.to(device) if part.regression is not None else None,
    )
    return replace(whole, folds=[unseen])


def _on_fc7(
    tuned: Tuned,
    images: TrainingImages,
    heads: ConnectedSvms,
    without: NDArray[np.int64],
    svms: SvmTraining,
) -> Learned:
    """SVMs and ridge regression on the fc7 of tuned layers."""
    layers = tuned.scorer.layers
    learned = svms(images.through(layers.to(images.device)), layers.length, heads.svms, without)
    assert isinstance(learned.scorer, LinearScorer)
    regression = learned.regression
    if regression is not None:
        regression = replace(regression, layers=layers)
    return replace(learned, scorer=LayeredSvms(layers, learned.scorer), regression=regression)
