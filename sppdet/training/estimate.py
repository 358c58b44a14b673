"""How long a training will take and how much disk it needs, from a few of its own images.

The passes do to a few images what they do to all, in the same number of threads; what they prepare
stays in the store, so that it is not prepared again. The fits between the passes are reckoned from
the time of one product of examples, one SVM and one ridge regression, and from the numbers of
examples to expect.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from sppdet.heads.base import Heads
from sppdet.heads.examples import Chosen, Examples
from sppdet.heads.regression import RegressionExamples
from sppdet.settings import TrainSettings
from sppdet.training.first_examples import FirstExamples, Quotas, first_examples
from sppdet.training.folds import decide
from sppdet.training.images import TrainingImages, View, views_of
from sppdet.training.mining import hard_negatives
from sppdet.training.unseen import FOLDS, Fold, look

IMAGES = 6
"""Images that are measured; one more warms up."""

FEWEST = 30
"""A training on fewer images takes no time worth an estimate."""

TRIAL = 640
"""Examples of the product, the SVM and the regression that are timed."""

EARLY, GROWTH = 40, 0.55
"""Over the first ``EARLY`` images a class finds as many hard negatives as the SVMs of the few
images; then their number grows with the number of images to the power of ``GROWTH``: 1,040, 1,540,
1,940, 2,190 and 2,380 after 60, 120, ... 300 scenes of 20 classes (benchmarks/growth.py)."""


@dataclass(frozen=True)
class Estimate:
    """Attributes:
    seconds: of the passes and the fits.
    disk: bytes of the prepared images at the most.
    """

    seconds: float
    disk: int

    def __str__(self) -> str:
        """As in "about 40 minutes, 11.0 GB of disk".

        Examples:
            >>> print(Estimate(2390, 11 * 10**9))
            about 40 minutes, 11.0 GB of disk
            >>> print(Estimate(11000, 4 * 10**7))
            about 3.1 hours, 40 MB of disk
        """
        minutes = self.seconds / 60
        long = f"{minutes:.0f} minutes" if minutes < 100 else f"{minutes / 60:.1f} hours"
        long = "1 minute" if long == "1 minutes" else long
        large = f"{self.disk / 1e9:.1f} GB" if self.disk >= 1e9 else f"{self.disk / 1e6:.0f} MB"
        return f"about {long}, {large} of disk"


def estimate(
    images: TrainingImages,
    names: tuple[str, ...],
    number: int,
    dimension: int,
    heads: Heads,
    quotas: Quotas,
    settings: TrainSettings,
) -> Estimate | None:
    """Measure a few images, and reckon what all will take.

    Args:
        images: the training images.
        names: of the classes.
        number: of the images.
        dimension: length of a feature vector.
        heads: what learns.
        quotas: of the first pass.
        settings: of the training.

    Returns:
        None for a training on fewer than :data:`FEWEST` images or on a GPU, and where the chosen
        images cannot be read.
    """
    if number < FEWEST or images.home is not None:
        return None
    images = images.quietly()
    chosen = np.random.default_rng([settings.seed, 4]).permutation(number)[: IMAGES + 1].tolist()
    classes = len(names)

    def through(views: list[View], work: Callable[[Any], Any]) -> tuple[list[Any], float]:
        start = time.perf_counter()
        found = [one for _, one in images.each("estimate", views, work) if one is not None]
        return found, (time.perf_counter() - start) / max(len(found), 1)

    collecting = partial(first_examples, quotas=quotas)
    warm, _ = through(views_of(chosen[:1], settings.mirror), collecting)
    views = views_of(chosen[1:], settings.mirror)
    before = images.stored_bytes
    taken, collect_seconds = through(views, collecting)
    if not taken:
        return None
    disk = (images.stored_bytes - before) / len(taken)
    examples = Examples(dimension, classes, 1.0, settings.workers)
    for label in range(classes):
        for one in [*warm, *taken]:
            examples[label].collect(1, one.positives[label])
            examples[label].collect(-1, one.negatives[label])
    norms = torch.cat([one.norms for one in taken]).numpy()
    examples.finish(settings.mining.target_norm / max(float(norms.mean()), 1e-12))
    scorer = heads.fit(examples)
    mining = partial(
        hard_negatives, scorer=scorer, hard_score=heads.hard_score, settings=settings.mining
    )
    through(views_of(chosen[:1], False), mining)  # compiles what is not compiled yet
    found, mine_seconds = through(views, mining)
    plain = settings.detector.selection
    looking = partial(look, fold=Fold(np.zeros(0, np.int64), scorer, None), settings=plain)
    through(views_of(chosen[:1], False), looking)
    seen, look_seconds = through(views_of(chosen[1:], False), looking)
    deciding = partial(decide, seen, heads, scorer, names, settings)
    look_seconds += _seconds(deciding) / max(len(seen), 1)

    every = number * len(views_of([0], settings.mirror))
    looked = min(number, settings.calibration_images)
    passes = every * (collect_seconds + mine_seconds) + looked * look_seconds
    lost = max(1 - settings.store_bytes / max(disk * every, 1), 0)  # is prepared in every pass
    passes += lost * (every + looked) * collect_seconds
    learnable = [label for label in range(classes) if examples[label].learnable]
    hard = float(np.mean([len(one[k]) for one in found for k in learnable] or [0]))
    found_in_all = hard * min(EARLY, every) * max(every / EARLY, 1) ** GROWTH
    fits = _fits(taken, found_in_all, dimension, heads, quotas, settings)
    return Estimate(passes + fits, int(min(disk * every, settings.store_bytes)))


def _fits(
    taken: list[FirstExamples],
    added: float,
    dimension: int,
    heads: Heads,
    quotas: Quotas,
    settings: TrainSettings,
) -> float:
    """Seconds of all products, SVMs and regressions; ``added`` are a class's hard negatives."""
    product, svm, ridge = _trial(dimension, heads, settings)
    classes = range(len(quotas.images_with))
    present = [(one, k) for one in taken for k in classes if len(one.positives[k])]
    near = float(np.mean([len(one.positives[k]) for one, k in present] or [0]))
    regressed = float(np.mean([len(one.regression[k][0]) for one, k in present] or [0]))
    far = float(np.mean([len(one) for each in taken for one in each.negatives])) * quotas.images
    most = settings.mining.room(dimension, len(classes))
    most = min(settings.mining.max_negatives, most)
    refits = added / min(settings.mining.retrain_after, max(most // 2, 1))
    total = 0.0
    for images_with in quotas.images_with:
        if not images_with:
            continue
        positives = min(near * images_with, quotas.positives)
        first = positives + min(far, quotas.negatives)
        last = positives + min(most, far + added)
        middle = (first + last) / 2
        total += product * first**2 + svm * first**2
        total += product * 2 * added * middle + refits * svm * middle**2
        total += product * 2 * len(classes) * (1 + refits) * middle  # scores of the examples
        total += svm * last**2 * (1 + FOLDS * (1 - 1 / FOLDS) ** 2)
        if settings.box_regression:
            boxes = min(regressed * images_with, quotas.regressed)
            folds = 1 + FOLDS * (1 - 1 / FOLDS) ** 2.5
            total += product * boxes**2 + ridge * folds * boxes**2.5
    return total


def _trial(dimension: int, heads: Heads, settings: TrainSettings) -> tuple[float, float, float]:
    """Seconds that grow with the number of examples: of a product for each pair of them, of an SVM
    for each pair, and of a ridge regression for the number to the power of 2.5."""
    random = torch.Generator().manual_seed(0)
    features = torch.rand(TRIAL, dimension, generator=random).half()
    features *= settings.mining.target_norm / features[0].float().norm()
    examples = Examples(dimension, 1, 1.0, settings.workers)
    numbers = np.arange(TRIAL)
    for sign, part in ((1, numbers[: TRIAL // 3]), (-1, numbers[TRIAL // 3 :])):
        roles = np.full((len(part), 1), sign, np.int8)
        examples[0].collect(sign, Chosen(features[part], roles, part, 0))
    product = _seconds(lambda: examples.finish(1.0))
    svm = _seconds(lambda: heads.fit(examples))
    regression = RegressionExamples()
    boxes = np.tile(np.array([0, 0, 10, 10], np.float32), (TRIAL, 1))
    regression.add(features, boxes, boxes + np.arange(TRIAL, dtype=np.float32)[:, None] % 7)
    ridge = _seconds(lambda: regression.fit(settings.regression.ridge, 1.0, settings.workers))
    return product / TRIAL**2, svm / TRIAL**2, max(ridge - product, 0.0) / TRIAL**2.5


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
