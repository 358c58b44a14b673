import os
from pathlib import Path

import platformdirs
import pytest

from sppdet.cli import main
from sppdet.runtime.cache import DiskCache, cache_dir, without_cache
from sppdet.runtime.files import atomic_path


def cache(folder: Path, limit: int = 1 << 20) -> DiskCache:
    return DiskCache(folder / "c", ".boxes", limit)


def names(one: DiskCache) -> list[str]:
    return sorted(path.stem for path, _, _ in one.entries())


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPPDET_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.delenv("SPPDET_CACHE")
    assert cache_dir() == platformdirs.user_cache_path("sppdet", appauthor=False)
    with without_cache():
        inner = cache_dir()
        cache(inner).write("a", b"content")
        assert inner.is_dir()
    assert not inner.exists()


def test_what_is_written_is_read_and_counted(tmp_path: Path) -> None:
    one = cache(tmp_path)
    assert one.read("ab/abc") is None
    assert one.write("ab/abc", b"content") == tmp_path / "c" / "ab" / "abc.boxes"
    assert one.read("ab/abc") == b"content"
    assert (one.found, one.made) == (1, 1)
    assert cache(tmp_path).read("ab/abc") == b"content"


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-1], lambda c: c[:5], lambda c: b"", lambda c: c[:-1] + b"x"]
)
def test_a_damaged_entry_is_none(tmp_path: Path, damage) -> None:
    path = cache(tmp_path).write("a", b"content")
    assert path is not None
    path.write_bytes(damage(path.read_bytes()))
    assert cache(tmp_path).read("a") is None


def test_the_oldest_go_when_it_is_full(tmp_path: Path) -> None:
    """Those that were not used for longest; entries of this run and other files stay."""
    for number in range(5):
        path = cache(tmp_path).write(f"{number}", bytes(84))
        assert path is not None
        os.utime(path, (1e9 + number, 1e9 + number))
    (tmp_path / "c" / "foreign.txt").write_text("x")
    assert cache(tmp_path).read("0") is not None  # used just now
    one = cache(tmp_path, 500)
    first = tmp_path / "c" / "1.boxes"
    one.write("new", bytes(84), keep={first})
    assert names(one) == ["0", "1", "4", "new"]
    for number in range(20):
        one.write(f"more {number}", bytes(84))
        assert sum(size for _, _, size in one.entries()) <= 500
    assert (tmp_path / "c" / "foreign.txt").exists()


def test_leftovers_of_killed_runs_go(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "c" / "a.boxes") as temporary:
        left = temporary.with_name(temporary.name.replace(f"-{os.getpid()}-", "-4194305-"))
        left.touch()
        temporary.write_bytes(b"")
    assert left.exists()
    cache(tmp_path).write("b", b"content")
    assert not left.exists()


@pytest.mark.parametrize("place", ["file", "/dev/full", "/proc/none"])
def test_a_folder_that_cannot_be_written_is_said(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    one = cache(tmp_path / place)
    assert one.write("a", b"content") is None
    assert one.read("a") is None
    assert "SPPDET_CACHE" in one.summary("things")[1]


def test_old_entries_go(tmp_path: Path) -> None:
    for name, age in (("old", 20), ("new", 1)):
        path = cache(tmp_path).write(name, b"content")
        assert path is not None
        time = path.stat().st_mtime - age * 86_400
        os.utime(path, (time, time))
    cache(tmp_path).remove_older(14)
    assert names(cache(tmp_path)) == ["new"]


def said(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        main(words.split())
    assert not stop.value.code
    return capsys.readouterr().out


def test_info_and_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPPDET_CACHE", str(tmp_path))
    assert "SPPDET_CACHE" in said("cache info", capsys)
    DiskCache(tmp_path / "proposals", ".boxes", 1 << 20).write("ab/abc", bytes(2_000_000))
    DiskCache(tmp_path / "proposals", ".boxes", 1 << 20).write("ab/abd", bytes(2_000_000))
    (tmp_path / "proposals" / "mine.txt").touch()
    (tmp_path / "mine.boxes").touch()
    assert "1 files         2.0 MB" in said("cache info", capsys)
    assert "proposals: 1 file removed, 2.0 MB" in said("cache clear", capsys)
    assert "0 files         0.0 MB" in said("cache info", capsys)
    left = sorted(path.name for path in tmp_path.rglob("*"))
    assert left == ["mine.boxes", "mine.txt", "proposals"]
