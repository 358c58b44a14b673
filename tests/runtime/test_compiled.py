"""Compiled code is kept beside the source, found by all code behind it, and never in the way."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FUNCTION = """
from sppdet.runtime.compiled import compiled

@compiled()
def doubled(value):
    return {factor} * value
"""
USE = """
import sys
import warnings
warnings.showwarning = lambda message, *_: print("note:", message)
import folder_of_code.function as module
from sppdet.runtime import code
code.PACKAGES = code.PACKAGES + tuple(sys.argv[1:])
print(module.doubled(21), len(module.doubled.stats.cache_hits))
"""


def use(place: Path, *words: str, prelude: str = "", **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", prelude + USE, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{place}", **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "folder_of_code").mkdir()
    write(tmp_path)
    return tmp_path


def write(place: Path, factor: int = 2) -> None:
    (place / "folder_of_code" / "function.py").write_text(FUNCTION.format(factor=factor))


def kept(place: Path) -> list[Path]:
    return sorted(place.rglob("*.nb?"))


def test_the_second_run_compiles_nothing(place: Path) -> None:
    assert use(place) == ["42 0"]
    assert use(place) == ["42 1"]
    assert len(kept(place)) == 2


def test_an_edit_and_another_package_compile_again_and_leave_one_version(place: Path) -> None:
    use(place)
    assert use(place, "rich") == ["42 0"]
    assert use(place, "rich") == ["42 1"]
    write(place, 3)
    assert use(place) == ["63 0"]
    assert len(kept(place)) == 2


@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", b"x" * 100])
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_damaged_files_are_compiled_again(content: bytes, suffix: str, place: Path) -> None:
    use(place)
    next(file for file in kept(place) if file.suffix == suffix).write_bytes(content)
    assert use(place) == ["42 0"]


def test_a_full_disk_is_one_line(place: Path) -> None:
    prelude = "import resource, signal\n"
    prelude += "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    prelude += "resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))\n"
    said = use(place, prelude=prelude, PYTHONDONTWRITEBYTECODE="1")
    assert said[-1] == "42 0"
    assert [line[:47] for line in said[:-1]] == [
        "note: compiled code is not kept for the next run"[:47]
    ]


def test_without_any_folder_it_compiles_in_memory(place: Path) -> None:
    """The folder beside the source is a file, and so is the user's folder for caches."""
    (place / "folder_of_code" / "__pycache__").touch()
    (place / "home").touch()
    said = use(place, HOME=str(place / "home"), XDG_CACHE_HOME=str(place / "home"))
    assert said[-1] == "42 0"
    assert "NUMBA_CACHE_DIR" in said[0]
    assert len(said) == 2
