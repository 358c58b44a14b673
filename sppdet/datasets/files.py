"""The files of a data set's folder: regular files, nothing hidden, links followed, no loops."""

import json
import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sppdet.datasets.names import LABEL_FOLDERS, MASKS, ROLES, SPLIT, is_hidden, meant
from sppdet.errors import SppdetError
from sppdet.images import SUFFIXES

DEPTH = 8
"""Folders below a data set's folder that are looked into."""


class Tree:
    """A path that a user gave, and the files below it.

    Attributes:
        path: as it was given.
        file: the path, when it is a file.
        root: the folder of the data set: the path, or the folder of the file.
        files: every regular file below the root, sorted; links are followed, folders that contain
            themselves are not entered twice.
        images: those with the suffix of an image that are not masks and lie below ``scope``.
        scope: the path; files outside are only used for their annotations.
        notes: what was decided on the way, a line each.
        index: the images as :mod:`sppdet.datasets.pairing` looks them up, once it has.
        by_name: the images by stem, once :mod:`sppdet.datasets.pairing` has looked for one.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Walk the folder.

        Raises:
            SppdetError: there is no such path, or it is neither a file nor a folder.
        """
        self.path = Path(path)
        mode = _mode(self.path)
        self.file = self.path if stat.S_ISREG(mode) else None
        self.notes: list[str] = []
        self.index: Any = None
        self.by_name: defaultdict[str, list[Path]] = defaultdict(list)
        self.scope = self.path
        root = self.path
        if self.file is not None:
            root = self.scope = self.path.parent
            if _name(root) in ROLES and not _has_images(root):
                root = self.scope = up(root)
        self.root = root
        self.files = sorted(_walk(root, DEPTH, ()))
        suffixes = {file.suffix.casefold() for file in self.files}
        if self.file is None and not suffixes & {".xml", ".txt", ".json", ".csv", ".yaml", ".yml"}:
            wider = _wider(root)
            if wider is not None:
                self.root = wider
                self.files = sorted(_walk(wider, DEPTH, ()))
        self._by_suffix: defaultdict[str, list[Path]] = defaultdict(list)
        for file in self.files:
            self._by_suffix[file.suffix.casefold()].append(file)
        below = len(self.scope.parts)
        self.images = [
            file
            for file in self.files
            if file.suffix.casefold() in SUFFIXES
            and file.parts[:below] == self.scope.parts
            and not {part.casefold() for part in self.folders(file)} & MASKS
        ]

    def having(self, *suffixes: str, beside: bool = False) -> list[Path]:
        """The files with one of these suffixes, in lower case.

        Where a file was given it is that one alone, if it fits; with ``beside``, which is for a
        file that describes others, the files beside it too.
        """
        if self.file is not None and not beside:
            return [self.file] if self.file.suffix.casefold() in suffixes else []
        return sorted(file for suffix in suffixes for file in self._by_suffix[suffix])

    def folders(self, file: Path) -> tuple[str, ...]:
        """The names of the folders between the root and a file."""
        return file.parts[len(self.root.parts) : -1]

    def shown(self, file: Path) -> str:
        """A path below the root, as messages name it."""
        return "/".join((*self.folders(file), file.name))


def up(path: Path) -> Path:
    """The folder above, also of a path such as ``.``."""
    return path.parent if path.name not in ("", "..") else Path(os.path.abspath(path)).parent


def _name(path: Path) -> str:
    return Path(os.path.abspath(path)).name.casefold()


def _has_images(folder: Path) -> bool:
    return any(Path(entry).suffix.casefold() in SUFFIXES for entry in os.listdir(folder))


def _wider(root: Path) -> Path | None:
    """The data set's folder, when ``root`` is its folder of images: DATA/images[/SPLIT].

    It has a folder of labels beside that of the images.
    """
    images = root if _name(root) in ROLES else up(root)
    if _name(images) not in ROLES or not (images == root or SPLIT.fullmatch(_name(root))):
        return None
    try:
        beside = [entry for entry in up(images).iterdir() if meant(entry.name) in LABEL_FOLDERS]
    except OSError:
        return None
    return up(images) if any(entry.is_dir() for entry in beside) else None


def _mode(path: Path) -> int:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise SppdetError(f"{path}: no such file or folder") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SppdetError(f"{path}: cannot be read ({reason})") from None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise SppdetError(f"{path}: is neither a file nor a folder")
    return mode


def _walk(folder: Path, depth: int, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    try:
        facts = folder.stat()
        identity = (facts.st_dev, facts.st_ino)
        if identity in above:
            return
        with os.scandir(folder) as listed:
            entries = [entry for entry in listed if not is_hidden(entry.name)]
    except OSError as error:
        raise SppdetError(f"{folder}: cannot be read ({error.strerror or error})") from None
    for entry in entries:
        try:
            is_file, is_folder = entry.is_file(), entry.is_dir()
        except OSError:  # a link that leads to itself
            continue
        if is_file:
            yield folder / entry.name
        elif is_folder and depth > 0:
            yield from _walk(folder / entry.name, depth - 1, (*above, identity))


def read_bytes(file: Path) -> bytes:
    """The content of a regular file; a FIFO or a device is never opened.

    Raises:
        SppdetError: it cannot be read.
    """
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise SppdetError(f"{file}: is not a regular file")
        return file.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SppdetError(f"{file}: cannot be read ({reason})") from None


def read_text(file: Path) -> str:
    """The text of a file: UTF-8, UTF-16 with its mark, and Windows-1252 where neither fits.

    Raises:
        SppdetError: it cannot be read.
    """
    content = read_bytes(file)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def parse_json(file: Path) -> Any:
    """The content of a JSON file.

    Raises:
        SppdetError: it cannot be read, or is not JSON.
    """
    content = read_bytes(file)
    try:
        return json.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as error:
        raise SppdetError(f"{file}: is not readable JSON ({error})") from None
