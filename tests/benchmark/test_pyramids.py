"""The script of the paper's section 3: its rows, its intervals, and its short form."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from sppdet.classification.classifier import network_of

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "pyramids.py"


@pytest.fixture(scope="module")
def pyramids(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("pyramids")


def test_every_row_is_a_network_and_every_claim_names_two(pyramids: ModuleType) -> None:
    ways = {}
    for row in pyramids.ROWS:
        network = network_of(pyramids.settings_of(row, 0, 1), 10).eval()
        assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
        if row.levels:
            assert network.pool.levels == row.levels
            assert network.pool.mode == row.pooling
        ways[row.name] = pyramids.ways_of(row)
    for claim in pyramids.CLAIMS:
        for name, way in (claim.better, claim.worse):
            assert way in ways[name]


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_interval_is_that_of_paired_differences(pyramids: ModuleType, seeds: int) -> None:
    rng = np.random.default_rng(0)
    worse = [rng.random(4000) < 0.6 for _ in range(seeds)]
    better = [one | (rng.random(4000) < 0.1) for one in worse]
    found, half = pyramids.difference(better, worse)
    assert found == pytest.approx(
        100 * np.mean([b.mean() - w.mean() for b, w in zip(better, worse, strict=True)])
    )
    assert abs(found - 4) < 2 * half
    assert half < 1.5
    same, none = pyramids.difference(worse, worse)
    assert (same, none) == (0, 0)


@pytest.mark.slow
def test_the_short_form_runs_and_goes_on(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for split, count in (("train", 70), ("test", 6)):
        for label in ("dark", "light"):
            folder = tmp_path / "data" / split / label
            folder.mkdir(parents=True)
            for index in range(count):
                grey = rng.integers(0, 120, (32, 32, 3)) + (100 if label == "light" else 0)
                Image.fromarray(grey.astype(np.uint8)).save(folder / f"{index}.png")
    words = [SCRIPT, tmp_path / "data", "--epochs", 2, "--seeds", 0, "--images", 66]
    files = ["--json", tmp_path / "p.json", "--work", tmp_path / "work"]
    for rows in ("no SPP,one size", "no SPP,one size,levels 2/1"):
        command = [sys.executable, *map(str, [*words, *files, "--rows", rows])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    content = json.loads((tmp_path / "p.json").read_text())
    assert [row[0] for row in content["rows"]] == ["no SPP", "one size", "levels 2,1"]
    assert content["rows"][0][-2:] == [None, None]
    assert len(list((tmp_path / "work").iterdir())) == 3
    claims = json.loads((tmp_path / "p_claims.json").read_text())
    assert "a pyramid helps" in [row[0] for row in claims["rows"]]
