"""What the user sees of the work: a progress bar, remarks, and the list of failures."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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

if TYPE_CHECKING:
    from sppdet.datasets import Dataset


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


console = PlainConsole(stderr=True)
"""Progress and remarks; what a command is asked for goes to files or to the standard output."""


def tell_dataset(dataset: "Dataset") -> None:
    """What was read: decisions and problems, a line each, and how many images are background."""
    for line in (*dataset.notes, *map(str, dataset.problems)):
        console.print(f"note: {line}", markup=False, soft_wrap=True)
    counts = [len(entry) for entry in dataset.all_annotations()]
    console.print(
        f"{dataset.path} ({dataset.format}): {len(counts)} images, {counts.count(0)} of them "
        f"background, {sum(counts)} objects",
        markup=False,
        soft_wrap=True,
    )


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress bar on the standard error with counts, elapsed and remaining time."""
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
