"""The process that does the cases of the campaign of mutations, and looks at each."""

import argparse
import contextlib
import io
import json
import os
import random
import re
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MEGABYTES = 2000.0
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Writes:
    """Notes what this process writes outside some folders."""

    def __init__(self) -> None:
        self.allowed: tuple[str, ...] | None = None
        self.outside: list[str] = []
        sys.addaudithook(self._look)

    @contextlib.contextmanager
    def watched(self, allowed: tuple[str, ...]) -> Iterator[None]:
        """In the block what does not begin with one of these is noted."""
        self.outside.clear()
        self.allowed = allowed
        try:
            yield
        finally:
            self.allowed = None

    def _look(self, event: str, values: tuple[Any, ...]) -> None:
        if self.allowed is None:
            return
        if event == "open":
            writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
            if not isinstance(values[0], int) and values[2] is not None and values[2] & writing:
                self._add(values[0])
        elif event == "os.mkdir":
            if not os.path.isdir(values[0]):  # else nothing is made, as by matplotlib's import
                self._add(values[0], values[-1])
        elif event in ("os.remove", "os.rmdir"):
            self._add(values[0], values[-1])
        elif event in ("os.rename", "os.link", "os.symlink"):
            self._add(values[1], values[-1])

    def _add(self, path: Any, folder: int = -1) -> None:
        """``folder`` is the descriptor of the folder that a relative path begins at."""
        if folder >= 0:
            path = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), os.fsdecode(path))
        name = os.path.abspath(os.fsdecode(path))
        real = os.path.join(os.path.realpath(os.path.dirname(name)), os.path.basename(name))
        fine = real == os.devnull or "__pycache__" in real
        if not fine and not real.startswith(self.allowed or ()):
            self.outside.append(real)


def work(options: argparse.Namespace) -> None:
    """Do the cases of this worker; a line of JSON before and after each."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    cache = Path(options.folder) / f"cache-{options.first}"
    os.environ["SPPDET_CACHE"] = str(cache)
    import kinds
    from planted import PLANTED

    kinds.prepare()
    table = PLANTED if options.planted else kinds.KINDS
    if options.kind:
        table = {options.kind: table[options.kind]}
    weights = [weight for _, weight in table.values()]
    writes = Writes()
    for number in range(options.first, options.last, options.step):
        rng = random.Random(f"{options.seed} {number}")
        kind = rng.choices(list(table), weights)[0]
        if options.planted:
            kind = list(table)[number % len(table)]
        place = Path(options.folder) / f"case-{number}"
        for name in ("in", "out", "tmp"):
            (place / name).mkdir(parents=True)
        tempfile.tempdir = str(place / "tmp")
        print(json.dumps({"begin": number, "kind": kind}), file=answers, flush=True)
        case = kinds.Case(rng, place / "in", place / "out")
        works = table[kind][0](case)
        inside = (f"{place / 'out'}", f"{place / 'tmp'}{os.sep}", f"{cache}")
        begin = time.process_time()
        faults, peak = [], 0.0
        with contextlib.chdir(place) if hasattr(contextlib, "chdir") else contextlib.nullcontext():
            with _peak() as megabytes, writes.watched(inside):
                for work in works:
                    faults += [f"{_shown(work)}: {fault}" for fault in _run(work)]
            peak = megabytes[0]
        seconds = time.process_time() - begin
        faults += [f"writes {path}" for path in writes.outside[:5]]
        faults += [f"{seconds:.0f} s of processor time"] if seconds > options.seconds else []
        faults += [f"{peak:.0f} MB of memory"] if peak > MEGABYTES else []
        done = {"end": number, "kind": kind, "seconds": seconds, "peak": peak, "faults": faults}
        print(json.dumps(done), file=answers, flush=True)
        if not faults:
            shutil.rmtree(place)


def _shown(work: list[str] | Callable[[], Any]) -> str:
    if isinstance(work, list):
        return " ".join(work[:2])
    return getattr(getattr(work, "func", work), "__name__", "work")


def _run(work: list[str] | Callable[[], Any]) -> list[str]:
    """The faults of one work."""
    from sppdet.cli import main
    from sppdet.errors import SppdetError

    shown = warnings.showwarning
    out, err = io.StringIO(), io.StringIO()
    code: object = None
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            if isinstance(work, list):
                main(work)
            else:
                work()
    except SppdetError as error:
        if isinstance(work, list):
            return [f"SppdetError leaves the command: {error}"]
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        return [_short(traceback.format_exc())]
    finally:
        warnings.showwarning = shown
    said = out.getvalue() + err.getvalue()
    faults = []
    if code not in (None, 0, 1, 2):
        faults.append(f"exit code {code!r}")
    if code == 2 and len(re.findall(r"^error: .", err.getvalue(), re.M)) != 1:
        faults.append(f"exit code 2 with {err.getvalue()[-300:]!r}")
    if "Traceback" in said:
        faults.append(said[-1500:])
    if CONTROL.search(said):
        faults.append(f"control characters: {CONTROL.findall(said)[:5]}")
    return faults


def _short(text: str) -> str:
    lines = text.splitlines()
    return "\n".join(line[:200] for line in (lines if len(lines) < 40 else lines[:8] + lines[-12:]))


@contextlib.contextmanager
def _peak() -> Iterator[list[float]]:
    """Megabytes that the block needed beyond what the process had, by the kernel's high mark."""
    found = [0.0]
    try:
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmHWM")
        yield found
        found[0] = _status("VmHWM") - before
    except OSError:  # no such mark here: the process's own, which only rises
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        yield found
        found[0] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before


def _status(name: str) -> float:
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+)", text)[1]) / 1024  # type: ignore[index]
