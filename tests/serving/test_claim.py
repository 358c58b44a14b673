"""One server at a time labels a folder, whatever is in the caches."""

import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from sppdet.errors import SppdetError
from sppdet.serving.claim import Claim

fcntl = pytest.importorskip("fcntl")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def refused(state: Path, folder: Path) -> str:
    with pytest.raises(SppdetError) as error:
        Claim(state, folder)
    return str(error.value)


def test_caches_do_not_decide(photos: Path, tmp_path: Path) -> None:
    first = Claim(tmp_path / "cache", photos)
    first.tell("http://127.0.0.1:1/")
    known = f"process {os.getpid()} at http://127.0.0.1:1/; open that page, or end it first"
    assert refused(tmp_path / "cache", photos) == f"{photos}: is being labelled by {known}"
    unknown = "another process; open that page, or end it first"
    assert refused(tmp_path / "other", photos) == f"{photos}: is being labelled by {unknown}"
    with pytest.raises(SppdetError, match="train: is being labelled"):
        Claim(tmp_path / "other", photos, photos / "train")
    (tmp_path / "link").symlink_to(photos)
    assert unknown in refused(tmp_path / "other", tmp_path / "link")
    (tmp_path / "cache/server.json").unlink()
    assert unknown in refused(tmp_path / "cache", photos)
    first.end()
    assert list(photos.iterdir()) == []
    second = Claim(tmp_path / "other", photos)
    assert unknown in refused(tmp_path / "cache", photos)
    second.end()
    Claim(tmp_path / "cache", photos).end()


@pytest.mark.parametrize("cache", ["cache", "other"])
def test_a_folder_above_or_inside_is_the_same_folder(
    photos: Path, tmp_path: Path, cache: str
) -> None:
    inner = photos / "train" / "day"
    (photos / "test").mkdir()
    inner.mkdir(parents=True)
    first = Claim(tmp_path / "cache" / "photos", photos)
    first.tell("http://127.0.0.1:1/")
    who = f"process {os.getpid()} at http://127.0.0.1:1/" if cache == "cache" else "another process"
    end = f"by {who}; open that page, or end it first"
    said = refused(tmp_path / cache / "day", inner)
    assert said == f"{inner}: is being labelled as a part of {photos} {end}"
    first.end()

    one = Claim(tmp_path / cache / "day", inner)
    one.tell("http://127.0.0.1:1/")
    said = refused(tmp_path / "cache" / "photos", photos)
    part = f" in part, {inner}," if cache == "cache" else ""
    assert said == f"{photos}: is being labelled{part} {end}"
    beside = Claim(tmp_path / "cache" / "test", photos / "test")  # shares no file with it
    assert "is being labelled" in refused(tmp_path / "cache" / "photos", photos)
    one.end()
    beside.end()
    Claim(tmp_path / "cache" / "photos", photos).end()


def test_what_a_server_with_other_caches_left_is_not_told(photos: Path, tmp_path: Path) -> None:
    gone = Claim(tmp_path / "cache", photos)
    gone.tell("http://127.0.0.1:1/")
    gone.end()
    first = Claim(tmp_path / "other", photos)
    assert "labelled by another process;" in refused(tmp_path / "cache", photos)
    first.end()


def test_a_folder_that_cannot_be_locked_is_claimed_in_the_caches(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock

    def of_files(file: int, operation: int) -> Any:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(9, "Bad file descriptor")  # as NFS says
        return flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", of_files)
    first = Claim(tmp_path / "cache", photos)
    assert re.search(rf"process {os.getpid()};", refused(tmp_path / "cache", photos))
    first.end()
    inner = photos / "train"
    inner.mkdir()
    first = Claim(tmp_path / "cache" / "photos", photos)
    assert f"as a part of {photos} by" in refused(tmp_path / "cache" / "train", inner)
    first.end()
    first = Claim(tmp_path / "cache" / "train", inner)
    assert f"in part, {inner}, by" in refused(tmp_path / "cache" / "photos", photos)
    first.end()
    second = Claim(tmp_path / "cache", photos)
    second.end()


def test_caches_that_cannot_be_written_claim_nothing_else(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    first = Claim(tmp_path / "file", photos)
    first.tell("http://127.0.0.1:1/")
    assert "labelled by another process;" in refused(tmp_path / "file", photos)
    first.end()
