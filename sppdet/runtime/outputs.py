"""Outputs of commands: no command writes over a file that sppdet did not make.

A file is known as one of sppdet's by what is in it: the metadata of a model, a mark in a picture or
a page, the keys of a JSON object. Text lists, CSV and JSON lists have no place for a mark; the
digests of those that were written stand in a record in the user's folder for states.
"""

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import platformdirs

from sppdet.errors import SppdetError
from sppdet.runtime.files import atomic_path, is_stream, remove_leftovers

MARK = "Made by sppdet"
"""Stands near the beginning of the pictures, pages and summaries that sppdet writes."""

_HEADS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"<!doctype html>", MARK.encode())
"""How a file begins that may have the mark: JPEG, PNG, a page, a text whose first word it is."""

_KEYS = (
    {"image", "width", "height", "detections", "seconds"},
    {"map_11", "map_area", "classes"},
    {"method", "numbers", "recall", "mean_best_overlap"},
    {"path", "format", "split", "images", "problem_kinds"},
    {"rows", "rcnn_milliseconds_per_crop", "machine"},
    {"top1", "top5", "loss", "checkpoint", "sizes"},
    {"classes", "thresholds", "trunk", "features"},
    {"number", "train_loss", "train_accuracy", "test_loss", "seconds"},
    {"images", "failed", "detections", "photographs_per_second"},
    {"path", "labels", "kinds", "suspects"},
    {"model", "load_seconds", "first_seconds", "compiled"},
    {"written", "format", "parts", "notes"},
    {"data_set", "folders"},
    {"cache", "proposals", "regions", "classification"},
    {"image", "width", "height", "explanations"},
    {"example", "box", "trunk", "regions"},
    {"detectors", "best_alone", "together_against_best"},
    {"shard", "images", "setting"},
    {"merged_images", "shards", "parts", "setting"},
)
"""Keys that stand together in the JSON of detect, of evaluate (two kinds), of data check, of
benchmark, of classify test, of info, of a run's history, of the summary of detect, of data
suspects, of warm-up, of convert and split, of prepare-data, of cache, of explain, of find, of
ensemble, of shards and of merge-results."""

_HEAD_BYTES = 4096
_LARGEST_JSON = 1 << 28
_LARGEST_RECORD = 100_000


def check_outputs(outputs: Iterable[Path | None], inputs: Iterable[Path | str | None] = ()) -> None:
    """Refuse outputs that cannot or must not be written, before any work is done.

    Leftovers of killed runs in the outputs' folders are removed.

    Args:
        outputs: the files that the command is going to write; None is passed over.
        inputs: the files that it reads; None is passed over.

    Raises:
        SppdetError: an output is an input, is named twice, is a folder, exists and was not made by
            sppdet, or its folder cannot be written.
    """
    read = {_identity(os.fspath(path)) for path in inputs if path is not None}
    written: set[object] = set()
    folders: dict[str, _Folder] = {}
    places: dict[str, Path] = {}
    for output in outputs:
        if output is None:
            continue
        where, name = os.path.split(output)
        folder = folders.get(where) or folders.setdefault(where, _Folder(where))
        status = folder.status(name)
        odd = status is not None and not (stat.S_ISREG(status.st_mode) or _is_dir(status))
        if (odd or where.startswith(("/dev", "/proc"))) and is_stream(output):
            continue
        if status is not None and _is_dir(status):
            raise SppdetError(f"{output}: is a folder; name the file to write")
        place = folder.place(name)
        key = (status.st_dev, status.st_ino) if status is not None else os.path.normcase(place)
        if key in read:
            raise SppdetError(f"{output}: is an input of this command; choose another output")
        if key in written:
            raise SppdetError(f"{output}: is named for two outputs; choose another name for one")
        written.add(key)
        if status is not None and not made_by_sppdet(output):
            raise SppdetError(
                f"{output}: exists, and sppdet did not make it; choose another name, or remove it"
            )
        places[place] = output
    for inner in {os.path.dirname(place) for place in places}:
        for above in (inner, *map(str, Path(inner).parents)):
            if above in places:
                within = next(one for place, one in places.items() if place.startswith(inner))
                raise SppdetError(f"{within}: lies in another output; choose another name for one")
        _check_folder(Path(inner))
        remove_leftovers(Path(inner))


def keep_apart(folder: Path | None, images: Iterable[Path], option: str) -> None:
    """Refuse a folder for outputs that holds the images of the command.

    What is written beside photographs is read as a part of their data set afterwards: a picture as
    a photograph without objects, and detections as its labels.

    Args:
        folder: the folder for outputs; None is passed over.
        images: the images that the command reads, or their folders.
        option: the option that names the folder, for the message.

    Raises:
        SppdetError: an image lies directly in the folder, or the folder is one of ``images``.
    """
    if folder is None:
        return
    place = _identity(os.fspath(folder))
    above = {os.path.dirname(path) or "." for path in map(os.fspath, images)}
    named = {os.fspath(path) for path in images if os.path.isdir(path)}
    if any(_identity(path) == place for path in above | named):
        raise SppdetError(f"{folder}: holds the images; choose another folder as {option}")


class _Folder:
    """A folder of outputs, of which there may be many: it is resolved and listed once."""

    def __init__(self, where: str) -> None:
        self.where, self.real = where, os.path.realpath(where)
        self._there = True
        self._names: set[str] | None = None
        try:
            self._names = set(os.listdir(where or "."))
        except (FileNotFoundError, NotADirectoryError):
            self._there = False
        except OSError:  # it can be entered, perhaps, but not listed
            pass

    def status(self, name: str) -> os.stat_result | None:
        """Of the file, or of what a link leads to; None when there is none."""
        if not self._there:
            return None
        try:
            return os.stat(os.path.join(self.where, name))
        except OSError:
            return None

    def place(self, name: str) -> str:
        """The file that is written in the end, through links."""
        path = os.path.join(self.real, name)
        known = self._there and (self._names is None or name in self._names)
        return os.path.realpath(path) if known else path


def _is_dir(status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode)


def made_by_sppdet(path: Path) -> bool:
    """Whether sppdet wrote this file, as far as the file and the record tell; an empty one too."""
    try:
        if path.stat().st_size == 0:
            return True
        if has_mark(path) or _is_model(path) or _has_keys(path):
            return True
        return _digest(path) in _recorded()
    except OSError:
        return False


def has_mark(path: Path) -> bool:
    """Whether a picture, a page or a text begins with the mark of sppdet.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return head.startswith(_HEADS) and MARK.encode() in head


@contextmanager
def recorded_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """:func:`sppdet.runtime.files.atomic_path` for files that cannot have a mark."""
    with atomic_path(path) as temporary:
        yield temporary
        digest = _digest(temporary)
    _record(digest)


def write_recorded(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` as UTF-8, with its own line ends, through :func:`recorded_path`."""
    with recorded_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def _identity(path: str) -> object:
    """Equal for two names of one file, through links and on file systems that ignore case."""
    try:
        status = os.stat(path)
    except OSError:
        return os.path.normcase(os.path.realpath(path))
    return status.st_dev, status.st_ino


def _check_folder(folder: Path) -> None:
    """Raise where ``folder``, or the nearest folder above that exists, cannot be written."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        if not there.is_dir():
            raise NotADirectoryError(20, f"{there} is not a folder")
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise SppdetError(
            f"{folder}: cannot be written ({error.strerror or error}); choose another place"
        ) from None


def _is_model(path: Path) -> bool:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > min(path.stat().st_size, 100_000_000):
            return False
        content = _parsed(file.read(size))
    metadata = content.get("__metadata__") if isinstance(content, dict) else None
    if not isinstance(metadata, dict):
        return False
    return "sppdet" in metadata or str(metadata.get("format")).startswith("sppdet-")


def _has_keys(path: Path) -> bool:
    if path.suffix.lower() != ".json" or path.stat().st_size > _LARGEST_JSON:
        return False
    content = _parsed(path.read_bytes())
    candidates = [content]
    if isinstance(content, dict):
        candidates += list(content.values())[:1]  # data check of several splits
    elif isinstance(content, list):
        candidates += content[:1]  # a history
    return any(isinstance(one, dict) and keys <= one.keys() for one in candidates for keys in _KEYS)


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):  # a video may be larger than the memory
            digest.update(part)
    return digest.hexdigest()


def _record_file() -> Path:
    chosen = os.environ.get("SPPDET_CACHE")
    folder = Path(chosen) if chosen else platformdirs.user_state_path("sppdet", appauthor=False)
    return folder / "outputs.txt"


def _recorded() -> set[str]:
    try:
        return set(_record_file().read_text("ascii").split())
    except (OSError, ValueError):
        return set()


def _record(digest: str) -> None:
    """Add a digest; the older half of a long record is dropped. A full disk loses only this."""
    file = _record_file()
    with suppress(OSError, ValueError, SppdetError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="ascii") as record:
            record.write(f"{digest}\n")
        if file.stat().st_size > 65 * _LARGEST_RECORD:
            lines = file.read_text("ascii").splitlines(keepends=True)
            with atomic_path(file) as temporary:
                temporary.write_text("".join(lines[len(lines) // 2 :]), encoding="ascii")
