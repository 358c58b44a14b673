"""Names that a user gives, as sources of images in natural order."""

import functools
import glob
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from PIL import Image

from sppdet.errors import SppdetError
from sppdet.images import may_be_image
from sppdet.runtime.names import as_file_name
from sppdet.runtime.outputs import has_mark, made_by_sppdet

Inputs: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""One name or several, see :func:`find_sources`."""

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
"""Suffixes of files that are taken for videos."""

HEIF = (".heic", ".heif")
"""Suffixes of photographs that Pillow reads with the package pillow-heif."""

_URL = re.compile(r"https?://", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """One thing to read images from.

    Attributes:
        kind: "file", "video", "url", "stdin" or "camera".
        name: how the user knows it: a path, a URL, ``-`` or the number of a camera.
        relative: a path with ``/`` after which outputs are named; without parts such as ``..``.
        path: the file; None where there is none.
    """

    kind: Literal["file", "video", "url", "stdin", "camera"]
    name: str
    relative: str
    path: Path | None = None


def find_sources(
    given: Iterable[str | os.PathLike[str]],
    recursive: bool = False,
    avoid: Path | None = None,
) -> tuple[list[Source], list[str]]:
    """The sources behind the names that a user gives.

    ====================================  =========================================================
    name                                  sources
    ====================================  =========================================================
    a file                                itself, an image or a video by its suffix
    a folder                              its images and videos; hidden files, and pictures that
                                          ``sppdet detect`` drew, are left out
    ``photos/*.jpg``, ``**/*.png``        the files and folders that fit, where no file has the name
    ``@list.txt``                         the names in a text file, a line each; empty lines and
                                          those that begin with ``#`` are passed over. A relative
                                          name is looked for here, then beside the list
    ``-``                                 the bytes of an image on the standard input
    ``https://host/photo.jpg``            the image at this address
    ``0``, ``1``, ...                     the camera of this number
    ====================================  =========================================================

    What is found by a folder or a pattern stands in natural order (2.jpg before 10.jpg). A file
    that is found twice is read once.

    Args:
        given: names.
        recursive: look in the folders of folders too.
        avoid: a folder, such as that of the outputs, which is not looked into.

    Returns:
        The sources, and a line for each name that leads to none.
    """
    know_heif()
    found: dict[object, Source] = {}
    problems: list[str] = []
    for name in given:
        try:
            own = list(_sources(os.fspath(name), recursive, avoid, listed=False))
            if not own:
                raise SppdetError(f"{name}: leads to no images but outputs of sppdet")
            for source in own:
                key = os.path.abspath(source.path) if source.path else (source.kind, source.name)
                found.setdefault(key, source)
        except SppdetError as error:
            problems.append(str(error))
    return list(found.values()), problems


def natural_key(text: str) -> tuple[object, ...]:
    """A key by which ``sorted`` puts names in natural order, folder by folder.

    Examples:
        >>> sorted(["b10.jpg", "b9.jpg", "a/2.jpg"], key=natural_key)
        ['a/2.jpg', 'b9.jpg', 'b10.jpg']
    """
    parts = []
    for part in text.split("/"):
        words = re.split("([0-9]+)", part.casefold())
        parts.append(tuple(int(w) if k % 2 else w for k, w in enumerate(words)))
    return (*parts, (text,))


@functools.cache
def know_heif() -> None:
    """Let Pillow read HEIC where the package pillow-heif is installed."""
    with suppress(ImportError):
        import_module("pillow_heif").register_heif_opener()


def _sources(name: str, recursive: bool, avoid: Path | None, listed: bool) -> Iterator[Source]:
    if _URL.match(name):
        last = unquote(urlsplit(name).path).rstrip("/").rpartition("/")[2]
        yield Source("url", name, as_file_name(last or urlsplit(name).netloc) or "url")
        return
    path = Path(name)
    if name == "-" and not listed:
        yield Source("stdin", "-", "stdin")
    elif path.is_dir():
        inside = list(_in_folder(path, recursive, avoid))
        if not inside:
            more = "" if recursive else "; --recursive looks in its folders"
            has_folders = any(entry.is_dir() for entry in path.iterdir())
            raise SppdetError(f"{name}: holds no images{more if has_folders else ''}")
        yield from inside
    elif os.path.lexists(path):
        yield _file(path, path.name)
    elif name.startswith("@") and not listed:
        yield from _in_list(Path(name[1:]), recursive, avoid)
    elif glob.has_magic(name):
        matches = sorted(glob.glob(name, recursive=True), key=_key_of_path)
        if not _is_under(_fixed_part(name), avoid):  # else the pattern means this folder itself
            matches = [match for match in matches if not _is_under(Path(match), avoid)]
        if not matches:
            raise SppdetError(f"{name}: no file fits this pattern")
        for match in matches:
            if os.path.isdir(match):
                yield from _in_folder(Path(match), recursive, avoid)
            elif not _is_output(Path(match)):
                yield _file(Path(match), Path(match).name)
    elif name.isdecimal() and not listed:
        yield Source("camera", name, f"camera{name}")
    else:
        yield _file(path, path.name)  # it does not exist: a failure when it is read


def _file(path: Path, relative: str) -> Source:
    kind: Literal["video", "file"] = "video" if path.suffix.lower() in VIDEOS else "file"
    return Source(kind, str(path), relative, path)


def _in_list(file: Path, recursive: bool, avoid: Path | None) -> Iterator[Source]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text file in UTF-8"
        raise SppdetError(f"@{file}: cannot be read ({reason})") from None
    names = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    if not names:
        raise SppdetError(f"@{file}: lists no images")
    for name in names:
        beside = file.parent / name
        if not _URL.match(name) and not os.path.lexists(name) and os.path.lexists(beside):
            name = str(beside)
        yield from _sources(name, recursive, avoid, listed=True)


def _in_folder(folder: Path, recursive: bool, avoid: Path | None) -> Iterator[Source]:
    """Images and videos in natural order; folders are walked into once, also through links."""
    found: list[tuple[str, Path]] = []
    seen: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen or (Path(place) != folder and _is_under(Path(place), avoid)):
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        here = Path(place)
        inner = here.relative_to(folder).as_posix()  # "." for the folder itself
        start = "" if inner == "." else f"{inner}/"
        found += [(f"{start}{name}", here / name) for name in files if not name.startswith(".")]
    for relative, path in sorted(found, key=lambda one: natural_key(one[0])):
        if path.is_file() and _is_wanted(path) and not _is_output(path):
            yield _file(path, relative)


def _is_wanted(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in VIDEOS or may_be_image(path):
        return True
    return suffix in (*HEIF, ".avif") and (suffix in HEIF or ".avif" in _extensions())


@functools.cache
def _extensions() -> frozenset[str]:
    return frozenset(Image.registered_extensions())


def _is_under(path: Path, folder: Path | None) -> bool:
    if folder is None:
        return False
    real = Path(os.path.realpath(folder))
    return real in (Path(os.path.realpath(path)), *Path(os.path.realpath(path)).parents)


def _is_output(path: Path) -> bool:
    """Whether ``sppdet detect`` wrote this picture or video: its JSON then lies beside it."""
    with suppress(OSError):
        if path.suffix.lower() in VIDEOS:
            lines = path.with_suffix(".jsonl")
            return lines.is_file() and made_by_sppdet(lines)
        return has_mark(path) and path.with_suffix(".json").is_file()
    return False


def _fixed_part(pattern: str) -> Path:
    """The folder in which a pattern searches."""
    return Path(*itertools.takewhile(lambda part: not glob.has_magic(part), Path(pattern).parts))


def _key_of_path(path: str) -> tuple[object, ...]:
    return natural_key(Path(path).as_posix())
