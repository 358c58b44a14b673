"""Mutated inputs of every kind: each ends in a result or in one clear line.

    python tests/campaign/mutations.py --number 10000 --seed 0 --json mutations.json

Of a case it demands: no exception that is not a SppdetError; a command ends with exit code 0, 1 or
2, and with 2 it says one line; at most 10 s of processor time, and of waiting; at most 2 GB of
memory; no file is written outside the folder of the outputs; and no control character reaches the
terminal. A case depends on the seed and its number only: ``--first N --number 1`` does it again.
"""

import argparse
import contextlib
import io
import json
import os
import random
import re
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SECONDS, MEGABYTES = 10.0, 2000.0
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
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
        elif event in ("os.mkdir", "os.remove", "os.rmdir"):
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


def worker(options: argparse.Namespace) -> None:
    """Do the cases of this worker; a line of JSON before and after each."""
    sys.path.insert(0, str(HERE))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    cache = Path(options.folder) / f"cache-{options.first}"
    os.environ["SPPDET_CACHE"] = str(cache)
    import subjects
    from planted import PLANTED

    subjects.prepare()
    table = PLANTED if options.planted else subjects.KINDS
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
        case = subjects.Case(rng, place / "in", place / "out")
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
        faults += [f"{seconds:.0f} s of processor time"] if seconds > SECONDS else []
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
    import warnings

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


class Campaign:
    """Worker processes, each watched, and what they found."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.cases: Counter[str] = Counter()
        self.faults: list[dict[str, Any]] = []
        self.slowest = self.largest = 0.0
        self.broken = ""

    def run(self) -> None:
        first, last = self.options.first, self.options.first + self.options.number
        threads = [
            threading.Thread(target=self._watch, args=(first + k, last))
            for k in range(self.options.workers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.broken:
            raise SystemExit(self.broken)

    def _watch(self, first: int, last: int) -> None:
        """One worker after another: where one hangs or dies, the next goes on behind that case."""
        step = self.options.workers
        while first < last:
            done = self._one_worker(first, last)
            first = last if done is None else done + step

    def _one_worker(self, first: int, last: int) -> int | None:
        """Returns the case that ended the worker, or None when all are done."""
        words = [sys.executable, str(Path(__file__)), "--worker", "--folder", str(self.folder)]
        words += ["--first", str(first), "--last", str(last), "--step", str(self.options.workers)]
        words += ["--seed", str(self.options.seed)]
        words += ["--kind", self.options.kind] if self.options.kind else []
        words += ["--planted"] if self.options.planted else []
        log = self.folder / f"log-{first}"
        with log.open("w") as errors:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            )
        assert process.stdout is not None
        at, kind, used, rest, why, ended = None, "", 0.0, b"", "", False
        asleep = Asleep(process.pid)
        while not ended:
            ready, _, _ = select.select([process.stdout], [], [], 0.5)
            chunk = os.read(process.stdout.fileno(), 1 << 16) if ready else None
            ended = chunk == b""
            *lines, rest = (rest + (chunk or b"")).split(b"\n")
            for line in map(json.loads, lines):
                asleep.since = None
                if "begin" in line:
                    at, kind, used = line["begin"], line["kind"], _cpu(process.pid)
                else:
                    self._note(line)
                    at = None
            if at is not None and not why:
                if asleep.seconds() > SECONDS:
                    why = f"waits for more than {SECONDS:.0f} s"
                elif _cpu(process.pid) - used > 1.5 * SECONDS:
                    why = f"more than {1.5 * SECONDS:.0f} s of processor time"
                if why:
                    process.kill()
        process.wait()
        if at is None:
            if process.returncode:
                self.broken = f"the worker failed:\n{log.read_text()[-3000:]}"
            return None
        why = why or f"ends with code {process.returncode}: {log.read_text()[-1500:]}"
        self._note({"end": at, "kind": kind, "seconds": 0.0, "peak": 0.0, "faults": [why]})
        return at

    def _note(self, line: dict[str, Any]) -> None:
        self.cases[line["kind"]] += 1
        self.slowest = max(self.slowest, line["seconds"])
        self.largest = max(self.largest, line["peak"])
        for fault in line["faults"]:
            self.faults.append({"case": line["end"], "kind": line["kind"], "fault": fault})
            print(f"case {line['end']} ({line['kind']}): {fault}", flush=True)
        if sum(self.cases.values()) % 500 == 0:
            print(f"{sum(self.cases.values())} cases, {len(self.faults)} faults", flush=True)


class Asleep:
    """How long a process has been waiting: neither running nor held up by other processes."""

    def __init__(self, process: int) -> None:
        self.process, self._used = process, -1.0
        self.since: float | None = None

    def seconds(self) -> float:
        try:
            stats = [file.read_text() for file in Path(f"/proc/{self.process}/task").glob("*/stat")]
        except OSError:
            return 0.0
        used = _cpu(self.process)
        if used != self._used or any(text.rpartition(")")[2].split()[0] == "R" for text in stats):
            self.since, self._used = None, used
            return 0.0
        self.since = self.since or time.monotonic()
        return time.monotonic() - self.since


def _cpu(process: int) -> float:
    """Seconds of processor time of a process so far."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=1000, help="cases")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--kind", help="cases of this kind only")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the result")
    parser.add_argument("--keep", type=Path, help="keep the folders of cases with faults here")
    parser.add_argument("--planted", action="store_true", help="faults that must be found")
    for internal in ("--worker",):
        parser.add_argument(internal, action="store_true", help=argparse.SUPPRESS)
    for internal in ("--last", "--step"):
        parser.add_argument(internal, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    options = parse()
    if options.worker:
        worker(options)
        return 0
    with tempfile.TemporaryDirectory(prefix="sppdet-mutations-") as folder:
        campaign = Campaign(options, Path(folder))
        start = time.monotonic()
        campaign.run()
        if options.keep is not None:
            for number in {fault["case"] for fault in campaign.faults}:
                place = Path(folder) / f"case-{number}"
                if place.exists():
                    options.keep.mkdir(parents=True, exist_ok=True)  # cp keeps pipes and sockets
                    subprocess.run(["cp", "-a", str(place), str(options.keep)], check=False)
    total = sum(campaign.cases.values())
    result = {
        "seed": options.seed,
        "cases": dict(sorted(campaign.cases.items())),
        "number": total,
        "faults": campaign.faults,
        "most_processor_seconds": round(campaign.slowest, 2),
        "most_megabytes": round(campaign.largest),
        "minutes": round((time.monotonic() - start) / 60, 1),
        "date": time.strftime("%Y-%m-%d"),
    }
    print(
        f"{total} cases, {len(campaign.faults)} faults; most processor time "
        f"{campaign.slowest:.1f} s, most memory {campaign.largest:.0f} MB"
    )
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if campaign.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
