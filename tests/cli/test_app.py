import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import sppdet
from sppdet.classification.networks import NETWORKS
from sppdet.cli import choices, main, run
from sppdet.cli.app import COMMANDS, GROUPS
from sppdet.cli.presets import PRESETS
from sppdet.cli.saving import KINDS as SAVED
from sppdet.datasets import FORMATS
from sppdet.datasets.download import SOURCES
from sppdet.datasets.writers import WRITERS
from sppdet.evaluation.export import EXPORTS
from sppdet.evaluation.results import BOX_STYLES
from sppdet.proposals import METHODS as PROPOSAL_METHODS
from sppdet.proposals.files import ORDERS, SUFFIXES
from sppdet.trunks import SPECS

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "torchvision", "cv2", "numba", "sklearn", "matplotlib", "numpy", "PIL")
SECONDS = 1.0
"""Processor time; it is about 0.25 on an idle machine, and 4.8 with PyTorch."""

CHECK = f"""
import sys
from sppdet.cli import main
try:
    main(sys.argv[1:])
finally:
    assert not set({HEAVY}) & set(sys.modules), set({HEAVY}) & set(sys.modules)
"""

NEED_NOTHING = ("cache info", "cache clear", "warm-up")
"""Commands that work without arguments."""

ANSWERS = [
    (["--help"], 0),
    (["--version"], 0),
    (["nonsense"], 2),
    ([], 2),
    *(([*group.split(), "--help"], 0) for group in GROUPS),
    *(([*name.split(), "--help"], 0) for name in COMMANDS),
    *(([*name.split(), "--nonsense"], 2) for name in COMMANDS),
    *(([*name.split()], 2) for name in COMMANDS if name not in NEED_NOTHING),
    (["train", "data", "-o", "model", "--trunk", "nonsense"], 2),
    (["train", "data", "-o", "model", "--seed", "-1"], 2),
    (["evaluate", "data"], 2),
]


def in_a_process(
    *words: str | Path, code: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, *(("-c", code) if code else ()), *words]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(line, capture_output=True, text=True, env=variables, check=False)


def refused(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "exit_code"), [pytest.param(*case, id=" ".join(case[0]) or "-") for case in ANSWERS]
)
def test_an_answer_without_work_imports_nothing_heavy(words: list[str], exit_code: int) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = in_a_process(*words, code=CHECK)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == exit_code, done.stderr
    assert "Traceback" not in done.stderr
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SECONDS


def test_the_check_sees_a_heavy_import() -> None:
    done = in_a_process("--version", code="import numpy\n" + CHECK)
    assert "AssertionError: {'numpy'}" in done.stderr


@pytest.mark.parametrize(
    ("light", "real"),
    [
        (choices.TRUNKS, SPECS),
        (choices.PROPOSALS, PROPOSAL_METHODS),
        (choices.FORMATS, FORMATS),
        (choices.WRITERS, tuple(WRITERS)),
        (choices.BOX_STYLES, BOX_STYLES),
        (choices.EXPORTS, EXPORTS),
        (choices.DATA_SETS, SOURCES),
        (choices.SAVES, (*SAVED, "parquet")),
        (choices.PROPOSAL_FILES, tuple(suffix[1:] for suffix in SUFFIXES)),
        (choices.BOX_ORDERS, tuple(ORDERS)),
        (choices.NETWORKS, NETWORKS),
    ],
)
def test_choices_are_those_of_the_tables(light: tuple[str, ...], real: tuple[str, ...]) -> None:
    assert sorted(light) == sorted(real)


OPTIONS = [
    ("train data -o model", "--format", choices.FORMATS),
    ("train data -o model", "--trunk", choices.TRUNKS),
    ("train data -o model", "--method", choices.METHODS),
    ("train data -o model", "--layer", choices.LAYERS),
    ("train data -o model", "--crop", choices.CROPS),
    ("train data -o model", "--heads", choices.HEADS),
    ("train data -o model", "--proposals", choices.PROPOSALS),
    ("train data -o model", "--pooling", choices.POOLINGS),
    ("train data -o model", "--window-mapping", choices.WINDOW_MAPPINGS),
    ("train data -o model", "--preset", PRESETS),
    ("detect photo.jpg", "--box-order", choices.BOX_ORDERS),
    ("detect photo.jpg", "--pooling", choices.POOLINGS),
    ("evaluate data", "--window-mapping", choices.WINDOW_MAPPINGS),
    ("evaluate data", "--proposals", choices.PROPOSALS),
    ("evaluate data", "--boxes", choices.BOX_STYLES),
    ("evaluate data", "--export-format", choices.EXPORTS),
    ("evaluate data", "--format", choices.FORMATS),
    ("benchmark image.jpg", "--trunk", choices.TRUNKS),
    ("benchmark image.jpg", "--layer", choices.LAYERS),
    ("data check data", "--format", choices.FORMATS),
    ("data suspects data -o out", "--trunk", choices.TRUNKS),
    ("convert data out", "--to", choices.WRITERS),
    ("split data", "--to", choices.WRITERS),
    ("export model -o file", "--to", choices.EXPORT_TARGETS),
    ("classify train data -o run", "--schedule", choices.SCHEDULES),
    ("classify train data -o run", "--size-order", choices.SIZE_ORDERS),
    ("classify train data -o run", "--stem", choices.STEMS),
]


@pytest.mark.parametrize(("command", "option", "names"), OPTIONS)
def test_a_wrong_choice_is_one_line_with_the_choices_and_help_has_them(
    command: str, option: str, names: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(*command.split(), option, "wrong", capsys=capsys)
    other = ", or timm:NAME" if option == "--trunk" else ""
    if option == "--proposals":
        other = ", or a file: npz, json, csv, mat"
    assert said == f"error: {option} wrong: choose one of {', '.join(names)}{other}\n"
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    shown = capsys.readouterr().out
    described = re.search(rf"^  {option} NAME.*?(?=^  -)", shown, re.MULTILINE | re.DOTALL)
    assert described
    assert f"{', '.join(names)}{other}" in " ".join(described[0].split())


def test_a_wrong_data_set_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused("prepare-data", "imagenet", "--to", "x", capsys=capsys)
    assert said == f"error: data set imagenet: choose one of {', '.join(SOURCES)}\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert not stop.value.code
    assert capsys.readouterr().out == f"sppdet {sppdet.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shells_completion(shell: str) -> None:
    done = in_a_process("-m", "sppdet", _SPPDET_COMPLETE=f"source_{shell}")
    assert done.returncode == 0
    assert "_SPPDET_COMPLETE=complete_" in done.stdout


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("sppdet cl", {"classify"}),
        ("sppdet classify ", {"train", "test", "predict", "export"}),
        ("sppdet train --proposals opencv", {"opencv-fast", "opencv-quality"}),
        ("sppdet prepare-data voc", {"voc2007", "voc2012"}),
    ],
)
def test_completion(line: str, wanted: set[str]) -> None:
    number = str(len(line.split(" ")) - 1)
    words = {"COMP_WORDS": line, "COMP_CWORD": number}
    done = in_a_process("-m", "sppdet", _SPPDET_COMPLETE="complete_bash", **words)
    assert set(done.stdout.split()) == wanted


def test_every_output_has_a_short_form(capsys: pytest.CaptureFixture[str]) -> None:
    found = 0
    for name in COMMANDS:
        with pytest.raises(SystemExit):
            main([*name.split(), "--help"])
        shown = capsys.readouterr().out
        assert ("--output" in shown) == ("-o, --output" in shown)
        found += "-o, --output" in shown
    assert found == 14


def test_the_short_form_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused("train", "data", "-o", str(tmp_path), capsys=capsys)
    assert "is a folder; name the file to write" in said


@pytest.mark.parametrize("name", ["detect", "classify", "data"])
def test_one_command_or_group_alone(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(name, ["--help"])
    assert not stop.value.code
    shown = capsys.readouterr().out
    for second in (one.split()[1] for one in COMMANDS if one.startswith(f"{name} ")):
        assert re.search(rf"^  {second} ", shown, re.MULTILINE)


@pytest.mark.parametrize("tool", sorted(path.stem for path in (ROOT / "tools").glob("[!_]*.py")))
def test_a_tool_without_the_packages_says_what_to_do(tool: str) -> None:
    """A bare interpreter: no site-packages, no variables."""
    done = in_a_process("-S", "-E", ROOT / "tools" / f"{tool}.py", "photo.jpg")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: sppdet's packages are not installed for this Python")
    assert f"tools/{tool}.py" in done.stderr
    assert "source .venv/bin/activate" in done.stderr


@pytest.mark.parametrize("command", ["cache info", "data check {folder}"])
@pytest.mark.parametrize("output", ["full", "closed"])
def test_a_full_or_closed_standard_output(command: str, output: str, tmp_path: Path) -> None:
    Image.new("RGB", (50, 40)).save(tmp_path / "a.png")
    (tmp_path / "a.xml").write_text("<annotation></annotation>")
    if output == "full":
        stdout = os.open("/dev/full", os.O_WRONLY)
    else:
        reading, stdout = os.pipe()
        os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "sppdet", *command.format(folder=tmp_path).split()],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(stdout)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    assert done.returncode == (2 if output == "full" else 1)
    assert ("No space left" in done.stderr) == (output == "full")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train"], "Missing argument 'data'; see 'sppdet train --help'"),
        (["train", "--nope"], "No such option: --nope"),
        (["detect", "a.jpg", "--workers", "many"], "--workers"),
        (["nothing"], "No such command 'nothing'; see 'sppdet --help'"),
        (["cache", "info", "--nope"], "see 'sppdet cache info --help'"),
    ],
)
def test_errors_of_the_command_line_take_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    output = capsys.readouterr()
    assert output.err.startswith("error: ")
    assert message in output.err
    assert output.err.count("\n") == 1
    assert output.out == ""
