"""The campaigns in short: some seconds of each, and proof that they find what is planted."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def run(script: str, *words: str, file: Path) -> tuple[int, dict, str]:
    done = subprocess.run(
        [sys.executable, HERE / script, *words, "--json", file],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return done.returncode, json.loads(file.read_text()) if file.exists() else {}, done.stdout


@pytest.mark.slow
def test_mutations(tmp_path: Path) -> None:
    code, found, said = run("mutations.py", "--number", "120", "--seed", "17", file=tmp_path / "r")
    assert (code, found["number"], found["faults"]) == (0, 120, []), said
    assert len(found["cases"]) > 8


@pytest.mark.slow
def test_the_campaign_of_mutations_finds_what_is_planted(tmp_path: Path) -> None:
    words = ("--planted", "--number", "8", "--workers", "1", "--seconds", "3")
    code, found, said = run("mutations.py", *words, file=tmp_path / "r")
    assert code == 1
    faults = {fault["kind"]: fault["fault"] for fault in found["faults"]}
    assert faults.keys() == found["cases"].keys() - {"sound"}, said
    assert "KeyError: 'planted'" in faults["traceback"]
    assert "s of processor time" in faults["processor"]
    assert "MB of memory" in faults["memory"]
    assert faults["outside"].endswith("/stray")
    assert faults["death"].startswith("ends with code 9")
    assert "control characters" in faults["escape"]
    assert "waits for more than" in faults["sleep"]


@pytest.mark.slow
def test_kills(tmp_path: Path) -> None:
    words = ["--number", "3", "--seed", "3", "--fresh", "3"]
    for command in ("train", "detect", "cache"):
        words += ["--command", command]
    code, found, said = run("kills.py", *words, file=tmp_path / "r")
    assert (code, found["number"], found["faults"]) == (0, 3, []), said
