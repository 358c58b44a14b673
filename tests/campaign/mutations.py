"""Mutated inputs of every kind: each ends in a result or in one clear line.

    python tests/campaign/mutations.py --number 10000 --seed 0 --json mutations.json

Of a case it demands: no exception that is not a SppdetError; a command ends with exit code 0, 1 or
2, and with 2 it says one line; at most 10 s of processor time, and of waiting; at most 2 GB of
memory; no file is written outside the folder of the outputs; and no control character reaches the
terminal. A case depends on the seed and its number only: ``--first N --number 1`` does it again.
"""

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from results import conclude

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


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
        words += ["--seed", str(self.options.seed), "--seconds", str(self.options.seconds)]
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
                most = self.options.seconds
                if asleep.seconds() > most:
                    why = f"waits for more than {most:g} s"
                elif _cpu(process.pid) - used > 1.5 * most:
                    why = f"more than {1.5 * most:g} s of processor time"
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
    parser.add_argument("--seconds", type=float, default=10, help="of a case, at most")
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
        import worker

        worker.work(options)
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
    slowest, largest = campaign.slowest, campaign.largest
    figures = {"most_processor_seconds": round(slowest, 2), "most_megabytes": round(largest)}
    said = f"; most processor time {slowest:.1f} s, most memory {largest:.0f} MB"
    return conclude(campaign, options, start, figures, said)


if __name__ == "__main__":
    raise SystemExit(main())
