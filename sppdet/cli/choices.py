"""The names that options choose from.

The modules that do the work have the same names in tables of their own, but import PyTorch and
OpenCV; a help text must not wait for these. A test compares both.
"""

from typing import get_args

from sppdet.classification.settings import SCHEDULES, SIZE_ORDERS, STEMS
from sppdet.settings import CropMode, Pooling, WindowMapping
from sppdet.trunks.specs import SPECS

__all__ = [
    "BOX_ORDERS",
    "BOX_STYLES",
    "CROPS",
    "DATA_SETS",
    "ENGINES",
    "EXPORTS",
    "EXPORT_TARGETS",
    "FORMATS",
    "HEADS",
    "LAYERS",
    "METHODS",
    "NETWORKS",
    "POOLINGS",
    "PROPOSALS",
    "PROPOSAL_FILES",
    "SAVES",
    "SCHEDULES",
    "SIZE_ORDERS",
    "STEMS",
    "TRUNKS",
    "WINDOW_MAPPINGS",
    "WRITERS",
]

TRUNKS = tuple(SPECS)
"""Trunks of :func:`sppdet.trunks.load_trunk`."""

LAYERS = ("pyramid", "pool5", "fc6", "fc7")
"""Which values are the features of a region; see :func:`sppdet.cli.common.layer_settings`."""

POOLINGS = get_args(Pooling)
"""What a bin takes of its cells."""

WINDOW_MAPPINGS = get_args(WindowMapping)
"""From boxes to windows, see :func:`sppdet.features.windows.map_windows`."""

HEADS = ("svm", "connected", "connected-svm")
"""What learns from the features; see :func:`sppdet.cli.common.recipe_of`."""

METHODS = ("spp", "rcnn")
"""How region features are made."""

CROPS = get_args(CropMode)
"""How R-CNN cuts a box out of the image."""

PROPOSALS = (
    "fast",
    "complete",
    "quality",
    "tiny",
    "finest",
    "opencv-fast",
    "opencv-quality",
)
"""Methods of :func:`sppdet.proposals.propose`."""

EXPORT_TARGETS = ("onnx",)
"""What ``sppdet export`` writes; see :func:`sppdet.export.export_onnx`."""

PROPOSAL_FILES = ("npz", "json", "csv", "mat")
"""Formats of :func:`sppdet.proposals.files.write_proposals`."""

BOX_ORDERS = ("xyxy", "yxyx")
"""Columns of a file of proposals, see :mod:`sppdet.proposals.files`."""

FORMATS = (
    "voc",
    "coco",
    "yolo",
    "folder",
    "cvat",
    "labelme",
    "labelstudio",
    "via",
    "createml",
    "openimages",
    "csv",
    "kitti",
    "visdrone",
    "mot",
    "supervisely",
)
"""Formats of data sets, see :func:`sppdet.datasets.read_dataset`."""

WRITERS = ("voc", "coco", "yolo", "csv", "createml")
"""Formats of data sets that are written, see :mod:`sppdet.datasets.writers`."""

BOX_STYLES = ("xyxy", "xywh", "cxcywh", "yolo")
"""Four numbers in a text file, see :func:`sppdet.evaluation.results.read_results`."""

EXPORTS = ("coco", "voc", "yolo", "text")
"""Formats of results, see :func:`sppdet.evaluation.export.export`."""

SAVES = ("pictures", "json", "jsonl", "csv", "txt", "voc", "coco", "crops", "parquet")
"""What ``sppdet detect`` writes, see :mod:`sppdet.cli.saving`; "parquet" stands alone, see
:mod:`sppdet.scale`."""

ENGINES = ("ray",)
"""What gives the work of ``detect`` and ``train`` to workers; see :mod:`sppdet.scale`."""

DATA_SETS = ("voc2007", "voc2012", "coco-val2017", "cifar10")
"""Data sets of :mod:`sppdet.datasets.download`."""

NETWORKS = (
    "small",
    "spp5",
    "spp5-wide",
    "spp5-average",
    "spp5-flatten",
    "lenet5",
    "nin",
    "zf5-spp",
)
"""Classification networks of this project, see :mod:`sppdet.classification.networks`."""
