import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from sppdet.drawing import save_picture
from sppdet.errors import SppdetError
from sppdet.runtime.files import atomic_path, remove_leftovers, write_text
from sppdet.runtime.outputs import (
    MARK,
    check_outputs,
    made_by_sppdet,
    recorded_path,
    write_recorded,
)
from sppdet.runtime.tensor_files import save_tensors

EVALUATION = {"map_11": 1, "map_area": 1, "classes": {}}
TENSORS = {"a": torch.zeros(2)}
PIXELS = np.zeros((8, 9, 3), np.uint8)
NOT_OURS = {
    "photo.jpg": b"\xff\xd8\xff\xe0 a photograph",
    "notes.txt": b"notes on files that were " + MARK.encode(),
    "list.json": b'[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}]',
    "package.json": b'{"name": "mine"}',
    "deep.json": b"[" * 100_000,
    "binary": bytes(range(256)) * 20,
    "short": b"x",
    "a.csv": b"class,truths\n",
    "weights.safetensors": safetensors.torch.save({"a": torch.zeros(2)}),
}


@pytest.mark.parametrize("name", NOT_OURS)
def test_a_file_of_somebody_else_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(NOT_OURS[name])
    assert not made_by_sppdet(path)
    with pytest.raises(SppdetError, match=r"exists, and sppdet did not make it"):
        check_outputs([path])
    assert path.read_bytes() == NOT_OURS[name]


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.jpg", lambda path: save_picture(PIXELS, path)),
        ("a.png", lambda path: save_picture(PIXELS, path)),
        ("a.webp", lambda path: save_picture(PIXELS, path)),
        ("a.csv", lambda path: write_recorded(path, "a,b\n")),
        ("a.txt", lambda path: write_text(path, f"{MARK}: layers\n")),
        (
            "a.json",
            lambda path: write_text(path, json.dumps(EVALUATION)),
        ),
        (
            "a.safetensors",
            lambda path: safetensors.torch.save_file(TENSORS, path, {"sppdet": ""}),
        ),
        ("empty", lambda path: path.touch()),
    ],
)
def test_own_files_may_be_written_again(name: str, write, tmp_path: Path) -> None:
    path = tmp_path / name
    write(path)
    check_outputs([path])
    if name in ("a.csv", "a.webp"):  # known by their content only: an edited one is not ours
        path.write_bytes(path.read_bytes() + b" ")
        assert not made_by_sppdet(path)


@pytest.mark.parametrize("kind", ["same", "link", "hard link", "dots"])
def test_an_input_is_not_an_output(kind: str, tmp_path: Path) -> None:
    source = tmp_path / "results.json"
    write_recorded(source, "[]")
    output = tmp_path / "other.json"
    if kind == "link":
        output.symlink_to(source)
    elif kind == "hard link":
        os.link(source, output)
    elif kind == "dots":
        output = tmp_path / "x" / ".." / "results.json"
        (tmp_path / "x").mkdir()
    else:
        output = source
    with pytest.raises(SppdetError, match="is an input"):
        check_outputs([output], [None, source])


def test_two_outputs_have_two_names(tmp_path: Path) -> None:
    with pytest.raises(SppdetError, match="two outputs"):
        check_outputs([tmp_path / "a", None, tmp_path / "b" / ".." / "a"])


def test_a_folder_is_no_output(tmp_path: Path) -> None:
    with pytest.raises(SppdetError, match="is a folder"):
        check_outputs([tmp_path])


@pytest.mark.parametrize("name", ["file/a.json", "file/b/a.json", "/proc/nowhere/a.json"])
def test_a_folder_that_cannot_be_written_is_found_before_the_work(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SppdetError, match="cannot be written"):
        check_outputs([tmp_path / name])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_nothing_is_made_by_the_check(tmp_path: Path) -> None:
    check_outputs([tmp_path / "new" / "a.json"])
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for old in ("old", None):
        real, link = tmp_path / "elsewhere" / f"{old}.txt", tmp_path / f"link {old}.txt"
        if old:
            real.write_text(old)
        link.symlink_to(real)
        write_text(link, "new")
        assert link.is_symlink()
        assert real.read_text() == "new"
    assert sorted(path.name for path in real.parent.iterdir()) == ["None.txt", "old.txt"]


def test_a_link_to_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(NOT_OURS["photo.jpg"])
    (tmp_path / "link.jpg").symlink_to(tmp_path / "photo.jpg")
    with pytest.raises(SppdetError, match=r"link\.jpg"):
        check_outputs([tmp_path / "link.jpg"])


def test_the_standard_output_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    check_outputs([Path("/dev/stdout"), Path("/dev/null")])
    write_text("/dev/stdout", "content\n")
    write_text("/dev/null", "content\n")
    assert capfd.readouterr().out == "content\n"
    assert Path("/dev/null").is_char_device()


def test_a_full_device_is_one_line_and_stays() -> None:
    with pytest.raises(SppdetError, match=r"/dev/full: cannot be written .No space left"):
        write_text("/dev/full", "content")
    assert Path("/dev/full").is_char_device()


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SppdetError, match="is a pipe"):
        check_outputs([tmp_path / "pipe"])
    with pytest.raises(SppdetError, match="is a pipe"):
        write_text(tmp_path / "pipe", "x")


def test_leftovers_of_killed_runs_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "model.safetensors") as living:
        dead = tmp_path / living.name.replace(f"-{os.getpid()}-", "-4194305-")
        other = tmp_path / living.name.replace(".sppdet-", ".sppdet-").replace(
            living.name.split(".sppdet-")[1][:6], "000000"
        )
        old = tmp_path / other.name.replace("-000000-", "-000001-")
        for path in (dead, other, old):
            path.touch()
        os.utime(old, (0, 0))
        assert remove_leftovers(tmp_path) == 2
        assert living.exists()
        assert other.exists()
        living.write_text("x")


def test_a_name_of_255_bytes(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 125 + ".json")
    write_text(path, "x")
    assert path.read_text() == "x"


def write_tensors(path: Path, text: str) -> None:
    """safetensors puts a private file in the place of the one that it is given."""
    save_tensors(path, {"a": torch.zeros(1)}, {"text": text})


@pytest.mark.parametrize("write", [write_text, write_tensors])
def test_the_mode_is_that_of_the_umask_or_of_the_old_file(
    write: Callable[[Path, str], None], tmp_path: Path
) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "a", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
    (tmp_path / "a").chmod(0o604)
    write(tmp_path / "a", "y")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o604


def test_a_record_that_cannot_be_written_loses_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPPDET_CACHE", str(tmp_path / "file"))
    with recorded_path(tmp_path / "a.csv") as path:
        path.write_text("a")
    assert (tmp_path / "a.csv").read_text() == "a"
    assert not made_by_sppdet(tmp_path / "a.csv")


def test_the_record_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPPDET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("sppdet.runtime.outputs._LARGEST_RECORD", 10)
    for number in range(30):
        write_recorded(tmp_path / f"{number}.csv", str(number))
    assert len((tmp_path / "cache" / "outputs.txt").read_text().split()) <= 11
    assert made_by_sppdet(tmp_path / "29.csv")
    assert not made_by_sppdet(tmp_path / "0.csv")


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.json"])
def test_a_picture_has_a_known_suffix(name: str, tmp_path: Path) -> None:
    with pytest.raises(SppdetError, match="suffix"):
        save_picture(PIXELS, tmp_path / name)


@pytest.mark.parametrize("there", [False, True])
def test_many_outputs_are_checked_soon(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files for each of 2,000 photographs: what is slow is done once for their folder."""
    names = [f"{number:05}.{suffix}" for number in range(2000) for suffix in ("jpg", "json")]
    if there:
        (tmp_path / "out").mkdir()
    resolved: list[object] = []
    real = os.path.realpath

    def counted(path: object, **options: object) -> str:
        resolved.append(path)
        return real(path, **options)

    monkeypatch.setattr("os.path.realpath", counted)
    check_outputs((tmp_path / "out" / name for name in names), [tmp_path / "photo.jpg"])
    assert len(resolved) < 10


def test_links_in_folders_of_outputs(tmp_path: Path) -> None:
    """Two names of one file, through a linked folder and through a link that leads nowhere yet."""
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").symlink_to("real")
    with pytest.raises(SppdetError, match="is named for two outputs"):
        check_outputs([tmp_path / "real" / "a", tmp_path / "linked" / "a"])
    (tmp_path / "real" / "link").symlink_to("b")
    with pytest.raises(SppdetError, match="is named for two outputs"):
        check_outputs([tmp_path / "real" / "link", tmp_path / "real" / "b"])


def test_a_folder_that_cannot_be_listed_is_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff the user's")

    def locked(*_: object) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.listdir", locked)
    with pytest.raises(SppdetError, match="sppdet did not make it"):
        check_outputs([tmp_path / "photo.jpg"])


def test_an_output_in_another_output(tmp_path: Path) -> None:
    with pytest.raises(SppdetError, match="c: lies in another output"):
        check_outputs([tmp_path / "a", tmp_path / "a" / "b" / "c"])
