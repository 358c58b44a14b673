"""The windows that fully connected layers learn from: labels, targets, and features on the disk.

SPP-net paper, section 4: positives overlap ground truth by an IoU of at least 0.5, background
windows by 0.1 to 0.5.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sppdet.boxes import Boxes, encode, iou
from sppdet.datasets import Annotations
from sppdet.errors import SppdetError
from sppdet.features.streaming import half_features
from sppdet.runtime.cache import cache_dir
from sppdet.settings import ConnectedSettings
from sppdet.training.images import PreparedImage, TrainingImages, View
from sppdet.training.roles import choose

UNUSED = -1
"""Label of a window that nothing is learned from."""


@dataclass(frozen=True)
class Windows:
    """N windows of all images, for K classes.

    Attributes:
        features: (N, D) float16, on the disk.
        labels: (N,) int64; K is the background.
        targets: (N, 4) float32, the regression targets of positives (:func:`sppdet.boxes.encode`),
            0 for the background.
        images: (N,) int64, the numbers of their images.
    """

    features: NDArray[np.float16]
    labels: NDArray[np.int64]
    targets: NDArray[np.float32]
    images: NDArray[np.int64]


@dataclass(frozen=True)
class _Taken:
    """What one image gives; see :class:`Windows`."""

    features: Tensor
    labels: NDArray[np.int64]
    targets: NDArray[np.float32]


def window_labels(
    annotations: Annotations, boxes: Boxes, classes: int, settings: ConnectedSettings
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """What each of the boxes (N, 4) of an image teaches.

    Args:
        annotations: the image's. Nothing is learned from a box that is no positive, but overlaps a
            difficult or crowd box by the IoU of a positive.
        boxes: windows in pixels of the image.
        classes: K.
        settings: the limits of IoU.

    Returns:
        Labels (N,), K for the background and ``UNUSED``; the ground-truth box of the greatest IoU
        (N,), a row of the annotations; that IoU (N,), 0 without ground truth.
    """
    ignored = annotations.difficult | annotations.crowd
    overlap = iou(boxes, annotations.boxes)
    best = np.zeros(len(boxes), np.int64)
    greatest = np.zeros(len(boxes), np.float32)
    usable = np.flatnonzero(~ignored)
    if len(usable):
        best = usable[overlap[:, usable].argmax(axis=1)]
        greatest = overlap[np.arange(len(boxes)), best].astype(np.float32)
    labels = np.full(len(boxes), classes, np.int64)
    if ignored.any():
        labels[overlap[:, ignored].max(axis=1) >= settings.positive_iou] = UNUSED
    positive = greatest >= settings.positive_iou
    labels[positive] = annotations.labels[best[positive]]
    return labels, best, greatest


def choose_windows(
    labels: NDArray[np.int64],
    greatest: NDArray[np.float32],
    classes: int,
    positives: int,
    background: int,
    settings: ConnectedSettings,
    random: np.random.Generator,
) -> NDArray[np.int64]:
    """Rows of at most so many positives and background windows, chosen at random.

    Background windows with an IoU of at least ``settings.background_iou`` come first.
    """
    near = greatest >= settings.background_iou
    own = choose(np.flatnonzero((labels >= 0) & (labels < classes)), positives, random)
    hard = choose(np.flatnonzero((labels == classes) & near), background, random)
    missing = background - len(hard)
    far = choose(np.flatnonzero((labels == classes) & ~near), missing, random)
    return np.concatenate([own, hard, far])


def collect_windows(
    images: TrainingImages,
    views: Sequence[View],
    classes: int,
    dimension: int,
    settings: ConnectedSettings,
    seed: int,
) -> Windows:
    """The windows of all views, with their features in a file that vanishes with the process.

    Args:
        images, views: which images, and which of them mirrored.
        classes: K.
        dimension: D.
        settings: how many windows; ``settings.disk`` may allow fewer, at least 8 of each view.
        seed: of the choice, together with the number of the view.

    Raises:
        SppdetError: no image can be read, or there is no positive, or no room on the disk.
    """
    wanted = settings.positives + settings.background
    room = max(settings.disk // (2 * dimension * max(len(views), 1)), 8)
    share = min(1.0, room / wanted)
    positives = max(round(settings.positives * share), 1)
    background = max(round(settings.background * share), 1)
    work = partial(
        _take,
        classes=classes,
        positives=positives,
        background=background,
        settings=settings,
        seed=seed,
    )
    features = _on_disk((max(len(views), 1) * (positives + background), dimension))
    labels, targets, numbers, count = [], [], [], 0
    for view, taken in images.each("windows", views, work):
        if taken is None:
            continue
        features[count : count + len(taken.labels)] = taken.features.numpy()
        count += len(taken.labels)
        labels.append(taken.labels)
        targets.append(taken.targets)
        numbers.append(np.full(len(taken.labels), view.index, np.int64))
    found = np.concatenate(labels) if labels else np.zeros(0, np.int64)
    if not (found < classes).any():
        raise SppdetError("the images give no window of an object to learn from")
    return Windows(features[:count], found, np.concatenate(targets), np.concatenate(numbers))


def _take(
    prepared: PreparedImage,
    classes: int,
    positives: int,
    background: int,
    settings: ConnectedSettings,
    seed: int,
) -> _Taken:
    """The windows of one image."""
    random = np.random.default_rng([seed, prepared.number, 2])
    boxes, truths = prepared.boxes, prepared.annotations
    labels, best, greatest = window_labels(truths, boxes, classes, settings)
    rows = choose_windows(labels, greatest, classes, positives, background, settings, random)
    targets = np.zeros((len(rows), 4), np.float32)
    own = np.flatnonzero(labels[rows] < classes)
    targets[own] = encode(boxes[rows[own]], truths.boxes[best[rows[own]]])
    features = half_features(prepared.regions, prepared.regions.keys[rows])
    return _Taken(features, labels[rows], targets)


def _on_disk(shape: tuple[int, int]) -> NDArray[np.float16]:
    """An array in a file without a name, beside the other caches where these can be written."""
    file: IO[Any]  # the array keeps it open
    try:
        cache_dir().mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=cache_dir())  # noqa: SIM115
    except OSError:
        file = tempfile.TemporaryFile()  # noqa: SIM115
    return np.memmap(file, np.float16, "w+", shape=shape)
