"""Exit codes, ``--quiet`` and ``--json`` of every command are those of docs/commands.md."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from sppdet.cli import main
from sppdet.cli.app import COMMANDS
from sppdet.cli.detect import shipped_model
from sppdet.datasets.scenes import write_scenes

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `sppdet .*\|$", PAGE, re.MULTILINE)
"""Of the table of commands: the last cell is where a program finds the figures."""

OTHER_JSON = {
    "classify train": "`RUN/history.json`",
    "classify export": "-",
    "export": "-",
    "explain": "`OUT/NAME.json`",
    "find": "`OUT/found.json`",
    "label": "-",
    "serve": "-",
    "data suspects": "`FOLDER/suspects.json`",
}
"""What the page says of commands without ``--json``."""

ALL_DONE = [
    ("detect {good} -o {new}", "--json"),
    ("detect {good} {folder} -o {new}", "--json"),
    ("propose {good} -o {new}/boxes", None),
    ("propose --recall {data}", "--json"),
    ("evaluate {data} --model {model} --intervals 10", "--json"),
    ("ensemble {model} {model} --data {data} --intervals 10", "--json"),
    ("info {model}", "--json"),
    ("warm-up {model}", "--json"),
    ("rename-class {model} orange clementine -o {new}/a.safetensors", "--json"),
    ("remove-class {model} orange -o {new}/a.safetensors", "--json"),
    ("data check {data}", "--json"),
    ("convert {data} {new}/yolo --to yolo", "--json"),
    ("split {data} {new}/parts --test 0.4", "--json"),
    ("cache info", "--json"),
    ("cache clear", "--json"),
]

NOT_ALL = [
    ("detect {good} {bad} -o {new}", 1),
    ("detect {bad} {bad2} -o {new}", 2),
    ("detect {bad} -o {new}", 2),
    ("detect {folder}/nothing.jpg -o {new}", 2),
    ("detect {good} -o {new} --threshold 2", 2),
    ("propose {good} {bad} -o {new}/boxes", 1),
    ("propose {bad} {bad2} -o {new}/boxes", 2),
    ("evaluate {half} --model {model} --intervals 0", 1),
    ("evaluate {none} --model {model} --intervals 0", 2),
    ("evaluate {data} --model {bad}", 2),
    ("ensemble {model} --data {data}", 2),
    ("ensemble {model} {bad} --data {data}", 2),
    ("ensemble {model} {model} --data {half} --intervals 5", 1),
    ("info {bad}", 2),
    ("warm-up {bad}", 2),
    ("export {bad} -o {new}/a.onnx", 2),
    ("rename-class {model} lemon lime -o {new}/a.safetensors", 2),
    ("remove-class {model} lemon -o {new}/a.safetensors", 2),
    ("merge {model} -o {new}/a.safetensors", 2),
    ("merge {model} {model} -o {new}/a.safetensors", 2),
    ("merge-results {folder} -o {new}/a.json", 2),
    ("data check {folder}/nothing", 2),
    ("convert {data} {data} --to yolo", 2),
    ("split {data} {new}/parts --test 1", 2),
    ("cache info --json {bad}", 2),
]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Good and bad images, and data sets of which all, some and none can be read."""
    folder = tmp_path_factory.mktemp("codes")
    found = {"folder": folder / "images", "model": shipped_model()}
    found["folder"].mkdir()
    for name in ("data", "half", "none"):
        found[name] = folder / name
        write_scenes(folder / name, 5, seed=0, size=(160, 120))
        broken = sorted((folder / name).glob("*.jpg"))
        for path in broken[: {"data": 0, "half": 2, "none": 5}[name]]:
            path.write_bytes(b"no image")
    found["good"] = found["folder"] / "good.jpg"
    found["good"].write_bytes(sorted(found["data"].glob("*.jpg"))[0].read_bytes())
    Image.new("RGB", (64, 48)).save(found["folder"] / "grey.png")
    for name in ("bad", "bad2"):
        found[name] = folder / f"{name}.jpg"
        found[name].write_bytes(b"no image")
    return found


def call(text: str, places: dict[str, Path], new: Path, *more: object) -> int:
    words = [part.format(**places, new=new) for part in text.split()]
    with pytest.raises(SystemExit) as stop:
        main([*words, *map(str, more)])
    return int(stop.value.code or 0)


@pytest.mark.parametrize(("text", "json_option"), ALL_DONE)
def test_0_when_all_is_done_in_silence_and_with_json(
    text: str,
    json_option: str | None,
    places: dict[str, Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "figures.json"
    options = [json_option, file] if json_option else []
    assert call(text, places, tmp_path / "first", *options) == 0
    told = capfd.readouterr()
    assert told.out + told.err
    if json_option:
        assert json.loads(file.read_text(encoding="utf-8"))
    # Again, over its own JSON file, which is as long as before or is written anew.
    assert call(text, places, tmp_path / "second", *options, "--quiet") == 0
    told = capfd.readouterr()
    assert told.out + told.err == ""
    if json_option:
        assert json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("text", "code"), NOT_ALL)
@pytest.mark.parametrize("quiet", [False, True])
def test_1_when_some_failed_and_2_when_nothing_is_done(
    text: str,
    code: int,
    quiet: bool,
    places: dict[str, Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert call(text, places, tmp_path / "new", *(["--quiet"] if quiet else [])) == code
    told = capfd.readouterr()
    assert "Traceback" not in told.err
    assert "failed:" in told.err if code == 1 else told.err
    if quiet:
        lines = told.err.splitlines()
        assert all(re.match(r"error: |\d+ of \d+ failed:|  ", line) for line in lines), lines


def shown(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        main([*name.split(), "--help"])
    return capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_row_and_its_options(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(name, capsys)
    assert re.search(r"^  --quiet ", text, re.MULTILINE)
    has_json = bool(re.search(r"^  --json ", text, re.MULTILINE))
    (row,) = [row for row in ROWS if re.match(rf"\| `sppdet {name}[ `]", row)]
    wanted = "`--json FILE`" if has_json else OTHER_JSON[name]
    assert row.endswith(f" | {wanted} |")
    assert len(re.findall(rf"^\| `sppdet {name}[ `]", README, re.MULTILINE)) == 1


def test_the_page_has_no_other_rows() -> None:
    assert len(ROWS) == len(COMMANDS)
