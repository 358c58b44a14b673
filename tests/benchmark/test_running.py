"""What the scripts share: errors in one line, options, and the command that a table records."""

import argparse
import shlex
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from sppdet.errors import SppdetError


@pytest.fixture(scope="module")
def running(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("running")


def fail(error: Exception) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SppdetError("--boxes 0: give\nmore"), "error: --boxes 0: give more"),
        (FileNotFoundError(2, "No such file", "a.json"), "error: a.json: No such file"),
    ],
)
def test_bad_input_is_one_line(
    running: ModuleType, error: Exception, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        running.start(fail(error))
    assert ended.value.code == 2
    assert capsys.readouterr().err == said + "\n"


def test_other_errors_keep_their_traceback(running: ModuleType) -> None:
    for error in (ConnectionRefusedError("nobody listens"), ValueError("a mistake")):
        with pytest.raises(type(error)):
            running.start(fail(error))


def test_the_code_of_a_script_is_that_of_the_process(running: ModuleType) -> None:
    for code in (None, 0, 1):
        with pytest.raises(SystemExit) as ended:
            running.start(lambda code=code: code)
        assert ended.value.code == code


def test_numbers_of_options(running: ModuleType) -> None:
    assert running.whole(2)("2") == 2
    assert running.several(0)("2,0") == [2, 0]
    assert running.exactly(2, "x", "500x375", 32)("500x375") == [500, 375]
    assert running.real(0, 1)("0.5") == 0.5
    assert running.some_of(("a", "b"))("b, a") == ["b", "a"]
    with pytest.raises(argparse.ArgumentTypeError, match="'c': choose from a, b"):
        running.some_of(("a", "b"))("a,c")
    for read, text in (
        (running.whole(2), "1"),
        (running.whole(0), "a"),
        (running.whole(0), "1.5"),
        (running.whole(0, 9), "10"),
        (running.several(0), "1,1"),
        (running.several(0), "1,"),
        (running.several(1), "0"),
        (running.exactly(2, "x", "500x375", 32), "x"),
        (running.exactly(2, "x", "500x375", 32), "500"),
        (running.exactly(2, "x", "500x375", 32), "500x31"),
        (running.exactly(2, "x", "500x375", 32), "1x2x3"),
        (running.real(0, 1), "1.1"),
        (running.real(0, 1), "nan"),
        (running.real(0, 1), "a"),
    ):
        with pytest.raises(argparse.ArgumentTypeError, match="give"):
            read(text)


def test_a_key_is_of_its_parts_and_the_version(
    running: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = running.key_of("data", {"a": 1, "b": 2})
    assert key == running.key_of("data", {"b": 2, "a": 1})
    assert key != running.key_of("data", {"a": 1, "b": 3})
    monkeypatch.setattr(running, "__version__", "another")
    assert key != running.key_of("data", {"a": 1, "b": 2})


def test_a_recorded_command_has_every_option_and_no_place(running: ModuleType) -> None:
    options = argparse.Namespace(
        data=[Path("/home/me/fruit")],
        weights="/home/me/zf5.safetensors",
        test_images=3,
        only=["two words", "b"],
        device=None,
        work=Path("/home/me/work"),
        json=Path("/home/me/a.json"),
    )
    command = running.command_line("x.py", ["FRUIT"], options)
    assert shlex.split(command) == [
        *("python", "benchmarks/x.py", "FRUIT", "--weights", "zf5.safetensors"),
        *("--test-images", "3", "--only", "two words,b"),
    ]


@pytest.mark.parametrize(
    "words",
    [
        "annotator nothing",
        "detect nothing",
        "evaluation --coco128 nothing",
        "gpu_table nothing",
        "growth --data here --images nothing",
        "label_speed nothing",
        "precision nothing",
        "search --coco nothing",
        "selection nothing --model m.safetensors",
        "suspects nothing",
        "threads nothing",
        "voc2007 nothing --output out",
    ],
)
def test_every_script_says_what_is_not_there(
    words: str,
    load_script: Callable[[str], ModuleType],
    ended: Callable[..., tuple[int, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    name, *rest = words.split()
    code, line = ended(load_script(name), *rest)
    assert code == 2
    assert "error: " in line
    assert "nothing" in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("annotator X --steps a", "argument --steps: a: give a whole number from 1 to"),
        ("annotator X --steps 10,10", "argument --steps: 10,10: give each number once"),
        ("annotator X --pause nan", "argument --pause: nan: give a number from 0 to 3600"),
        ("growth --data X --size x", "argument --size: x: give 2 whole numbers from 32 up, such"),
        ("growth --data X --size 500x375x3", "such as 500x375"),
        ("pooling --map x", "argument --map: x: give 3 whole numbers from 1 up, such as 43,62,256"),
        ("pooling --map 3,4", "argument --map: 3,4: give 3 whole numbers"),
        ("pooling --map 3,4,0", "argument --map: 3,4,0: give 3 whole numbers from 1 up"),
        ("search --coco X --methods fast,x", "argument --methods: 'x': choose from "),
        ("suspects X --share 2", "argument --share: 2: give a number from 0 to 1"),
    ],
)
def test_a_value_that_cannot_be_is_one_line(
    words: str,
    said: str,
    load_script: Callable[[str], ModuleType],
    ended: Callable[..., tuple[int, str]],
) -> None:
    name, *rest = words.split()
    code, line = ended(load_script(name), *rest)
    assert code == 2
    assert line.startswith(f"{name}.py: error: ")
    assert said in line


@pytest.mark.parametrize("content", ["{}", "[{}]", "3", "no JSON"])
@pytest.mark.parametrize("script", ["gpu_table", "growth", "search"])
def test_a_file_of_another_kind_is_one_line(
    script: str,
    content: str,
    load_script: Callable[[str], ModuleType],
    ended: Callable[..., tuple[int, str]],
    tmp_path: Path,
) -> None:
    file = tmp_path / "instances.json"
    file.write_text(content)
    words = {
        "gpu_table": (file,),
        "growth": ("--data", tmp_path, "--images", "1", "--details", file, "--workers", "1"),
        "search": ("--coco", tmp_path),
    }[script]
    code, line = ended(load_script(script), *words)
    assert code == 2
    assert line.startswith(f"error: {file}: is not ")


def test_scripts_that_read_input_start_in_this_way() -> None:
    bare = {"gpu_check.py", "tables.py"}  # they take no files, and run without the package
    for path in (Path(__file__).resolve().parents[2] / "benchmarks").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "__main__" in text and path.name not in bare:
            assert text.endswith("    start(main)\n"), path.name
