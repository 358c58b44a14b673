"""Object detection with region features: SPP-net and R-CNN on a frozen trunk, linear SVMs.

The names below are the public face. Each is imported when it is first used, so that ``import
sppdet`` loads neither torch nor NumPy.
"""

from importlib import import_module

TYPE_CHECKING = False  # type checkers take it as true; the module typing is slow to import
if TYPE_CHECKING:
    from sppdet.datasets import read_dataset
    from sppdet.detections import Detections
    from sppdet.detector import Detector
    from sppdet.errors import SppdetError
    from sppdet.evaluation.evaluate import evaluate
    from sppdet.features.pyramid import SpatialPyramidPool
    from sppdet.features.window_pooling import pool_windows
    from sppdet.images import read_image
    from sppdet.proposals import propose
    from sppdet.training.train import train
    from sppdet.trunks import load_trunk, make_trunk

__version__ = "0.2.0"

__all__ = [
    "Detections",
    "Detector",
    "SpatialPyramidPool",
    "SppdetError",
    "__version__",
    "evaluate",
    "load_trunk",
    "make_trunk",
    "pool_windows",
    "propose",
    "read_dataset",
    "read_image",
    "train",
]

_MODULES = {
    "Detections": "sppdet.detections",
    "Detector": "sppdet.detector",
    "SpatialPyramidPool": "sppdet.features.pyramid",
    "SppdetError": "sppdet.errors",
    "evaluate": "sppdet.evaluation.evaluate",
    "load_trunk": "sppdet.trunks",
    "make_trunk": "sppdet.trunks",
    "pool_windows": "sppdet.features.window_pooling",
    "propose": "sppdet.proposals",
    "read_dataset": "sppdet.datasets",
    "read_image": "sppdet.images",
    "train": "sppdet.training.train",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
