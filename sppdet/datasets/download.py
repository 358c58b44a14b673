"""Fetch public data sets: resumable downloads, checksums, unpacking that stays in its folder."""

import hashlib
import shutil
import stat
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sppdet.errors import SppdetError

_CHUNK = 1 << 20

Progress = Callable[[str, int, int | None], None]
"""Called with what is done, the bytes done, and the bytes in all (None: unknown)."""


@dataclass(frozen=True)
class Archive:
    """A file to fetch.

    Attributes:
        url: its official address.
        md5: the checksum that its publisher or torchvision gives.
        only: members to unpack begin with this; "" unpacks everything.
    """

    url: str
    md5: str
    only: str = ""

    @property
    def name(self) -> str:
        """The file name."""
        return self.url.rsplit("/", 1)[1]


@dataclass(frozen=True)
class Source:
    """A data set: its archives, and a file or folder that is there once all are unpacked."""

    archives: tuple[Archive, ...]
    ready: tuple[str, ...]


_VOC = "https://thor.robots.ox.ac.uk/pascal/VOC"
_COCO = "http://images.cocodataset.org"

SOURCES = {
    "voc2007": Source(
        (
            Archive(
                f"{_VOC}/voc2007/VOCtrainval_06-Nov-2007.tar", "c52e279531787c972589f7e41ab4ae64"
            ),
            Archive(f"{_VOC}/voc2007/VOCtest_06-Nov-2007.tar", "b6e924de25625d8de591ea690078ad9f"),
        ),
        ("VOCdevkit/VOC2007",),
    ),
    "voc2012": Source(
        (
            Archive(
                f"{_VOC}/voc2012/VOCtrainval_11-May-2012.tar", "6cd6e144f989b92b3379bac3b3de84fd"
            ),
        ),
        ("VOCdevkit/VOC2012",),
    ),
    "coco-val2017": Source(
        (
            Archive(f"{_COCO}/zips/val2017.zip", "442b8da7639aecaf257c1dceb8ba8c80"),
            Archive(
                f"{_COCO}/annotations/annotations_trainval2017.zip",
                "f4bbac642086de4f52a3fdda2de5fa2c",
                "annotations/instances_val2017",
            ),
        ),
        ("val2017", "annotations/instances_val2017.json"),
    ),
    "cifar10": Source(
        (
            Archive(
                "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                "c58f30108f718f92721af3b95e74349a",
            ),
        ),
        ("cifar-10-batches-py",),
    ),
}


def prepare(source: Source, folder: Path, progress: Progress | None = None) -> list[Path]:
    """Fetch and unpack a data set into ``folder``.

    Archives that are in the folder already, fetched by whatever means, are used. An interrupted
    download goes on where it was. What has been unpacked is not fetched again.

    Returns:
        The files and folders that are ready now.

    Raises:
        SppdetError: an address cannot be reached (the line says what to fetch and where to put it),
            a checksum is wrong, or an archive is damaged or would write outside the folder.
    """
    progress = progress or (lambda *_: None)
    folder.mkdir(parents=True, exist_ok=True)
    for archive in source.archives:
        done = folder / f".{archive.name}.unpacked"
        if done.exists() and all((folder / name).exists() for name in source.ready):
            continue
        file = fetch(archive, source, folder, progress)
        unpack(file, folder, archive.only, progress)
        done.touch()
    return [folder / name for name in source.ready]


def fetch(archive: Archive, source: Source, folder: Path, progress: Progress) -> Path:
    """The archive in ``folder``, downloaded if it is not there; errors as in :func:`prepare`."""
    target, part = folder / archive.name, folder / f"{archive.name}.part"
    if not target.is_file():
        try:
            _download(archive.url, part, progress)
        except (OSError, urllib.error.URLError, ValueError) as error:
            listed = ", ".join(entry.url for entry in source.archives)
            raise SppdetError(
                f"{archive.url}: cannot be fetched ({getattr(error, 'reason', None) or error}); "
                f"fetch {listed} on another machine, put the files into {folder} and run this again"
            ) from None
        found = part
    else:
        found = target
    digest = _md5(found, progress)
    if digest != archive.md5:
        if found == part:
            part.unlink()
        raise SppdetError(
            f"{found}: has the checksum {digest}, not {archive.md5}; "
            f"{'run this again' if found == part else 'remove it and run this again'}"
        )
    found.replace(target)
    return target


def _download(url: str, part: Path, progress: Progress) -> None:
    """Fetch ``url`` to ``part``, going on behind what is there where the server allows it."""
    begun = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "sppdet"})
    if begun:
        request.add_header("Range", f"bytes={begun}-")
    try:
        answer = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        if error.code == 416 and begun:  # nothing is left to fetch
            return
        raise
    with answer:
        if getattr(answer, "status", None) != 206:
            begun = 0
        length = answer.headers.get("Content-Length")
        total = begun + int(length) if length else None
        with part.open("ab" if begun else "wb") as stream:
            while chunk := answer.read(_CHUNK):
                stream.write(chunk)
                begun += len(chunk)
                progress(f"fetching {part.stem}", begun, total)
    if total is not None and begun < total:
        raise OSError(f"the connection ended after {begun} of {total} bytes; run this again")


def _md5(file: Path, progress: Progress) -> str:
    digest, done, total = hashlib.md5(usedforsecurity=False), 0, file.stat().st_size
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            progress(f"checking {file.name.removesuffix('.part')}", done, total)
    return digest.hexdigest()


def unpack(file: Path, folder: Path, only: str, progress: Progress) -> None:
    """Unpack a tar or zip archive; no file is left partly written.

    Raises:
        SppdetError: it is damaged, or holds a link, a device, or a name outside the folder.
    """
    opener = _zip_members if file.suffix == ".zip" else _tar_members
    try:
        for name, is_folder, size, copy in opener(file):
            target = _inside(file, folder, name)
            if not name.startswith(only):
                continue
            if is_folder:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists() and not (target.is_file() and target.stat().st_size == size):
                raise SppdetError(
                    f"{target}: exists, and is not the file of {file.name}; remove it, or choose "
                    "another folder"
                )
            if not target.exists():
                temporary = target.with_name(f".{target.name}.part")
                copy(temporary)
                temporary.replace(target)
            progress(f"unpacking {file.name}", size, None)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise SppdetError(f"{file}: cannot be unpacked ({error})") from None


Member = tuple[str, bool, int, Callable[[Path], None]]


def _tar_members(file: Path) -> Iterator[Member]:
    with tarfile.open(file) as archive:
        for member in archive:
            if not (member.isfile() or member.isdir()):
                raise SppdetError(f"{file}: holds {member.name}, which is a link or a device")

            def copy(target: Path, member: tarfile.TarInfo = member) -> None:
                stream = archive.extractfile(member)
                assert stream is not None
                with stream, target.open("wb") as out:
                    shutil.copyfileobj(stream, out)

            yield member.name, member.isdir(), member.size, copy


def _zip_members(file: Path) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if stat.S_ISLNK(member.external_attr >> 16):
                raise SppdetError(f"{file}: holds {member.filename}, which is a link")

            def copy(target: Path, member: zipfile.ZipInfo = member) -> None:
                with archive.open(member) as stream, target.open("wb") as out:
                    shutil.copyfileobj(stream, out)

            yield member.filename, member.is_dir(), member.file_size, copy


def _inside(file: Path, folder: Path, name: str) -> Path:
    """Where a member goes; a name that leads out of the folder is refused, also through links."""
    parts = PurePosixPath(name.replace("\\", "/"))
    target = folder / parts
    if parts.is_absolute() or ".." in parts.parts or ":" in name:
        raise SppdetError(f"{file}: holds {name!r}, which leads out of the folder")
    if not target.resolve().is_relative_to(folder.resolve()):
        raise SppdetError(f"{file}: {name!r} leads out of the folder through a link in it")
    return target
