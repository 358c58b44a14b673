"""The kinds of mutated inputs, and how often each comes."""

import importlib
import os
import shutil
import warnings
from collections.abc import Callable

import saved
import subjects
from subjects import Case, Work

KINDS: dict[str, tuple[Callable[[Case], list[Work]], int]] = {
    "images": (subjects.images, 20),
    "data sets": (subjects.data_sets, 30),
    "pictures in data sets": (subjects.pictures_in_data_sets, 5),
    "places": (subjects.places, 8),
    "names": (subjects.names, 4),
    "bombs": (subjects.bombs, 3),
    "results": (saved.results, 12),
    "proposals": (saved.proposals, 5),
    "models": (saved.models, 12),
    "weights": (saved.weights, 6),
    "classifiers": (saved.classifiers, 5),
    "classified images": (saved.classified_images, 4),
    "caches": (saved.caches, 2),
}
"""The kinds, and how many of 116 cases each has."""


def prepare() -> None:
    """Import everything, so that no case pays for it."""
    for name in (
        "sppdet.cli.common",
        "sppdet.cli.data_tables",
        "sppdet.cli.evaluate_tables",
        "sppdet.detector",
        "sppdet.evaluation.coco",
        "sppdet.evaluation.report",
    ):
        importlib.import_module(name)
    warnings.simplefilter("ignore")
    saved.checkpoint()
    shutil.rmtree(os.environ["SPPDET_CACHE"], ignore_errors=True)
