"""What the commands share: devices, threads, progress, and the list of failures."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any

import torch
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

from sppdet.errors import SppdetError
from sppdet.trunks import Layer, pool5_level

console = Console(stderr=True, highlight=False)
"""Progress and remarks; what a command is asked for goes to files or to the standard output."""


def choose_device(name: str | None) -> torch.device:
    """The device called ``name``; None means a GPU when there is one.

    Raises:
        SppdetError: there is no such device.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise SppdetError(f"--device {name}: there is no such device here; try cpu") from None
    return device


def images_at_a_time(device: torch.device, workers: int | None = None) -> int:
    """How many images to work on side by side: on a CPU one per core, each on one thread.

    That uses the cores better than all of them for one image; it sets torch's threads. On a GPU two
    images keep it busy while the next is searched.
    """
    if device.type != "cpu":
        return workers or 2
    count = workers or torch.get_num_threads()
    torch.set_num_threads(max(torch.get_num_threads() // count, 1))
    return count


def parse_numbers(text: str, option: str) -> tuple[int, ...]:
    """``"480,576"`` as (480, 576).

    Raises:
        SppdetError: the text is no list of positive whole numbers.
    """
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise SppdetError(f"{option} {text}: give whole numbers with commas, such as 480,688")
    return numbers


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


def finish_batch(failures: Sequence[str], total: int) -> None:
    """After a batch: list what failed and leave with exit code 1, or return when nothing did."""
    if not failures:
        return
    print(f"{len(failures)} of {total} failed:", file=sys.stderr)
    for line in failures:
        print(f"  {line}", file=sys.stderr)
    raise typer.Exit(1)


class Bars:
    """Training's progress as one bar per pass."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task(stage, total=total)
        self._bar.update(self._tasks[stage], completed=done)


class FeatureLayer(str, Enum):
    """Which values are the features of a region."""

    pyramid = "pyramid"
    pool5 = "pool5"
    fc6 = "fc6"
    fc7 = "fc7"

    @property
    def made_by(self) -> Layer:
        """What the trunk needs for it."""
        return {"fc6": "fc6", "fc7": "fc7"}.get(self.value, "pooled")  # type: ignore[return-value]

    def settings(self, trunk: str) -> dict[str, Any]:
        """The settings of the region features for it.

        Raises:
            SppdetError: the trunk has no such layer.
        """
        if self is FeatureLayer.pyramid:
            return {}
        return {"levels": (pool5_level(trunk),)}
