import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sppdet.errors import SppdetError
from sppdet.runtime.files import (
    atomic_folder,
    atomic_path,
    atomic_paths,
    remove_leftovers,
    write_text,
)


def test_the_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.json"
    with atomic_path(target) as temporary:
        assert temporary.suffix == ".json"
        temporary.write_text("half")
        assert not target.exists()
    assert target.read_text() == "half"
    assert [path.name for path in target.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
def test_a_failure_leaves_the_old_file_and_no_litter(tmp_path: Path, failure: type) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with pytest.raises(failure), atomic_path(target) as temporary:
        temporary.write_text("new")
        raise failure
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    target = tmp_path / "a.txt"
    with pytest.raises(SppdetError, match=r"a\.txt: cannot be written \(No space left") as caught:
        with atomic_path(target), full.open("w") as disk:
            disk.write("x")
            disk.flush()
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SppdetError, match="cannot be written"):
        write_text(tmp_path / "file" / "a.txt", "x")


def write_pair(folder: Path, text: str) -> None:
    with atomic_paths(folder / "a.jpg", folder / "a.json") as (first, second):
        first.write_text(text)
        second.write_text(text)


def test_files_that_belong_together_appear_together(tmp_path: Path) -> None:
    write_pair(tmp_path, "old")
    with pytest.raises(ValueError, match="in between"):
        with atomic_paths(tmp_path / "a.jpg", tmp_path / "a.json") as (first, _):
            first.write_text("new")
            raise ValueError("in between")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a.jpg": "old",
        "a.json": "old",
    }


@pytest.mark.parametrize("renames", [0, 1])
def test_a_kill_between_two_renames_leaves_no_pair_of_two_runs(
    renames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pair(tmp_path, "old")
    done = []
    rename = Path.replace

    def dies(self: Path, target: Path) -> Path:
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(target)
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        write_pair(tmp_path, "new")
    assert not (tmp_path / "a.json").exists()
    assert (tmp_path / "a.jpg").read_text() == ("new" if renames else "old")


def test_two_writers_of_one_pair(tmp_path: Path) -> None:
    """Whoever is last, both files are his."""

    def write(text: str) -> None:
        for _ in range(200):
            write_pair(tmp_path, text)

    writers = [threading.Thread(target=write, args=(text,)) for text in ("one", "two")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert (tmp_path / "a.jpg").read_text() == (tmp_path / "a.json").read_text()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_appears_whole(there: bool, tmp_path: Path) -> None:
    target = tmp_path / "new.set"
    if there:
        target.mkdir()
    with pytest.raises(ValueError, match="half"), atomic_folder(target) as folder:
        (folder / "half").touch()
        raise ValueError("half")
    assert target.exists() == there
    with atomic_folder(target) as folder:
        (folder / "inner").mkdir()
        write_text(folder / "inner" / "a.txt", "whole")
        assert not (target / "inner").exists()
    assert (target / "inner" / "a.txt").read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_names_the_folder_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(SppdetError) as caught, atomic_folder(tmp_path / "set") as folder:
        (folder / "file").touch()
        write_text(folder / "file" / "a.txt", "x")
    assert str(caught.value).startswith(f"{tmp_path / 'set' / 'file' / 'a.txt'}: cannot be written")


def test_the_folder_of_a_killed_run_is_removed(tmp_path: Path) -> None:
    code = "import os, sys\nfrom sppdet.runtime.files import atomic_folder\n"
    code += (
        "with atomic_folder(sys.argv[1]) as folder:\n    (folder / 'a').touch()\n    os._exit(9)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    subprocess.run([sys.executable, "-c", code, tmp_path / "set"], env=environment, check=False)
    assert len(list(tmp_path.iterdir())) == 1
    assert remove_leftovers(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []
