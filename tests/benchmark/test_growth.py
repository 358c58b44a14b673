"""The script that measures how a training grows."""

import json
import mmap
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sppdet.datasets import read_dataset

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "growth.py"


@pytest.fixture(scope="module")
def growth(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("growth")


@pytest.mark.parametrize(("layout", "classes", "mean"), [("voc", 20, 2.516), ("coco", 80, 7.27)])
def test_the_labels_have_the_statistics_of_the_layout(
    growth: ModuleType, layout: str, classes: int, mean: float
) -> None:
    chosen = growth.LAYOUTS[layout]
    assert len(set(chosen.names)) == classes
    drawn = [chosen.drawn(np.random.default_rng([index, 7])) for index in range(4000)]
    assert np.mean([len(one) for one in drawn]) == pytest.approx(mean, rel=0.06)
    assert min(map(len, drawn)) == 1
    counts = Counter(name for one in drawn for name in one)
    most = max(chosen.objects) / sum(chosen.objects)
    assert counts.most_common(1)[0][1] / counts.total() == pytest.approx(most, rel=0.06)


def test_voc_has_its_objects(growth: ModuleType) -> None:
    assert sum(growth.VOC_OBJECTS) == 12608


def test_rows_and_the_whole(growth: ModuleType, tmp_path: Path) -> None:
    names = growth.PASSES
    passes = {
        name: {"seconds": 10 + i, "peak": (5 - i) * 1e6, "disk": i * 4e6}
        for i, name in enumerate(names)
    }
    measured = [{"images": images, "passes": passes} for images in (4, 8)]
    rows = growth.rows_of(measured)
    assert rows[0] == [4, "features", 10, 2.5, 5.0, 0.0]
    assert rows[4] == [4, "all", 46, 11.5, 5.0, 3.0]
    assert len(rows) == 10
    growth.draw(measured, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes()[:4] == b"\x89PNG"


def test_the_peak_is_that_since_the_last_call(growth: ModuleType) -> None:
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("Linux only")
    growth.peak_memory()
    block = mmap.mmap(-1, 40 << 20)  # goes back to the system at once, whatever the allocator does
    block.write(b"1" * len(block))
    with_block = growth.peak_memory()
    block.close()
    growth.peak_memory()
    assert growth.peak_memory() < with_block - (30 << 20)


@pytest.mark.slow
def test_a_short_run_is_measured_once(tmp_path: Path) -> None:
    data, table, details = tmp_path / "scenes", tmp_path / "t.json", tmp_path / "details.json"
    words = [sys.executable, SCRIPT, "--data", data, "--images", "6,10", "--size", "120x90"]
    words += ["--json", table, "--details", details]
    environment_free = {"capture_output": True, "text": True, "timeout": 500, "check": False}
    done = subprocess.run(list(map(str, words)), **environment_free)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    assert len(read_dataset(data).images) == 10
    content = json.loads(table.read_text(encoding="utf-8"))
    assert len(content["rows"]) == 10
    assert all(len(row) == len(content["columns"]) for row in content["rows"])
    measured = json.loads(details.read_text(encoding="utf-8"))
    assert [one["images"] for one in measured] == [6, 10]
    assert all(one["disk_left"] == 0 for one in measured)
    written = details.stat().st_mtime_ns
    again = subprocess.run(list(map(str, words)), **environment_free)  # type: ignore[call-overload]
    assert again.stdout == done.stdout
    assert details.stat().st_mtime_ns == written
