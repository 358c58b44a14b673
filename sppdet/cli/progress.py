"""What the user sees of the work: a progress bar, remarks, and the list of failures."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from sppdet.runtime.names import visible, visible_lines
from sppdet.runtime.words import counted

if TYPE_CHECKING:
    from sppdet.datasets import Dataset
    from sppdet.training.estimate import Estimate


class PlainConsole(Console):
    """A console that shows text as it is: no markup, no emoji, no control character.

    Names of classes and files come from data: a class may be called ``[/bold]``, or hold a sequence
    that clears the screen.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Text of a line or of a cell, with control characters as their codes."""
        return super().render_str(visible_lines(text), **options)


MOST_PROBLEMS = 100
"""Problems of a data set that are printed before the work."""

BETWEEN = 2.0
"""Least seconds between two lines of one task."""

console = PlainConsole(stderr=True)
"""Progress and remarks; what a command is asked for goes to files or to the standard output."""


def tell_dataset(dataset: "Dataset") -> None:
    """What was read: decisions and problems, a line each, and how many images are background."""
    lines = [*dataset.notes, *map(str, dataset.problems[:MOST_PROBLEMS])]
    if len(dataset.problems) > MOST_PROBLEMS:
        more = len(dataset.problems) - MOST_PROBLEMS
        lines.append(f"{counted(more, 'more problem')}; sppdet data check --json lists all")
    for line in lines:
        console.print(f"note: {line}", markup=False, soft_wrap=True)
    counts = [len(entry) for entry in dataset.all_annotations()]
    console.print(
        f"{dataset.path} ({dataset.format}): {counted(len(counts), 'image')}, "
        f"{counts.count(0)} of them background, {counted(sum(counts), 'object')}",
        markup=False,
        soft_wrap=True,
    )


class Tenths(Progress):
    """Progress in lines, one at each tenth and at the end, where nothing can be drawn over.

    So a file of ``nohup`` and the log of a batch system show how far a command is. Tenths of a
    quick task that are nearer than :data:`BETWEEN` seconds are left out.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console=console, disable=True)
        self._told: dict[TaskID, tuple[int, float]] = {}

    def update(self, task_id: TaskID, **changes: Any) -> None:  # type: ignore[override]
        """Change a task, and say how far it is."""
        super().update(task_id, **changes)
        self._tell(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Go on with a task, and say how far it is."""
        super().advance(task_id, advance)
        self._tell(task_id)

    def _tell(self, task_id: TaskID) -> None:
        with self._lock:
            task = self._tasks[task_id]
            if not task.visible or not task.total:
                return
            tenth, now = int(10 * task.completed / task.total), self.get_time()
            start = now if task.start_time is None else task.start_time
            before, at = self._told.get(task_id, (0, start))
            if tenth <= before or (tenth < 10 and now - at < BETWEEN):
                return
            self._told[task_id] = (tenth, now)
            text = f"{task.description.strip()}: {task.completed:.0f} of {task.total:.0f}"
            elapsed = str(timedelta(seconds=int(task.elapsed or 0)))
        self.console.print(f"{text}, {elapsed}", markup=False, soft_wrap=True)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Progress on the standard error: a bar with counts, elapsed and remaining time; lines if
    the standard error is not a terminal; nothing with ``--quiet``."""
    if console.quiet or not console.is_terminal:
        yield Tenths(console)
        return
    with Progress(
        TextColumn("{task.description:<16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    ) as progress:
        yield progress


class Bars:
    """Training's progress as one bar per pass."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}

    def estimate(self, expected: "Estimate") -> None:
        """How long the training will take, where that is more than a minute."""
        if expected.seconds > 60:
            console.print(f"this will take {expected} for prepared images")

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task(stage, total=total)
        self._bar.update(self._tasks[stage], completed=done)


def finish_batch(failures: Sequence[str], total: int, code: int = 1) -> None:
    """After a batch: list what failed and leave with this exit code, or return if nothing did."""
    if not failures:
        return
    print(f"{len(failures)} of {total} failed:", file=sys.stderr)
    for line in failures:
        print(f"  {visible(line)}", file=sys.stderr)
    raise typer.Exit(code)
