"""What heads learn from: region features with a role for every class.

Every class keeps the examples that were chosen for it, with the matrix of their products (the Gram
matrix), which linear heads learn from. Jointly they are features with one label each.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.features.streaming import to_device
from sppdet.heads.gram import combine, device_combine
from sppdet.heads.gram_matrix import no_products
from sppdet.heads.rows import Rows
from sppdet.runtime.cache import cache_dir

POSITIVE, NEGATIVE, NEITHER = 1, -1, 0
"""Roles of a region for a class."""


@dataclass(frozen=True)
class Chosen:
    """M regions of one image that are examples of a class.

    Attributes:
        features: (M, D) float16, as the extractor gives them.
        roles: (M, K) int8, the role of each region for every class.
        regions: (M,) int64, a number of each region, the same whenever it is chosen.
        image: number of the image; a mirrored image has the number of its original.
    """

    features: Tensor
    roles: NDArray[np.int8]
    regions: NDArray[np.int64]
    image: int

    def __len__(self) -> int:
        return len(self.regions)


@dataclass(frozen=True)
class Joint:
    """The distinct regions among the examples of all classes.

    Attributes:
        features: (N, D) float16, multiplied by :attr:`Examples.scale`.
        roles: (N, K) int8.
        images: (N,) int64.
    """

    features: Tensor
    roles: NDArray[np.int8]
    images: NDArray[np.int64]

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,): the class of a positive, K for background (a negative of every class), -1 else."""
        background = (self.roles == NEGATIVE).all(axis=1)
        positive = (self.roles == POSITIVE).any(axis=1)
        first = (self.roles == POSITIVE).argmax(axis=1)
        return np.where(positive, first, np.where(background, self.roles.shape[1], -1))


class ClassExamples:
    """Positive and negative examples of one class in half precision, with their Gram matrix.

    Its rows, (n, D) float16, are features multiplied by the common scale; see :meth:`take`.

    Args:
        dimension: D.
        classes: K.
        workers: threads for the products.
        device: where rows and Gram matrix lie; None means the CPU, in memory of their own.
        most_products: on the CPU, examples from whose number on there is no Gram matrix and the
            rows are on the disk, in the cache folder; this remains so when there are fewer again.

    Attributes:
        in_blocks: whether it has come to that.
        signs: (n,) int8, +1 for a positive, -1 for a negative.
        images: (n,) int64, the image from which each example comes.
        regions: (n,) int64, see :class:`Chosen`.
        roles: (n, K) int8, see :class:`Chosen`.
    """

    def __init__(
        self,
        dimension: int,
        classes: int,
        workers: int = 1,
        device: torch.device | None = None,
        most_products: int | None = None,
    ) -> None:
        self.dimension = dimension
        self.device = device
        self.in_blocks = False
        self._most = most_products if device is None else None
        self._rows = Rows(dimension, device)
        self._gram = no_products(device, workers)
        self.signs = np.zeros(0, np.int8)
        self.images = np.zeros(0, np.int64)
        self.regions = np.zeros(0, np.int64)
        self.roles = np.zeros((0, classes), np.int8)

    def __len__(self) -> int:
        return len(self.signs)

    @property
    def gram(self) -> NDArray[np.float32]:
        """(n, n) float32, ``rows @ rows.T``, on the CPU."""
        return self._gram.array

    def gram_doubles(self) -> NDArray[np.float64]:
        """A copy of :attr:`gram` as float64."""
        return self._gram.doubles()

    @property
    def learnable(self) -> bool:
        """Whether there are positives and negatives."""
        return bool((self.signs > 0).any() and (self.signs < 0).any())

    def add(self, chosen: list[tuple[int, Chosen]], scale: float) -> None:
        """Add pairs of a sign (1 or -1) and regions; ``scale`` multiplies their features."""
        chosen = [(sign, one) for sign, one in chosen if len(one)]
        if not chosen:
            return
        new = torch.cat([one.features * scale for _, one in chosen])
        new = new.to(self.device or "cpu").half()
        self._make_room(len(new))
        if not self.in_blocks:
            self._gram = self._gram.extended(self._rows, new)
        for sign, one in chosen:
            self._note(sign, one)
        self._rows.append(new)

    def collect(self, sign: int, chosen: Chosen) -> None:
        """Add regions whose scale is not known yet; :meth:`finish` ends the collection."""
        if len(chosen):
            self._make_room(len(chosen))
            self._note(sign, chosen)
            self._rows.append(chosen.features.to(self.device or "cpu"))

    def finish(self, scale: float) -> None:
        """Multiply what was collected by ``scale`` and compute the Gram matrix."""
        self._rows.scale(scale)
        if not self.in_blocks:
            self._gram = self._gram.of(self._rows)

    def _make_room(self, new: int) -> None:
        """Do without the Gram matrix where with ``new`` examples there are too many for it."""
        if not self.in_blocks and self._most is not None and len(self) + new > self._most:
            self.in_blocks = True
            self._gram = no_products(None, 1)
            self._rows = self._rows.moved_to(cache_dir() / "examples")

    def keep(self, mask: NDArray[np.bool_]) -> None:
        """Drop the examples outside ``mask`` (n,)."""
        if mask.all():
            return
        index = np.flatnonzero(mask)
        self._rows.keep(index)
        self._take(self, index)

    def without(self, images: NDArray[np.int64]) -> "ClassExamples":
        """The examples that come from other images than these."""
        index = np.flatnonzero(~np.isin(self.images, images))
        return self if len(index) == len(self) else _Part(self, index)

    def combine(
        self, weights: NDArray[np.float32], index: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """``weights @ rows[index]``: (J, M) float32 and M examples to (J, D) float32."""
        if self.device is None:
            return combine(weights, self._rows, index)
        total = device_combine(to_device(weights, self.device), self._rows, index)
        result: NDArray[np.float32] = total.cpu().numpy()
        return result

    def take(self, index: NDArray[np.int64]) -> Tensor:
        """``rows[index]``, a copy, (M, D) float16, where the rows are."""
        return self._rows[index]

    def _note(self, sign: int, one: Chosen) -> None:
        self.signs = np.append(self.signs, np.full(len(one), sign, np.int8))
        self.images = np.append(self.images, np.full(len(one), one.image, np.int64))
        self.regions = np.append(self.regions, one.regions)
        self.roles = np.concatenate([self.roles, one.roles])

    def _take(self, source: "ClassExamples", index: NDArray[np.int64]) -> None:
        """All of the examples ``index`` of ``source`` but their rows."""
        self.in_blocks = source.in_blocks
        if not self.in_blocks:
            self._gram = source._gram.part(index)
        self.signs, self.images = source.signs[index], source.images[index]
        self.regions, self.roles = source.regions[index], source.roles[index]


class _Part(ClassExamples):
    """Some examples of a class, whose rows stay where they are."""

    def __init__(self, source: ClassExamples, index: NDArray[np.int64]) -> None:
        super().__init__(source.dimension, source.roles.shape[1], device=source.device)
        self._take(source, index)
        self._source, self._index = source, index

    def combine(
        self, weights: NDArray[np.float32], index: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """See :class:`ClassExamples`."""
        return self._source.combine(weights, self._index[index])

    def take(self, index: NDArray[np.int64]) -> Tensor:
        """See :class:`ClassExamples`."""
        return self._source.take(self._index[index])


class Examples:
    """The examples of all classes.

    Args:
        dimension: D, length of a feature vector.
        classes: K.
        scale: factor on all features, which brings their mean L2 norm to that for which the heads'
            constants are meant. A scorer takes features without it.
        workers: threads for the products, and for classes that are fitted side by side.
        device, most_products: see :class:`ClassExamples`.
    """

    def __init__(
        self,
        dimension: int,
        classes: int,
        scale: float,
        workers: int = 1,
        device: torch.device | None = None,
        most_products: int | None = None,
    ) -> None:
        self.dimension = dimension
        self.scale = scale
        self.workers = workers
        self._classes = [
            ClassExamples(dimension, classes, workers, device, most_products)
            for _ in range(classes)
        ]
        self._absent = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self._classes)

    def __getitem__(self, label: int) -> ClassExamples:
        """The examples of one class."""
        return self._classes[label].without(self._absent)

    def finish(self, scale: float) -> None:
        """End the collection (:meth:`ClassExamples.collect`) of every class with this scale."""
        self.scale = scale
        for one in self._classes:
            one.finish(scale)

    def without(self, images: NDArray[np.int64]) -> "Examples":
        """The examples that come from other images than these; reading one class copies its Gram
        matrix."""
        part = Examples(self.dimension, 0, self.scale, self.workers)
        part._classes = self._classes
        part._absent = np.union1d(self._absent, images)
        return part

    def joint(self) -> Joint:
        """The distinct regions of all classes' examples, in the order of their first appearance."""
        parts = [self[label] for label in range(len(self))]
        _, first = np.unique(np.concatenate([one.regions for one in parts]), return_index=True)
        first = np.sort(first)
        ends = np.cumsum([len(one) for one in parts])
        places = np.split(first, np.searchsorted(first, ends[:-1]))
        features = torch.cat(
            [
                one.take(place - (end - len(one))).cpu()
                for one, place, end in zip(parts, places, ends, strict=True)
            ]
        )
        roles = np.concatenate([one.roles for one in parts])[first]
        return Joint(features, roles, np.concatenate([one.images for one in parts])[first])
