"""Commands killed at random moments; then the same command again ends with the same result.

    python tests/campaign/kills.py --number 100 --seed 0 --json kills.json

SIGKILL, SIGINT and SIGTERM hit train, detect, evaluate, classify, data check, convert and cache
after a random amount of processor time. Of a case it demands: what lies in the output is whole; a
command that SIGINT or SIGTERM hits ends with 130 or 143 (or is done, with 0), says at most one line
of error and shows no traceback; the second run ends with the result of an undisturbed run; and
nothing temporary stays in the folders of outputs and caches. A case runs in a copy of a process
that has imported everything, which is cheap; every ``--fresh``-th runs in a new interpreter,
so that the signal may hit imports and the end of the process.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import cpu, end, start, whole
from results import conclude

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
ROOT = Path(__file__).resolve().parents[2]
ALONE = ("convert",)
"""Commands that refuse an output that is there: killed after the last rename, they are done."""


@dataclass(frozen=True)
class Subject:
    """A command, the folders that it writes, and what its result is."""

    words: list[str]
    result: Callable[[Path], Any]
    prepare: Callable[[Path], None] = lambda place: None


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def without_seconds(content: Any) -> Any:
    """JSON without times."""
    if isinstance(content, dict):
        return {k: without_seconds(v) for k, v in content.items() if k not in ("seconds", "image")}
    return [without_seconds(one) for one in content] if isinstance(content, list) else content


def found(place: Path) -> dict[str, Any]:
    """What detect, evaluate or data check wrote: every file, and the JSON without times."""
    files = sorted(file for file in (place / "out").rglob("*") if file.is_file())
    return {
        str(file.relative_to(place)): without_seconds(json.loads(file.read_bytes()))
        if file.suffix == ".json"
        else digest(file)
        for file in files
    }


def trained(place: Path) -> Any:
    """The tensors of a run and its history without times."""
    from sppdet.runtime.tensor_files import checksum, load_tensors

    tensors, _ = load_tensors(place / "out" / "last.safetensors")
    history = json.loads((place / "out" / "history.json").read_bytes())
    return checksum(tensors, {}), without_seconds(history)


def subjects(data: Path) -> dict[str, Subject]:
    """Commands on small data; PLACE stands for the folder of the case."""
    scenes, photos = str(data / "scenes"), str(data / "scenes" / "train")
    train = ["train", scenes, "--output", "PLACE/out/m.safetensors", "--trunk", "small"]
    train += ["--scales", "128", "--boxes", "100", "--proposals", "fast", "--workers", "1"]
    evaluate = ["evaluate", scenes, "--model", str(data / "m.safetensors"), "--workers", "1"]
    evaluate += ["--json", "PLACE/out/ap.json", "--export", "PLACE/out/voc", "--intervals", "20"]
    classify = ["classify", "train", str(data / "classes"), "--network", "small", "--epochs", "2"]
    classify += ["--batch", "8", "--sizes", "32", "--output", "PLACE/out"]
    check = ["data", "check", scenes, "--split", "train", "--json", "PLACE/out/c.json"]
    check += ["--contact-sheet", "PLACE/out/sheet.png"]
    return {
        "train": Subject(train, lambda place: digest(place / "out" / "m.safetensors")),
        "detect": Subject(["detect", photos, "--output", "PLACE/out"], found),
        "evaluate": Subject(evaluate, found),
        "classify": Subject(classify, trained),
        "data": Subject(check, found),
        "convert": Subject(["convert", scenes, "PLACE/out/set", "--to", "voc", "--copy"], found),
        "cache": Subject(
            ["cache", "clear"],
            lambda place: sorted(map(str, (place / "cache").rglob("*.boxes"))),
            lambda place: _fill(place / "cache"),
        ),
    }


def _fill(cache: Path) -> None:
    for number in range(400):
        entry = cache / "proposals" / f"{number % 7:02}" / f"{number}.boxes"
        entry.parent.mkdir(parents=True, exist_ok=True)
        entry.write_bytes(bytes(16))


def make_data(folder: Path) -> None:
    """Rendered scenes, a detector of them, and images of two classes."""
    import numpy as np
    from PIL import Image

    from sppdet.datasets.scenes import write_scenes

    write_scenes(folder / "scenes" / "train", 6, seed=0, size=(160, 120))
    write_scenes(folder / "scenes" / "test", 4, seed=1, size=(160, 120))
    rng = np.random.default_rng(0)
    for split, count in (("train", 16), ("test", 4)):
        for label in range(2):
            for number in range(count):
                image = rng.integers(0, 120, (24, 24, 3), np.uint8) + np.uint8(100 * label)
                file = folder / "classes" / split / str(label) / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(file)


class Campaign:
    """Reference results first, then the kills."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.subjects = subjects(folder)
        self.cases: Counter[str] = Counter()
        self.faults: list[dict[str, Any]] = []
        self.expected: dict[str, Any] = {}
        self.seconds: dict[tuple[str, bool], float] = {}
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        subprocess.run([sys.executable, "-c", "import encodings, runpy"], check=True)
        self.begun = 2 * (resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - used) + 0.05
        """Processor time after which a new interpreter runs sppdet's code: before, no code of ours
        can say what a signal does."""

    def place(self, name: str) -> Path:
        place = self.folder / name
        shutil.rmtree(place, ignore_errors=True)
        for inner in ("out", "cache", "tmp"):
            (place / inner).mkdir(parents=True)
        return place

    def refer(self, name: str, fresh: bool) -> None:
        """The undisturbed run: its result and its processor time."""
        if (name, fresh) in self.seconds:
            return
        place = self.place(f"reference-{name}")
        self.subjects[name].prepare(place)
        code, seconds = end(start(self.subjects[name].words, place, fresh))
        if code:
            raise SystemExit(f"{name} fails undisturbed:\n{(place / 'log').read_text()[-2000:]}")
        self.seconds[name, fresh] = seconds
        print(f"{name}{' fresh' if fresh else ''}: {seconds:.1f} s undisturbed", flush=True)
        self.expected.setdefault(name, self.subjects[name].result(place))

    def run(self) -> None:
        make_data(self.folder)
        place = self.place("model")
        words = [str(word) for word in self.subjects["train"].words]
        if end(start(words, place, False))[0]:
            raise SystemExit((place / "log").read_text()[-2000:])
        shutil.copy(place / "out" / "m.safetensors", self.folder / "m.safetensors")
        names = self.options.command or list(self.subjects)
        for number in range(self.options.first, self.options.first + self.options.number):
            rng = random.Random(f"{self.options.seed} {number}")
            name, signum = names[number % len(names)], rng.choice(SIGNALS)
            fresh = bool(self.options.fresh) and number % self.options.fresh == 0
            fresh = fresh and signum != signal.SIGKILL
            self.refer(name, fresh)
            self.case(number, name, signum, fresh, rng)
        pairs = [name for name in names if name not in ALONE]
        for number in range(self.options.together):
            self.together(number, pairs[number % len(pairs)])

    def together(self, number: int, name: str) -> None:
        """The same command twice at once, with one cache and one output."""
        self.refer(name, False)
        subject, place = self.subjects[name], self.place("case")
        subject.prepare(place)
        processes = [start(subject.words, place, False) for _ in range(2)]
        codes = [end(process)[0] for process in processes]
        faults = [] if codes == [0, 0] else [f"{codes}: {(place / 'log').read_text()[-1200:]!r}"]
        if not faults and subject.result(place) != self.expected[name]:
            faults.append("another result")
        left = [p.name for p in place.rglob("*") if ".sppdet-" in p.name]
        self.note(
            number, f"{name} twice at once", faults + ([f"leaves {left[:5]}"] if left else [])
        )

    def note(self, number: int, kind: str, faults: list[str]) -> None:
        self.cases[kind] += 1
        for fault in faults:
            self.faults.append({"case": number, "kind": kind, "fault": fault})
            print(f"case {number} ({kind}): {fault}", flush=True)

    def case(
        self, number: int, name: str, signum: signal.Signals, fresh: bool, rng: random.Random
    ) -> None:
        subject, place = self.subjects[name], self.place("case")
        subject.prepare(place)
        earliest = self.begun if fresh else 0.02
        moment = rng.uniform(earliest, max(self.seconds[name, fresh] * 1.02, earliest))
        process = start(subject.words, place, fresh)
        while cpu(process) < moment:
            time.sleep(0.004)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signum)
        code, _ = end(process)
        said = (place / "log").read_text(errors="replace")
        faults = whole(place / "out")
        if signum == signal.SIGKILL:
            faults += [f"ends with {code}"] if code not in (0, -9) else []
        else:
            faults += [f"ends with {code}"] if code not in (0, 128 + signum) else []
            if "Traceback" in said or "Exception" in said or said.count("error:") > 1:
                faults.append(f"says {said[-1200:]!r}")
            if code and "error: interrupted" not in said:
                faults.append(f"ends with {code} and says {said[-300:]!r}")
        (place / "log").unlink()
        again, _ = end(start(subject.words, place, False))
        done = name in ALONE and again == 2 and subject.result(place) == self.expected[name]
        if again and not done:
            faults.append(f"again: {again}, {(place / 'log').read_text()[-800:]!r}")
        elif not again and subject.result(place) != self.expected[name]:
            faults.append("again: another result")
        left = [p.name for p in place.rglob("*") if ".sppdet-" in p.name]
        if signum != signal.SIGKILL:
            # PyTorch makes the folder of its compiler's cache when torchvision is imported.
            own = [p.name for p in (place / "tmp").iterdir()]
            left += [name for name in own if not name.startswith("torchinductor_")]
        faults += [f"leaves {left[:5]}"] if left else []
        faults = [f"at {moment:.2f} s: {fault}" for fault in faults]
        self.note(number, f"{name} {signum.name}{' fresh' if fresh else ''}", faults)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=100, help="kills")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--fresh", type=int, default=4, help="0: no new interpreters")
    parser.add_argument("--together", type=int, default=0, help="pairs of runs at once")
    parser.add_argument("--command", action="append", help="this command only; several times")
    parser.add_argument("--json", type=Path, help="write the result")
    return parser.parse_args()


def main() -> int:
    options = parse()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["PYTHONPATH"] = str(ROOT)
    import sppdet.cli.common
    import sppdet.cli.detect
    import sppdet.datasets.writers
    import sppdet.evaluation.report
    import sppdet.training.train  # noqa: F401 all that commands import, before the copies

    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sppdet-kills-") as folder:
        campaign = Campaign(options, Path(folder))
        campaign.run()
    return conclude(campaign, options, begin)


if __name__ == "__main__":
    raise SystemExit(main())
