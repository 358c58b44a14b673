"""All checks and figures that need a GPU, in at most seven minutes from a bare machine.

Every part runs in a process of its own, the most important ones first, and one JSON file holds what
is known so far after each part: what was measured, and why the rest was not.

    python benchmarks/gpu_check.py --output gpu.json
    python benchmarks/gpu_check.py --parts pooling,tests
    python benchmarks/gpu_check.py --device cpu --short

Needed are the packages of sppdet without opencv-contrib-python (opencv-python-headless is enough)
and the data sets Fruit and CIFAR-10 with SqueezeNet's weights, in the folder that ``--data`` or the
environment variable SPPDET_DATA names. ``--short`` runs every part with little work.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

PARTS = {
    "pooling": 100,
    "features": 90,
    "stream": 80,
    "training": 100,
    "classification": 90,
    "tests": 90,
}
"""The parts in their order, and the seconds after which one is stopped."""


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
    failures = 0
    warm_up = subprocess.Popen(  # the search is compiled while the first parts use the GPU
        [sys.executable, "-m", "sppdet", "warm-up"],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for part in parts:
        left = arguments.seconds - (time.perf_counter() - start)
        begun = time.perf_counter()
        if part not in ("pooling",):
            warm_up.wait()
        found = in_a_process(part, arguments, min(PARTS[part], left))
        failures += "error" in found
        content.setdefault("machine", found.pop("machine", None))
        content["parts"][part] = found
        content["seconds"][part] = round(time.perf_counter() - begun, 1)
        arguments.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        print(f"== {part}: {content['seconds'][part]} s", flush=True)
        show(found)
    warm_up.wait()
    print(f"== {time.perf_counter() - start:.0f} s, {arguments.output}")
    return 1 if failures else 0


def in_a_process(part: str, arguments: argparse.Namespace, seconds: float) -> dict[str, Any]:
    """What one part found, or ``{"error": ...}``."""
    if seconds < 5:
        return {"error": "no time was left"}
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "part.json"
        command = [sys.executable, str(Path(__file__).resolve()), "--part", part]
        command += ["--data", str(arguments.data), "--device", arguments.device]
        command += ["--output", str(result), *(["--short"] if arguments.short else [])]
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
    """One part, in this process; its file is the result."""
    import torch

    device = torch.device(arguments.device)
    found: dict[str, Any]
    try:
        if arguments.part == "tests":
            found = run_tests(arguments.short)
        else:
            module = importlib.import_module(f"gpu.{arguments.part}")
            found = module.measure(arguments.data, device, arguments.short)
    except Exception as error:
        traceback.print_exc()
        found = {"error": f"{type(error).__name__}: {error}"}
    try:
        found["machine"] = machine(device)
    except Exception as error:
        found.setdefault("error", f"{type(error).__name__}: {error}")
    arguments.output.write_text(json.dumps(found), encoding="utf-8")
    return 0


def run_tests(short: bool) -> dict[str, Any]:
    """The tests marked ``gpu``."""
    # Other files may need packages that a bare machine lacks.
    files = sorted(
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("test_*.py")
        if "mark.gpu" in path.read_text(encoding="utf-8")
    )
    command = [sys.executable, "-m", "pytest", *files, "-m", "gpu", "-p", "no:cacheprovider"]
    command += ["-rfE"]
    command += ["--collect-only"] if short else ["--no-header", "--tb=short"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout[-6000:], done.stderr[-2000:])
    lines = done.stdout.strip().splitlines() or [done.stderr[-300:]]
    found: dict[str, Any] = {"result": lines[-1], "exit code": done.returncode}
    found["failed"] = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return found if done.returncode == 0 else {"error": "tests failed", **found}


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
