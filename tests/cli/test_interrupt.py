"""Ctrl-C and SIGTERM: when they end a command, when they raise, and when they wait."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sppdet.cli import app
from sppdet.cli.interrupt import CODE, LINE, TERMINATED, Terminated

ROOT = Path(__file__).resolve().parents[2]


def in_a_process(
    *words: str | Path, code: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, *(("-c", code) if code else ()), *words]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(line, capture_output=True, text=True, env=variables, check=False)


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
