"""All checks and figures that need a GPU; what is not done after seven minutes is stopped.

Every part runs in a process of its own, the most important ones first, and one JSON file holds what
is known so far after each part: what was measured, and why the rest was not. The last two parts,
the tests and the accuracies, which are no times, run side by side.

    python benchmarks/gpu_check.py --output gpu.json
    python benchmarks/gpu_check.py --parts pooling,tests
    python benchmarks/gpu_check.py --device cpu --short

Needed are the packages of sppdet without opencv-contrib-python (opencv-python-headless is enough)
and the data sets Fruit and CIFAR-10 with SqueezeNet's weights, in the folder that ``--data`` or the
environment variable SPPDET_DATA names. ``--short`` runs every part with little work.
"""

import argparse
import faulthandler
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

KINDS = ("float32", "float16", "bfloat16")
"""Types of numbers whose kernels are compiled, each in a process."""

PARTS = {
    "pooling": 40,
    "features": 60,
    "stream": 85,
    "training": 90,
    "classification": 60,
    "tests": 120,
    "accuracy": 240,
}
"""The parts in their order, and the seconds after which one is stopped."""

SIDE_BY_SIDE = ("tests", "accuracy")
"""Parts that measure no times, and run last."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("SPPDET_DATA", str(ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--output", type=Path, default=Path("gpu.json"), help="the figures")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--parts", default=",".join(PARTS), help="separated by commas, in order")
    parser.add_argument("--seconds", type=float, default=420.0, help="for all parts together")
    parser.add_argument("--short", action="store_true", help="little work, for a test")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        return run_part(arguments)
    parts = arguments.parts.split(",")
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        parser.error(f"--parts {unknown[0]}: choose from {', '.join(PARTS)}")
    content = {"date": str(date.today()), "commit": commit(), "parts": {}, "seconds": {}}
    start = time.perf_counter()
    compile_all(arguments)
    content["seconds"]["compilation"] = round(time.perf_counter() - start, 1)
    failures = 0

    def run(part: str) -> tuple[str, dict[str, Any], float]:
        begun = time.perf_counter()
        found = in_a_process(part, arguments, min(PARTS[part], arguments.seconds - (begun - start)))
        return part, found, time.perf_counter() - begun

    last = [part for part in parts if part in SIDE_BY_SIDE]
    with ThreadPoolExecutor(len(SIDE_BY_SIDE)) as pool:
        first = map(run, (part for part in parts if part not in last))
        for part, found, seconds in chain(first, Later(lambda: pool.map(run, last))):
            failures += "error" in found
            content.setdefault("machine", found.pop("machine", None))
            content["parts"][part] = found
            content["seconds"][part] = round(seconds, 1)
            arguments.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            print(f"== {part}: {seconds:.1f} s", flush=True)
            show(found)
    print(f"== {time.perf_counter() - start:.0f} s, {arguments.output}")
    return 1 if failures else 0


class Later:
    """An iterable that is made when it is first asked for a value."""

    def __init__(self, make: Callable[[], Iterable[Any]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Any]:
        return iter(self._make())


def compile_all(arguments: argparse.Namespace) -> None:
    """Compile the search and the kernels before anything is timed, side by side."""
    commands = [["-m", "sppdet", "warm-up"]]
    if arguments.device != "cpu":
        here = [str(Path(__file__).resolve()), "--device", arguments.device]
        commands += [[*here, "--part", f"kernels:{kind}"] for kind in KINDS]
    running = [
        subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment(), stdout=sys.stderr)
        for command in commands
    ]
    for one in running:
        one.wait()


def in_a_process(part: str, arguments: argparse.Namespace, seconds: float) -> dict[str, Any]:
    """What one part found, or ``{"error": ...}``."""
    if seconds < 5:
        return {"error": "no time was left"}
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "part.json"
        command = [sys.executable, str(Path(__file__).resolve()), "--part", part]
        command += ["--data", str(arguments.data), "--device", arguments.device]
        command += ["--output", str(result), "--seconds", str(seconds)]
        command += ["--short"] if arguments.short else []
        try:
            subprocess.run(
                command,
                cwd=ROOT,
                env=environment(),
                timeout=seconds,
                stdout=sys.stderr,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"error": f"it took longer than {seconds:.0f} s", **read(result)}
        return read(result) or {"error": "the process ended without a result"}


def read(path: Path) -> dict[str, Any]:
    """A part's file; nothing where there is none."""
    content: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return content


def run_part(arguments: argparse.Namespace) -> int:
    """One part, in this process; its file is the result, and every second what there is of it."""
    import torch

    device = torch.device(arguments.device)
    if arguments.part.startswith("kernels:"):
        pooling = importlib.import_module("gpu.pooling")
        pooling.compile_kernels(device, getattr(torch, arguments.part.removeprefix("kernels:")))
        return 0
    # What takes so long, before the process is stopped; its imports took some of the time.
    faulthandler.dump_traceback_later(max(arguments.seconds - 10, 1))
    found: dict[str, Any] = {}
    done = threading.Event()
    writer = threading.Thread(target=write_often, args=(arguments.output, found, done))
    writer.start()
    try:
        if arguments.part == "tests":
            run_tests(arguments.short, found)
        elif arguments.part == "accuracy":
            module = importlib.import_module("gpu.classification")
            module.accuracy(arguments.data, device, arguments.short, found)
        else:
            module = importlib.import_module(f"gpu.{arguments.part}")
            module.measure(arguments.data, device, arguments.short, found)
    except Exception as error:
        traceback.print_exc()
        found["error"] = f"{type(error).__name__}: {error}"
    try:
        found["machine"] = machine(device)
    except Exception as error:
        found.setdefault("error", f"{type(error).__name__}: {error}")
    done.set()
    writer.join()
    return 0


def write_often(path: Path, found: dict[str, Any], done: threading.Event) -> None:
    """Write the figures every second and at the end, so that a part that is stopped has some."""
    ended = False
    while not ended:
        ended = done.wait(1.0)
        try:
            text = json.dumps(found)
        except RuntimeError:  # a figure came meanwhile
            continue
        fresh = path.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)


def run_tests(short: bool, found: dict[str, Any]) -> None:
    """The tests marked ``gpu``."""
    # Other files may need packages that a bare machine lacks.
    files = sorted(
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("test_*.py")
        if "mark.gpu" in path.read_text(encoding="utf-8")
    )
    command = [sys.executable, "-m", "pytest", *files, "-m", "gpu", "-p", "no:cacheprovider"]
    command += ["-rfE"]
    if importlib.util.find_spec("xdist") is not None:
        command += ["-n", "4"]  # most of the time they compile kernels
    command += ["--collect-only"] if short else ["--no-header", "--tb=short", "-vv"]
    found["failed"], found["passed"], last = [], 0, "nothing"
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            print(line, end="")
            last = line.strip() or last
            found["passed"] += " PASSED" in line
            if " FAILED" in line or " ERROR" in line:
                found["failed"].append(next(word for word in line.split() if "::" in word))
    found["result"] = last
    if running.returncode != 0:
        found["error"] = f"tests failed, exit code {running.returncode}"


def machine(device: Any) -> dict[str, Any]:
    """What the figures were taken on."""
    import torch

    from sppdet.benchmark.speed import machine as facts

    found = {**facts(), "device": str(device)}
    if device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def environment() -> dict[str, str]:
    """The environment of the processes: this checkout first."""
    path = os.pathsep.join(
        filter(None, [str(ROOT), str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH")])
    )
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def commit() -> str:
    """The commit of this checkout, where git is there to tell."""
    try:
        command = ["git", "rev-parse", "--short", "HEAD"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "not recorded"


def show(found: dict[str, Any], indent: str = "  ") -> None:
    """Print figures, a line each."""
    for name, value in found.items():
        if isinstance(value, dict):
            print(f"{indent}{name}", flush=True)
            show(value, indent + "  ")
        else:
            value = f"{value:.4g}" if isinstance(value, float) else value
            print(f"{indent}{name}: {value}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
