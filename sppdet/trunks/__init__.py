"""Convolutional trunks: an image in, one feature map out.

The names are imported when they are first used, so that ``SPECS`` can be read without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sppdet.trunks.custom import make_trunk
    from sppdet.trunks.geometry import MapGeometry, map_geometry
    from sppdet.trunks.loading import build_trunk, load_trunk, packaged_weights
    from sppdet.trunks.specs import SPECS, Layer, TrunkSpec, pool5_level, trunk_spec
    from sppdet.trunks.trunk import Trunk
    from sppdet.trunks.weights import Preprocessing, Weights, read_weights

__all__ = [
    "SPECS",
    "Layer",
    "MapGeometry",
    "Preprocessing",
    "Trunk",
    "TrunkSpec",
    "Weights",
    "build_trunk",
    "load_trunk",
    "make_trunk",
    "map_geometry",
    "packaged_weights",
    "pool5_level",
    "read_weights",
    "trunk_spec",
]

_HOMES = {
    "custom": ("make_trunk",),
    "geometry": ("MapGeometry", "map_geometry"),
    "loading": ("build_trunk", "load_trunk", "packaged_weights"),
    "specs": ("SPECS", "Layer", "TrunkSpec", "pool5_level", "trunk_spec"),
    "trunk": ("Trunk",),
    "weights": ("Preprocessing", "Weights", "read_weights"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")


def __dir__() -> list[str]:
    return __all__
