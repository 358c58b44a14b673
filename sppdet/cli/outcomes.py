"""What came of the sources of ``sppdet detect``."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sppdet.cli.saving import Saver


@dataclass
class Outcome:
    """What came of one source: an entry per image or frame, and why it failed, if it did."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    failure: str | None = None
    skipped: bool = False
    interrupted: bool = False


@dataclass
class Sums:
    """What came of all sources so far; their entries are in the files of the run."""

    saver: Saver
    failures: list[str]
    counts: Counter[str] = field(default_factory=Counter)
    frames: int = 0
    done: int = 0
    skipped: int = 0
    finished: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count one source."""
        for entry in outcome.entries:
            self.saver.add(entry)
            self.counts.update(one["label"] for one in entry["detections"])
        self.frames += 0 if outcome.skipped else len(outcome.entries)
        self.skipped += outcome.skipped
        self.finished += 1
        if outcome.failure is not None:
            self.failures.append(outcome.failure)
        elif not outcome.interrupted:
            self.done += 1
