"""What makes a data set too small, or its classes and splits doubtful."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import combinations
from pathlib import Path

import numpy as np

from sppdet.datasets.base import Dataset
from sppdet.runtime.words import counted, verb

FEW_IMAGES = 20
FEW_OBJECTS = 10
"""With fewer, a detector learns the images by heart, and its figures say little."""

SIMILAR = 0.85
"""Names that are alike by this ratio of difflib may be one: racoon, raccoon."""

RARE = 5
"""Similar names are doubted only if one class has this many times the objects of the other."""


def doubts(dataset: Dataset) -> list[str]:
    """A line for each doubt: few images, classes with few objects, and names of one class."""
    labels = [annotations.labels for annotations in dataset.all_annotations()]
    counts = np.bincount(
        np.concatenate([np.zeros(0, np.int64), *labels]), minlength=len(dataset.classes)
    )
    lines = []
    if len(dataset.images) < FEW_IMAGES:
        there = f"there {verb(len(dataset.images))} {counted(len(dataset.images), 'image')}"
        lines.append(f"{there}; 50 or more give a useful detector")
    few = [
        f"{name} {count}"
        for name, count in zip(dataset.classes, counts.tolist(), strict=True)
        if 0 < count < FEW_OBJECTS
    ]
    if few:
        listed = ", ".join(few[:8]) + (f" and {len(few) - 8} more" if len(few) > 8 else "")
        lines.append(f"classes with fewer than {FEW_OBJECTS} objects are learned badly: {listed}")
    for (one, a), (other, b) in combinations(zip(dataset.classes, counts.tolist(), strict=True), 2):
        if a and b and _alike(one, other, a, b):
            lines.append(
                f"classes {one} ({counted(a, 'object')}) and {other} ({b}) may be one, misspelt"
            )
    return lines


def shared_files(images: Sequence[Path], others: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Pairs of equal files, one of each list: photographs in a training and in a test split."""
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in images:
        if path.is_file():
            by_size[path.stat().st_size].append(path)
    digests: dict[int, dict[bytes, Path]] = {}
    pairs = []
    for path in others:
        size = path.stat().st_size if path.is_file() else -1
        if size not in by_size:
            continue
        if size not in digests:
            digests[size] = {_digest(one): one for one in by_size[size]}
        same = digests[size].get(_digest(path))
        if same is not None:
            pairs.append((same, path))
    return pairs


def _alike(one: str, other: str, a: int, b: int) -> bool:
    plain, plain_other = (re.sub(r"[\s_\-.]", "", name.casefold()) for name in (one, other))
    if plain == plain_other:
        return True
    if re.sub(r"\d", "", plain) == re.sub(r"\d", "", plain_other):  # class1, class2
        return False
    if min(len(plain), len(plain_other)) < 4 or max(a, b) < RARE * min(a, b):
        return False
    return SequenceMatcher(None, plain, plain_other).ratio() >= SIMILAR


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
