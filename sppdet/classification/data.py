"""Labelled images for classification: a folder per class, or CIFAR-10 from torchvision."""

import csv
import hashlib
import io
import itertools
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from sppdet.boxes import FARTHEST
from sppdet.datasets.files import read_text
from sppdet.errors import SppdetError
from sppdet.images import read_image
from sppdet.runtime.cache import SUFFIXES as CACHE_SUFFIXES
from sppdet.runtime.cache import DiskCache, cache_dir
from sppdet.runtime.code import code_digest
from sppdet.runtime.words import counted

Rgb = NDArray[np.uint8]

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm"))
CACHE_LIMIT = 12 * 2**30
"""Bytes of pixels of all data sets on disk."""

PACK_LIMIT = 4 * 2**30
"""Bytes of images of equal size that are held in memory; others are read when needed."""


@dataclass(frozen=True)
class LabelledImages:
    """The images of one split.

    Attributes:
        classes: names, in alphabetical order of their folders.
        labels: (N,) int64, index into ``classes``.
        boxes: (N, 4) float32, the object's box in pixels, half-open; the whole image (or NaN when
            its size is not known yet) where none is given.
        paths: one file per image; empty when the images came as an array.
        packed: (N, H, W, 3) uint8 when all images have one size, or None.
        skipped: a line for each image that could not be read so far. Packed images are read
            already; others are read when they are needed, and unreadable ones are left out then.
    """

    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    boxes: NDArray[np.float32]
    paths: tuple[Path, ...] = ()
    packed: NDArray[np.uint8] | None = field(default=None, repr=False)
    skipped: dict[Path, str] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, index: int) -> Rgb:
        """Image ``index`` as (H, W, 3) uint8 RGB.

        Raises:
            SppdetError: the file cannot be read as an image.
        """
        return read_image(self.paths[index]) if self.packed is None else self.packed[index]

    def try_read(self, index: int) -> Rgb | None:
        """As :meth:`read`; None, and a line in :attr:`skipped`, for an unreadable image."""
        if self.packed is not None:
            return self.packed[index]
        return _try(self.paths[index], self.skipped)


def open_split(folder: str | os.PathLike[str], split: str) -> LabelledImages:
    """Open one split of a classification data set.

    Args:
        folder: holds ``train`` and ``test`` (or ``val``), each with one folder per class;
            ``boxes.csv`` beside them (path, xmin, ymin, xmax, ymax; last pixels included) may name
            objects. The word ``cifar10`` stands for torchvision's download.
        split: ``"train"`` or ``"test"``.

    Raises:
        SppdetError: no such folder, no classes, or no images.
    """
    if str(folder) == "cifar10":
        return _cifar10(split)
    root = Path(folder)
    if not root.is_dir():
        raise SppdetError(f"{root}: no such folder; give one with train/CLASS/IMAGE, or cifar10")
    names = ("train",) if split == "train" else ("test", "val")
    base = next((root / name for name in names if (root / name).is_dir()), None)
    if base is None:
        raise SppdetError(f"{root}: has no folder {' or '.join(names)} with one folder per class")
    classes = tuple(
        sorted(
            entry.name for entry in base.iterdir() if entry.is_dir() and not _is_hidden(entry.name)
        )
    )
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(p for p in (base / name).rglob("*") if _is_image(p, base))
        paths += found
        labels += [label] * len(found)
    if not paths:
        raise SppdetError(f"{base}: has no images in folders named after their classes")
    boxes = _boxes(root / "boxes.csv", [path.relative_to(root).as_posix() for path in paths])
    skipped: dict[Path, str] = {}
    numbers = np.array(labels, np.int64)
    together = _packed(base, paths, skipped)
    if together is None:
        return LabelledImages(classes, numbers, boxes, tuple(paths), None, skipped)
    packed, kept = together
    chosen = tuple(itertools.compress(paths, kept))
    return LabelledImages(classes, numbers[kept], boxes[kept], chosen, packed, skipped)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_image(path: Path, base: Path) -> bool:
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    return not any(map(_is_hidden, path.relative_to(base).parts))


def _boxes(file: Path, names: list[str]) -> NDArray[np.float32]:
    boxes = np.full((len(names), 4), np.nan, np.float32)
    if not file.is_file():
        return boxes
    known: dict[str, tuple[float, ...]] = {}
    rows = csv.reader(io.StringIO(read_text(file), newline=""))
    number = 0
    try:
        for number, row in enumerate(rows, start=1):
            if number == 1 and row[:1] == ["path"]:
                continue
            left, top, right, bottom = (float(value) for value in row[1:5])
            if not all(abs(value) <= FARTHEST for value in (left, top, right, bottom)):
                raise ValueError("a coordinate that no image has")
            if right >= left and bottom >= top:
                known[row[0]] = (left, top, right + 1, bottom + 1)
    except csv.Error as error:
        raise SppdetError(f"{file}: line {number + 1} is not readable CSV ({error})") from None
    except ValueError:
        raise SppdetError(f"{file}: line {number} is not path,xmin,ymin,xmax,ymax") from None
    for index, name in enumerate(names):
        if name in known:
            boxes[index] = known[name]
    return boxes


def _packed(
    base: Path, paths: list[Path], skipped: dict[Path, str]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]] | None:
    """The images that can be read as one array, and which those are; None when their sizes differ.

    They are kept on disk for the next time, by the content of all files.
    """
    first = _first(paths, skipped)
    if first.nbytes * len(paths) > PACK_LIMIT:
        return None
    cache = DiskCache(cache_dir() / "classification", CACHE_SUFFIXES["classification"], CACHE_LIMIT)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        content = hashlib.sha256(str(first.shape).encode() + code_digest("sppdet.images"))
        for digest in pool.map(_content, paths):
            content.update(digest)
        name = content.hexdigest()[:32]
        stored = cache.read(name)
        if stored is not None:
            kept = np.frombuffer(stored[: len(paths)], np.uint8).astype(bool)
            packed = np.frombuffer(stored[len(paths) :], np.uint8).reshape(-1, *first.shape)
            for path in itertools.compress(paths, ~kept):
                _try(path, skipped)
            return packed, kept
        packed, kept = np.empty((len(paths), *first.shape), np.uint8), np.zeros(len(paths), bool)

        def read(index: int) -> bool:
            image = _try(paths[index], skipped)
            if image is None:
                return True
            if image.shape == first.shape:
                packed[index], kept[index] = image, True
            return image.shape == first.shape

        done: Iterable[bool] = pool.map(read, range(len(paths)))
        for same in track(done, f"reading {base.name}", len(paths), disable=len(paths) < 1000):
            if not same:
                pool.shutdown(cancel_futures=True)
                return None
    packed = packed if kept.all() else packed[kept]
    cache.write(name, kept.astype(np.uint8).tobytes() + packed.tobytes())
    return packed, kept


def _first(paths: list[Path], skipped: dict[Path, str]) -> Rgb:
    """The first image that can be read.

    Raises:
        SppdetError: none can; the line names the first one.
    """
    tried: dict[Path, str] = {}
    for path in paths:
        image = _try(path, tried)
        if image is not None:
            skipped.update(tried)
            return image
    of_all = counted(len(paths), "image")
    raise SppdetError(f"{next(iter(tried.values()))}; none of {of_all} can be read")


def _try(path: Path, skipped: dict[Path, str]) -> Rgb | None:
    """The image, or None with a line in ``skipped``."""
    try:
        return read_image(path)
    except SppdetError as error:
        skipped[path] = str(error)
        return None


def _content(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError as error:
        return str(error.errno).encode()


def _cifar10(split: str) -> LabelledImages:
    from torchvision.datasets import CIFAR10

    try:
        data = CIFAR10(str(cache_dir() / "cifar10"), train=split == "train", download=True)
    except (OSError, RuntimeError) as error:
        raise SppdetError(
            f"cifar10: could not be downloaded ({error}); unpack it as train/CLASS/IMAGE and "
            "test/CLASS/IMAGE and give that folder"
        ) from None
    labels = np.array(data.targets, np.int64)
    boxes = np.full((len(labels), 4), np.nan, np.float32)
    return LabelledImages(tuple(data.classes), labels, boxes, (), np.asarray(data.data, np.uint8))
