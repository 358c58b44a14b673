"""Labelled images for classification: a folder per class, or CIFAR-10 from torchvision."""

import csv
import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from sppdet.errors import SppdetError
from sppdet.images import read_image
from sppdet.runtime.files import atomic_path, cache_dir

Rgb = NDArray[np.uint8]

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm"))
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
    """

    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    boxes: NDArray[np.float32]
    paths: tuple[Path, ...] = ()
    packed: NDArray[np.uint8] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, index: int) -> Rgb:
        """Image ``index`` as (H, W, 3) uint8 RGB.

        Raises:
            SppdetError: the file cannot be read as an image.
        """
        return read_image(self.paths[index]) if self.packed is None else self.packed[index]


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
    classes = tuple(sorted(entry.name for entry in base.iterdir() if entry.is_dir()))
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(p for p in (base / name).rglob("*") if p.suffix.lower() in SUFFIXES)
        paths += found
        labels += [label] * len(found)
    if not paths:
        raise SppdetError(f"{base}: has no images in folders named after their classes")
    boxes = _boxes(root / "boxes.csv", [path.relative_to(root).as_posix() for path in paths])
    packed = _packed(base, paths)
    return LabelledImages(classes, np.array(labels, np.int64), boxes, tuple(paths), packed)


def _boxes(file: Path, names: list[str]) -> NDArray[np.float32]:
    boxes = np.full((len(names), 4), np.nan, np.float32)
    if not file.is_file():
        return boxes
    known: dict[str, tuple[float, ...]] = {}
    with file.open(newline="", encoding="utf-8") as lines:
        for number, row in enumerate(csv.reader(lines), start=1):
            if number == 1 and row[:1] == ["path"]:
                continue
            try:
                left, top, right, bottom = (float(value) for value in row[1:5])
            except ValueError:
                raise SppdetError(
                    f"{file}: line {number} is not path,xmin,ymin,xmax,ymax"
                ) from None
            if right >= left and bottom >= top:
                known[row[0]] = (left, top, right + 1, bottom + 1)
    for index, name in enumerate(names):
        if name in known:
            boxes[index] = known[name]
    return boxes


def _packed(base: Path, paths: list[Path]) -> NDArray[np.uint8] | None:
    """All images as one array, kept on disk for the next time; None when their sizes differ."""
    first = read_image(paths[0])
    if first.nbytes * len(paths) > PACK_LIMIT:
        return None
    key = hashlib.sha256(str(first.shape).encode())
    for path in paths:
        status = path.stat()
        key.update(f"{path.relative_to(base)} {status.st_size} {status.st_mtime_ns}\n".encode())
    file = cache_dir() / "classification" / f"{key.hexdigest()[:24]}.npy"
    if file.is_file():
        try:
            stored = np.load(file, allow_pickle=False)
            if stored.shape == (len(paths), *first.shape) and stored.dtype == np.uint8:
                return stored
        except (ValueError, OSError):
            pass
    packed = np.empty((len(paths), *first.shape), np.uint8)

    def read(index: int) -> bool:
        image = read_image(paths[index])
        if image.shape == first.shape:
            packed[index] = image
        return image.shape == first.shape

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done: Iterable[bool] = pool.map(read, range(len(paths)))
        for same in track(done, f"reading {base.name}", len(paths), disable=len(paths) < 1000):
            if not same:
                pool.shutdown(cancel_futures=True)
                return None
    with atomic_path(file) as temporary:
        np.save(temporary, packed)
    return packed


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
