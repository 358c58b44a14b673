"""``sppdet warm-up``: a process of its own leaves what the next one needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_next_process_compiles_nothing(tmp_path: Path) -> None:
    found = []
    for number in range(2):
        file = tmp_path / f"{number}.json"
        done = subprocess.run(
            [sys.executable, "-m", "sppdet", "warm-up", "--json", file, "--device", "cpu"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path / "kept")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found.append(json.loads(file.read_text(encoding="utf-8")))
        compiled, loaded = found[-1]["compiled"], found[-1]["loaded"]
        assert f"{compiled} functions compiled and kept, {loaded} of an earlier run" in done.stderr
        assert "next detection: " in done.stderr
    first, second = found
    assert first["compiled"] > 10
    assert second["compiled"] == 0
    assert second["loaded"] > 5  # functions that others call come with these
    assert first["kept_in"]
    assert all(Path(folder).is_relative_to(tmp_path / "kept") for folder in first["kept_in"])
    assert second["first_seconds"] < first["first_seconds"]
