import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

import sppdet
from sppdet.classification.networks import NETWORKS
from sppdet.cli import app, choices, main, run
from sppdet.cli.app import COMMANDS, GROUPS
from sppdet.cli.interrupt import CODE, LINE, TERMINATED, Terminated
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("seconds", [0.3, 0.7, 1.1])
def test_a_signal_while_packages_are_imported_is_one_line(
    seconds: float, number: signal.Signals, tmp_path: Path
) -> None:
    code = "from sppdet.cli import main\nprint('begins', flush=True)\nmain()"
    image = ROOT / "data" / "sample" / "fruit.jpg"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "detect", image, "-o", tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(seconds)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (128 + number, f"error: {LINE}\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_the_end_of_the_process_is_one_line(number: signal.Signals) -> None:
    """After the work, while packages end: here one that takes nine seconds for it."""
    code = f"""
import atexit, os, signal, sys, time
class Package:  # imported after the command has begun
    def find_spec(name, path, target=None):
        if name == "sppdet.cli.app":
            atexit.register(time.sleep, 9)
            atexit.register(os.kill, os.getpid(), {int(number)})
sys.meta_path.insert(0, Package)
from sppdet.cli import main
main()
"""
    done = in_a_process("--version", code=code)
    assert (done.returncode, done.stderr) == (128 + number, f"error: {LINE}\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_end_of_all_packages_changes_nothing(number: signal.Signals) -> None:
    """Python has taken its handlers down; the command has done its work and said so."""
    code = f"""
import os, signal
class Late:
    def __del__(self, kill=os.kill, own=os.getpid()):
        kill(own, {int(number)})
late = Late()
from sppdet.cli import main
main()
"""
    done = in_a_process("--version", code=code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("sppdet ")


INTERRUPT = "import os, signal; os.kill(os.getpid(), signal.SIGINT); import time; time.sleep(9)"


@pytest.mark.parametrize(
    ("begin", "then", "said"),
    [
        ("pass", INTERRUPT, f"error: {LINE}\n"),
        ("work_begins()", "import swallows", f"error: {LINE}\n"),
        ("work_begins()", INTERRUPT, "raised\n"),
    ],
    ids=["before the work", "in an import", "in the work"],
)
def test_when_ctrl_c_raises(begin: str, then: str, said: str, tmp_path: Path) -> None:
    """A package may turn the exception into another one; in an import none is raised."""
    swallows = f"try:\n    {INTERRUPT}\nexcept BaseException:\n    raise RecursionError from None"
    (tmp_path / "swallows.py").write_text(swallows)
    code = f"""
import sys
from sppdet.cli.interrupt import handled_interrupts, work_begins
with handled_interrupts():
    try:
        {begin}
        {then}
    except KeyboardInterrupt:
        print("raised", file=sys.stderr)
        sys.exit({CODE})
"""
    done = in_a_process(code=code, PYTHONPATH=os.pathsep.join([str(ROOT), str(tmp_path)]))
    assert (done.returncode, done.stderr) == (CODE, said)


@pytest.mark.parametrize(
    ("raised", "exit_code"), [(KeyboardInterrupt, CODE), (Terminated, TERMINATED)]
)
@pytest.mark.parametrize("linked", ["cause", "context"])
def test_an_interrupt_that_compiled_code_turns_into_another_error(
    raised: type[KeyboardInterrupt],
    exit_code: int,
    linked: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """numba: "SystemError: CPUDispatcher returned a result with an exception set"."""

    def compiled() -> None:
        try:
            raise raised
        except KeyboardInterrupt as interrupt:
            if linked == "cause":
                raise SystemError("a result with an exception set") from interrupt
            raise SystemError("a result with an exception set")  # noqa: B904

    with pytest.raises(SystemExit) as stop:
        app._guarded(compiled)()
    assert stop.value.code == exit_code
    assert capsys.readouterr().err == f"error: {LINE}\n"


def test_another_error_keeps_its_traceback() -> None:
    def wrong() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        app._guarded(wrong)()


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    """As for a job in the background."""
    code = """
import os, signal
from sppdet.cli.interrupt import handled_interrupts, work_begins
signal.signal(signal.SIGINT, signal.SIG_IGN)
with handled_interrupts():
    work_begins()
    os.kill(os.getpid(), signal.SIGINT)
"""
    assert in_a_process(code=code).returncode == 0


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


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent as a signal")
def test_an_interrupt_waits_for_what_must_be_whole() -> None:
    """In a process of its own: other tests leave other handlers."""
    program = """
import signal
from concurrent.futures import ThreadPoolExecutor
from sppdet.cli.interrupt import held_back

def in_a_thread():
    with held_back():
        return 3

steps = []
try:
    with held_back():
        signal.raise_signal(signal.SIGINT)
        steps.append("the rest")
    steps.append("behind it")
except KeyboardInterrupt:
    steps.append("interrupted")
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
with ThreadPoolExecutor(1) as pool:
    print(steps, pool.submit(in_a_thread).result())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.stdout == "['the rest', 'interrupted'] 3\n", done.stderr
