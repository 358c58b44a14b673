"""Proposals on disk, by content: each image is searched once."""

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import (
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sppdet.errors import SppdetError
from sppdet.images import ImageLike, as_image, read_image
from sppdet.proposals import Settings, check_max_boxes, propose, settings_of
from sppdet.proposals.opencv import OpenCvSettings
from sppdet.runtime.files import atomic_path, cache_dir

# Raised whenever a search returns other boxes than before for the same settings.
ALGORITHM_VERSION = 4
_DIGEST_BYTES = 16

ImagePath = str | os.PathLike[str]


@dataclass(frozen=True)
class Failure:
    """An image that could not be searched: its path, and one line that says why."""

    path: Path
    message: str


class ProposalCache:
    """Proposals of images, searched when they are first asked for and read from disk afterwards.

    An entry is found by the image's pixels, the settings and the version of the algorithm: a file
    may be moved or edited. Entries are written to a temporary name and renamed: an interruption
    or several processes at once do not damage them. A damaged entry is searched again.

    Args:
        folder: where the entries go; by default ``proposals`` in the cache folder of sppdet.
    """

    def __init__(self, folder: ImagePath | None = None) -> None:
        self.folder = Path(folder) if folder is not None else cache_dir() / "proposals"

    def get(
        self,
        image: ImageLike,
        method: str | Settings = "fast",
        max_boxes: int = 2000,
    ) -> NDArray[np.float32]:
        """What :func:`sppdet.proposals.propose` returns, from disk where it is there.

        Args:
            image, method, max_boxes: as in ``propose``.

        Raises:
            SppdetError: the image cannot be read, or the entry cannot be written.
        """
        pixels, max_boxes = as_image(image), check_max_boxes(max_boxes)
        settings = settings_of(method)
        path = self._entry(pixels, settings, max_boxes)
        boxes = _read_entry(path)
        if boxes is None:
            boxes = propose(pixels, settings, max_boxes)
            _write_entry(path, boxes)
        return boxes

    def fill(
        self,
        paths: Iterable[ImagePath],
        method: str | Settings = "fast",
        max_boxes: int = 2000,
        *,
        workers: int | None = None,
        progress: bool = True,
    ) -> list[Failure]:
        """Search many image files, several at a time, under a progress bar on standard error.

        Our own search runs in threads (its kernels release the interpreter's lock); OpenCV's in
        processes (it draws random numbers from a generator of which a process has one). After
        Ctrl-C the finished entries remain, and the next call goes on from there.

        Args:
            paths: image files.
            method, max_boxes: as in ``propose``.
            workers: images at a time; by default the number of cores.
            progress: show the bar.

        Returns:
            The images that could not be searched, in the order of ``paths``. They do not
            stop the search of the other images.

        Raises:
            SppdetError: unknown method, or the cache cannot be written.
        """
        files = [Path(path) for path in paths]
        settings = settings_of(method)
        workers = min(workers or _cores(), max(len(files), 1))
        failures: dict[int, Failure] = {}
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not progress,
        )
        with bar, _pool(settings, workers) as pool:
            task = bar.add_task("proposals", total=len(files))
            waiting: dict[Future[str | None], int] = {
                pool.submit(_search_file, self.folder, path, settings, max_boxes): index
                for index, path in enumerate(files)
            }
            try:
                for future in as_completed(waiting):
                    message = future.result()
                    if message is not None:
                        index = waiting[future]
                        failures[index] = Failure(files[index], message)
                    bar.advance(task)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [failures[index] for index in sorted(failures)]

    def _entry(self, pixels: NDArray[np.uint8], settings: Settings, max_boxes: int) -> Path:
        content = hashlib.sha256(repr((pixels.shape, settings, max_boxes)).encode())
        content.update(f"version {ALGORITHM_VERSION}".encode())
        content.update(np.ascontiguousarray(pixels).data)
        name = content.hexdigest()[:32]
        return self.folder / name[:2] / f"{name}.boxes"


def _pool(settings: Settings, workers: int) -> Executor:
    if isinstance(settings, OpenCvSettings) and workers > 1:
        return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    return ThreadPoolExecutor(workers)


def _search_file(folder: Path, path: Path, settings: Settings, max_boxes: int) -> str | None:
    """Search one file into the cache; why not, if its image cannot be read."""
    try:
        pixels = read_image(path)
    except SppdetError as error:
        return str(error)
    ProposalCache(folder).get(pixels, settings, max_boxes)
    return None


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _write_entry(path: Path, boxes: NDArray[np.float32]) -> None:
    """A digest of the boxes, then the boxes: little-endian float32, row by row."""
    payload = np.ascontiguousarray(boxes, "<f4").tobytes()
    with atomic_path(path) as temporary:
        temporary.write_bytes(hashlib.sha256(payload).digest()[:_DIGEST_BYTES] + payload)


def _read_entry(path: Path) -> NDArray[np.float32] | None:
    """The boxes of an entry; None when there is none, or it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if len(payload) % 16 or hashlib.sha256(payload).digest()[:_DIGEST_BYTES] != digest:
        return None
    return np.frombuffer(payload, "<f4").astype(np.float32).reshape(-1, 4)
