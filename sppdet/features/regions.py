"""The interface of region features: the one object in which SPP-net and R-CNN differ.

An extractor prepares an image with its boxes once; the result gives feature vectors for chosen
boxes, as often as asked. Training, mining, regression and detection see only this interface.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sppdet.boxes import Boxes
from sppdet.images import Rgb
from sppdet.runtime.timing import Clock
from sppdet.settings import RcnnSettings, SppSettings
from sppdet.trunks import Trunk

LATER = {"pooling": "max", "mapping": "paper"}
"""Settings that are written only where they have another value, since format 5 of model files."""


def check_levels_of(trunk: Trunk, levels: tuple[int, ...]) -> None:
    """Refuse a pyramid that the fully connected layers of a trunk cannot take.

    Raises:
        ValueError: the trunk has fully connected layers, which take one level only.
    """
    if trunk.levels is not None and tuple(levels) != trunk.levels:
        raise ValueError(
            f"levels {tuple(levels)}: {trunk.layer} of {trunk.name} takes levels={trunk.levels}"
        )


def check_pooling_of(trunk: Trunk, pooling: str) -> None:
    """Refuse means below fully connected layers that were trained on maxima.

    Raises:
        ValueError: the trunk has such layers.
    """
    if trunk.levels is not None and pooling != "max":
        raise ValueError(f"pooling {pooling}: {trunk.layer} of {trunk.name} takes maxima")


def described(method: str, settings: SppSettings | RcnnSettings) -> dict[str, Any]:
    """The method and the settings as JSON values. Settings that earlier versions do not know are
    left out where they are the default, so that these can read the file."""
    values = asdict(settings)
    for name, default in LATER.items():
        if values.get(name) == default:
            del values[name]
    return {"method": method, **values}


def with_defaults(features: Mapping[str, Any]) -> dict[str, Any]:
    """What :func:`described` gives, with the settings that it leaves out; R-CNN has no mapping."""
    own = dict(LATER)
    if features["method"] == "rcnn":
        del own["mapping"]
    return {**features, **{name: features.get(name, default) for name, default in own.items()}}


class Regions(Protocol):
    """The boxes of one image, ready to give features.

    Attributes:
        keys: (N,) int64; boxes with equal keys have the same features (they cover the same cells).
        count: number of distinct keys; they are 0 .. count - 1.
    """

    keys: NDArray[np.int64]
    count: int

    def features(self, keys: NDArray[np.int64], clock: Clock | None = None) -> Tensor:
        """Features of the given keys: (len(keys), dimension) float32, on the trunk's device.

        What they cost goes to the clock's ``pooling`` and ``fully connected``.
        """
        ...

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The prepared state as arrays, for a cache; see :meth:`RegionExtractor.restore`."""
        ...


class RegionExtractor(Protocol):
    """Makes :class:`Regions` of an image and boxes.

    Attributes:
        trunk: the convolutional network.
        dimension: length of a feature vector.
    """

    trunk: Trunk
    dimension: int

    def maps(self, image: Rgb, clock: Clock) -> list[Tensor]:
        """The part of :meth:`prepare` that needs no boxes; it can run while they are searched."""
        ...

    def prepare(
        self,
        image: Rgb,
        boxes: Boxes,
        clock: Clock | None = None,
        maps: list[Tensor] | None = None,
    ) -> Regions:
        """Do the work that an image and its boxes (N, 4) need once; ``maps`` was done before."""
        ...

    def restore(self, arrays: dict[str, NDArray[Any]]) -> Regions:
        """Regions from :meth:`Regions.to_arrays`."""
        ...

    def to_json(self) -> dict[str, Any]:
        """The method's name and settings; equal values give equal features."""
        ...
