"""Parts of a data set: stratified by class, with equal pictures in one part.

The assignment is iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011, On the
stratification of multi-label data, algorithm 1), of groups of equal pictures instead of images.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from sppdet.datasets.base import Dataset
from sppdet.errors import SppdetError
from sppdet.images import read_image
from sppdet.runtime.words import counted, verb


def split_dataset(
    dataset: Dataset,
    shares: Mapping[str, float],
    seed: int = 0,
    progress: Callable[[], None] | None = None,
) -> tuple[dict[str, Dataset], list[str]]:
    """Divide a data set into parts in which the classes have about the same shares.

    Args:
        dataset: what to divide.
        shares: the share of each part; they add up to 1.
        seed: of the order in which equally good choices are taken.
        progress: called after each image.

    Returns:
        the parts, with their images in the order of the data set, and the images that were left
        out because they cannot be read, a line each.

    Raises:
        SppdetError: a part would have no image.
    """
    groups, unreadable = _groups(dataset, progress)
    chosen = _stratify(_counts(dataset, groups), list(shares.values()), seed)
    parts = {}
    for number, name in enumerate(shares):
        own = sorted(i for g, group in enumerate(groups) if chosen[g] == number for i in group)
        if not own:
            raise SppdetError(
                f"{dataset.path}: {counted(len(dataset), 'image')} {verb(len(dataset))} too few "
                f"for the part {name} of "
                f"{shares[name]:g}"
            )
        parts[name] = dataset.subset(own, name)
    return parts, unreadable


def _groups(
    dataset: Dataset, progress: Callable[[], None] | None
) -> tuple[list[list[int]], list[str]]:
    """Images with the same pixels, and those that cannot be read."""
    by_pixels: defaultdict[bytes, list[int]] = defaultdict(list)
    unreadable = []
    for index, path in enumerate(dataset.images):
        try:
            by_pixels[_digest(path)].append(index)
        except SppdetError as error:
            unreadable.append(f"{error}; left out")
        if progress is not None:
            progress()
    return list(by_pixels.values()), unreadable


def _digest(path: Path) -> bytes:
    pixels = read_image(path)
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()


def _counts(dataset: Dataset, groups: list[list[int]]) -> np.ndarray:
    """(groups, classes + 1) objects; the last column counts images without objects."""
    counts = np.zeros((len(groups), len(dataset.classes) + 1))
    for row, group in enumerate(groups):
        for index in group:
            labels = dataset.annotations(index).labels
            np.add.at(counts[row], labels if len(labels) else [len(dataset.classes)], 1)
    return counts


def _stratify(counts: np.ndarray, shares: list[float], seed: int) -> np.ndarray:
    """The number of the part of each group.

    The rarest class is divided first, to the part that lacks most of it. A part whose share of the
    images is reached takes no more: otherwise the largest part takes every class of one image.
    """
    generator = np.random.default_rng(seed)
    total = len(counts)
    wanted = np.outer(shares, counts.sum(0))  # objects of each class that a part still lacks
    room = np.array(shares) * total  # groups that a part still lacks
    chosen = np.full(total, -1)
    left = generator.permutation(total)
    while len(left):
        presence = (counts[left] > 0).sum(0)
        rarest = int(np.argmin(np.where(presence > 0, presence, total + 1)))
        own = left[counts[left][:, rarest] > 0] if presence.any() else left
        for group in own[np.argsort(-counts[own, rarest], kind="stable")]:
            lack = np.where(room >= min(0.5, room.max()), wanted[:, rarest], -np.inf)
            best = np.flatnonzero(lack == lack.max())
            best = best[room[best] == room[best].max()]
            part = int(generator.choice(best))
            chosen[group] = part
            wanted[part] -= counts[group]
            room[part] -= 1
        left = left[chosen[left] < 0]
    return chosen
