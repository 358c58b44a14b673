"""The run of ``sppdet detect``: inputs planned, worked on in order, and summed up."""

import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sppdet.boxes import Boxes
from sppdet.cli.interrupt import held_back, interrupts_unchanged
from sppdet.cli.outcomes import Outcome, Sums
from sppdet.cli.output_names import output_names
from sppdet.cli.progress import console, finish_batch, progress_bar
from sppdet.cli.resuming import entries_before
from sppdet.cli.saving import Saver, each_file, report, run_files
from sppdet.cli.saving_videos import PER_FRAME, VideoSaver, video_files
from sppdet.detections import Detections
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.images import Rgb
from sppdet.inputs import Source, count_frames, find_sources, frames_of
from sppdet.inputs.video import Video
from sppdet.pipeline.stream import Pipeline
from sppdet.proposals.files import read_proposals
from sppdet.runtime.files import write_text
from sppdet.runtime.names import visible
from sppdet.runtime.outputs import check_outputs, keep_apart
from sppdet.runtime.words import counted, verb

ALONE = frozenset({"json", "jsonl"})
"""Kinds of outputs that no reader of data sets takes for labels, nor for a photograph."""

LABELS = frozenset({"voc", "txt"})
"""Kinds of outputs that readers of data sets take for the labels of the pictures beside them."""


@dataclass(frozen=True)
class Plan:
    """The inputs of a run.

    Attributes:
        sources: in order.
        names: their output names.
        problems: a line for each name that leads to no source.
        alone: whether the user gave one name, which is one source.
    """

    sources: list[Source]
    names: list[str]
    problems: list[str]
    alone: bool

    @property
    def files(self) -> list[Path]:
        """The files among the sources."""
        return [source.path for source in self.sources if source.path is not None]

    @property
    def videos(self) -> bool:
        """Whether there are videos or cameras, which are worked on one after the other."""
        return any(source.kind in ("video", "camera") for source in self.sources)


@dataclass(frozen=True)
class Choice:
    """Which detections are wanted: thresholds and names of classes, and the most per image."""

    thresholds: dict[str, float]
    classes: list[str] | None
    most: int


@dataclass(frozen=True)
class Job:
    """What is done with each input."""

    detector: Detector
    choice: Choice
    saver: Saver
    every: int | None
    skip_existing: bool
    pipeline: Pipeline
    proposals: Mapping[Path, Boxes] | None = None

    def detect(self, image: Rgb, source: Source) -> Detections:
        """The wanted detections of an image."""
        boxes = self.proposals[source.path] if self.proposals and source.path else None
        found = self.pipeline.detect(image, self.choice.thresholds, boxes)
        if self.choice.classes is not None:
            found = found.filter(classes=self.choice.classes)
        return found[: self.choice.most]


def plan(
    given: Sequence[str],
    output: Path,
    kinds: Collection[str],
    recursive: bool,
    every: int | None,
    others: Sequence[Path | None],
    summary: Path | None,
) -> Plan:
    """Find the inputs, name their outputs, and refuse outputs that must not be written.

    Args:
        given, output, recursive, every: arguments of the command.
        kinds: of outputs.
        others: further files that the command reads.
        summary: the file of the summary.

    Raises:
        SppdetError: no input is found, or an output would overwrite an input or a file that sppdet
            did not make.
    """
    if any(Path(name).is_dir() and output.exists() and output.samefile(name) for name in given):
        raise SppdetError(f"{output}: holds the images; choose another folder as --output")
    if output.exists() and not output.is_dir():
        raise SppdetError(f"{output}: is a file; --output names a folder")
    sources, problems = find_sources(given, recursive, output)
    if not sources:
        raise SppdetError(problems[0])
    found = Plan(sources, output_names(sources), problems, len(given) == 1 == len(sources))
    written = run_files(output, kinds)
    for source, name in zip(sources, found.names, strict=True):
        if source.kind in ("video", "camera"):
            written += video_files(output, kinds, name)
        elif every is None or count_frames(source) == 1:
            written += each_file(output, kinds, name).values()
    check_outputs([*written, summary], [*found.files, *others])
    if not ALONE.issuperset(kinds):
        pictures = [one.path for one in sources if one.kind == "file" and one.path is not None]
        keep_apart(output, pictures, "--output")
    if LABELS.intersection(kinds):
        _refuse_below(output, given, LABELS.intersection(kinds))
    return found


def _refuse_below(output: Path, given: Sequence[str], kinds: Iterable[str]) -> None:
    """Refuse a folder of labels in a folder of photographs, whose ground truth they would be."""
    real = output.resolve()
    for name in given:
        folder = Path(name)
        if folder.is_dir() and folder.resolve() in real.parents:
            raise SppdetError(
                f"{output}: --save {','.join(sorted(kinds))} writes labels, which would be read as "
                f"those of {name} afterwards; choose a folder outside as --output"
            )


def given_proposals(
    file: Path, inputs: Plan, order: str | None, base: int | None
) -> dict[Path, Boxes]:
    """The proposals in a file, by image.

    Raises:
        SppdetError: an input is not an image file, or see
            :func:`sppdet.proposals.files.read_proposals`.
    """
    for source in inputs.sources:
        if source.kind != "file":
            raise SppdetError(f"{source.name}: is not an image file, which --proposals needs")
    boxes = read_proposals(file, inputs.files, order, base, allow_empty=True)
    return dict(zip(inputs.files, boxes, strict=True))


def run(job: Job, inputs: Plan, summary: Path | None) -> None:
    """Work on all inputs, tell the user, and leave with an exit code where something failed.

    Raises:
        SppdetError: the only input failed.
    """
    start = time.perf_counter()
    total = len(inputs.sources) + len(inputs.problems)
    sums = Sums(job.saver, list(inputs.problems))
    items = list(enumerate(zip(inputs.sources, inputs.names, strict=True)))
    outcomes: dict[int, Outcome] = {}
    """Those that are done and not yet counted; workers end in another order."""

    def work(item: tuple[int, tuple[Source, str]]) -> None:
        number, (source, name) = item
        outcomes[number] = _work(job, source, name)

    results = job.pipeline.map(work, items)
    try:
        with interrupts_unchanged(), progress_bar() as bar:
            task = bar.add_task("detecting", total=len(items), visible=not inputs.alone)
            for (number, (source, _)), _none in zip(items, results, strict=True):
                with held_back():  # else its files were there, and no line of it
                    outcome = outcomes.pop(number)
                    sums.add(outcome)
                if inputs.alone and source.kind not in ("video", "camera"):
                    for entry in outcome.entries:
                        _print(source, entry)
                if outcome.interrupted:
                    raise KeyboardInterrupt
                bar.advance(task)
    except KeyboardInterrupt:
        results.close()  # waits for what is under way
        for number in sorted(outcomes):
            sums.add(outcomes.pop(number))
        left = len(items) - sums.finished
        console.print(
            f"{counted(sums.done, 'image')} {verb(sums.done)} done and kept, {left} {verb(left)} "
            "left; the same command with --skip-existing goes on",
            soft_wrap=True,
        )
        raise
    finally:
        if sums.done or sums.frames:
            job.saver.close()
    failures, counts = sums.failures, sums.counts
    seconds = time.perf_counter() - start
    figures = {
        "images": sums.done,
        "skipped": sums.skipped,
        "frames": sums.frames,
        "failed": failures,
        "detections": {name: counts[name] for name in job.detector.classes if counts[name]},
        "photographs_per_second": round(sums.frames / seconds, 3),
    }
    if summary is not None:
        write_text(summary, json.dumps(figures, indent=1) + "\n")
    if not inputs.alone:
        _tell(figures, job.saver.folder)
    if failures and inputs.alone:
        raise SppdetError(failures[0])
    finish_batch(failures, total, 1 if sums.done else 2)


def _work(job: Job, source: Source, name: str) -> Outcome:
    """One source, from its content to its files."""
    outcome = Outcome()
    try:
        before = None
        if job.skip_existing:
            before = entries_before(job.saver, source, name, job.every)
        if before is not None:
            return Outcome(before, skipped=True)
        if source.kind in ("video", "camera"):
            _work_on_video(job, source, name, outcome)
            return outcome
        for frame in frames_of(source, job.every):
            found = job.detect(frame.image, source)
            own = name if frame.number is None else f"{name}_{frame.number:06d}"
            job.saver.save(own, source.name, frame.image, found, frame.number)
            outcome.entries.append(report(source.name, found, frame.number))
    except SppdetError as error:
        outcome.failure = str(error)
    return outcome


def _work_on_video(job: Job, source: Source, name: str, outcome: Outcome) -> None:
    """A video or a camera, frame by frame; Ctrl-C ends it and keeps what is done."""
    every = job.every or 1
    inner = job.saver.only(PER_FRAME)
    with Video(source) as video:
        with VideoSaver(job.saver, name, source.name, video.rate / every) as files:
            try:
                with interrupts_unchanged():
                    for number, image in video.frames(every):
                        found = job.detect(image, source)
                        files.add(number, image, found)
                        inner.save(f"{name}_{number:06d}", source.name, image, found, number)
                        outcome.entries.append(report(source.name, found, number))
            except KeyboardInterrupt:
                outcome.interrupted = True


def _print(source: Source, entry: dict[str, Any]) -> None:
    for one in entry["detections"]:
        box = ", ".join(f"{value:.0f}" for value in one["box"])
        print(f"{visible(one['label']):<16} {one['score']:.2f}  [{box}]")
    stages = ", ".join(f"{name} {value:.3f}" for name, value in entry["seconds"].items())
    name = source.path.name if source.path else source.name
    console.print(
        f"{name}: {len(entry['detections'])} found; seconds: {stages}", markup=False, soft_wrap=True
    )


def _tell(figures: dict[str, Any], folder: Path) -> None:
    """The summary as a table."""
    from rich.table import Table

    table = Table("class", "detections", box=None)
    for name, count in figures["detections"].items():
        table.add_row(name, str(count))
    if figures["detections"]:
        console.print(table)
    total = sum(figures["detections"].values())
    before = f", {figures['skipped']} of them before" if figures["skipped"] else ""
    console.print(
        f"{counted(figures['images'], 'image')} done{before}, see {folder}: "
        f"{counted(total, 'detection')}, "
        f"{figures['photographs_per_second']:.2f} photographs per second",
        markup=False,
        soft_wrap=True,
    )
