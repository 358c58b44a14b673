import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sppdet.cli import progress
from sppdet.cli.progress import PlainConsole, Tenths, progress_bar, tell_dataset
from sppdet.datasets.base import Dataset, Problem

ROOT = Path(__file__).resolve().parents[2]


class Clock:
    """A second for each step."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def lines_of(total: int, seconds_a_step: float, visible: bool = True) -> list[str]:
    out, clock = io.StringIO(), Clock()
    bar = Tenths(PlainConsole(file=out))
    bar.get_time = clock
    task = bar.add_task("detecting", total=total, visible=visible)
    for _ in range(total):
        clock.now += seconds_a_step
        bar.advance(task)
    return out.getvalue().splitlines()


def test_a_line_every_tenth() -> None:
    lines = lines_of(200, 1.0)
    assert len(lines) == 10
    assert lines[0] == "detecting: 20 of 200, 0:00:20"
    assert lines[-1] == "detecting: 200 of 200, 0:03:20"


@pytest.mark.parametrize(
    ("total", "seconds", "count"), [(200, 0.001, 1), (3, 5.0, 3), (1, 0.0, 1), (0, 0.0, 0)]
)
def test_quick_and_short_tasks(total: int, seconds: float, count: int) -> None:
    assert len(lines_of(total, seconds)) == count


def test_a_hidden_task_says_nothing() -> None:
    assert lines_of(20, 1.0, visible=False) == []


def test_names_with_markup_are_text() -> None:
    out = io.StringIO()
    bar = Tenths(PlainConsole(file=out))
    bar.update(bar.add_task("[/bold]\x1b[2J", total=1), completed=1)
    assert "[/bold]" in out.getvalue()
    assert "\x1b" not in out.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_only_on_a_terminal(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    console = PlainConsole(file=io.StringIO(), force_terminal=terminal)
    monkeypatch.setattr(progress, "console", console)
    with progress_bar() as bar:
        assert isinstance(bar, Tenths) == (not terminal)


def test_many_problems_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(progress, "console", PlainConsole(file=out))
    problems = [Problem("bad object", Path(f"{k}.xml"), "is wrong") for k in range(5000)]
    tell_dataset(Dataset(Path("set"), "voc", None, [], ("a",), problems))
    lines = out.getvalue().splitlines()
    assert len(lines) == progress.MOST_PROBLEMS + 2
    assert "4900 more problems" in lines[-2]


def test_the_log_of_a_running_command_grows(tmp_path: Path) -> None:
    """As under nohup: the lines are there while the command runs."""
    code = """
import sys, time
from sppdet.cli import progress
progress.BETWEEN = 0.0
with progress.progress_bar() as bar:
    task = bar.add_task("work", total=100)
    for step in range(100):
        bar.advance(task)
        if step == 49:
            print("half", flush=True)
            sys.stdin.readline()
"""
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    said = (tmp_path / "log").read_text()
    process.communicate("\n", timeout=60)
    assert said.splitlines()[-1].startswith("work: 50 of 100")
