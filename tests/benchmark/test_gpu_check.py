"""The script of the GPU's figures, in its short form on the CPU."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu_check.py"


def check(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "--short"]
    command += ["--output", str(folder / "gpu.json"), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "part",
    ["pooling", "features", "stream", "training", "classification"],
)
def test_every_part_runs(part: str, tmp_path: Path, shared_data: Path) -> None:
    done = check(tmp_path, "--parts", part, "--data", str(shared_data))
    assert done.returncode == 0, done.stderr[-2000:]
    content = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert content["machine"]["device"] == "cpu"
    assert list(content["parts"]) == [part]
    assert "error" not in content["parts"][part]
    assert not [text for text in flat(content["parts"][part]) if "Error" in text]


def test_a_part_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    done = check(tmp_path, "--parts", "features,pooling", "--data", str(tmp_path / "nothing"))
    assert done.returncode == 1
    parts = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))["parts"]
    assert "error" in parts["features"]
    assert parts["pooling"]["float32 equal to the CPU's"] is True


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    done = check(tmp_path, "--parts", "pooling,nothing")
    assert done.returncode == 2
    assert "--parts nothing: choose from pooling" in done.stderr
    assert "Traceback" not in done.stderr


def flat(content: object) -> list[str]:
    """All texts in nested values."""
    if isinstance(content, dict):
        return [text for value in content.values() for text in flat(value)]
    return [content] if isinstance(content, str) else []
