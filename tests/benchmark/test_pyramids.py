"""The script of the paper's section 3: its rows, its intervals, and its short form."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
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


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for split, count in (("train", 70), ("test", 6)):
        for label in ("dark", "light"):
            folder = tmp_path / "data" / split / label
            folder.mkdir(parents=True)
            for index in range(count):
                grey = rng.integers(0, 120, (32, 32, 3)) + (100 if label == "light" else 0)
                Image.fromarray(grey.astype(np.uint8)).save(folder / f"{index}.png")
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("none", "none: no such folder"),
        ("data/train", "data/train: has no folder train with one folder per class"),
        ("data --seeds a", "--seeds: a: give a whole number from 0"),
        ("data --seeds 1,1", "--seeds: 1,1: give each number once"),
        ("data --epochs 0", "--epochs: 0: give a whole number from 1"),
        ("data --images 0", "--images: 0: give a whole number from 1"),
        ("data --test-images 0", "--test-images: 0: give a whole number from 1"),
        ("data --images 60", "--images 60: that is 120 training images of 2 classes"),
        ("data --rows nothing", "--rows nothing: choose from no SPP"),
        ("data --device foo", "--device foo: there is no such device here; try cpu"),
    ],
)
def test_bad_input_is_a_line_and_code_2(
    words: str,
    said: str,
    data: Path,
    pyramids: ModuleType,
    ended: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(data.parent)
    code, line = ended(pyramids, *words.split())
    assert code == 2
    assert said in line


def test_data_that_do_not_suit(
    data: Path, pyramids: ModuleType, ended: Callable[..., tuple[int, str]]
) -> None:
    (data / "train" / "grey").mkdir()
    code, line = ended(pyramids, data)
    assert code == 2
    assert line.endswith("data: train and test have different classes (folders)")
    (data / "train" / "grey").rmdir()
    Image.new("RGB", (40, 32)).save(data / "test" / "dark" / "0.png")
    code, line = ended(pyramids, data, "--images", 66)
    assert code == 2
    assert line.endswith("data: give images of one size, such as 32 x 32 px")


def test_what_is_kept_is_of_this_data_and_these_settings(
    data: Path,
    tmp_path: Path,
    pyramids: ModuleType,
    ended: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained = []

    class Untrained:
        finished = True

        def __init__(self, settings, *_):  # type: ignore[no-untyped-def]
            self.settings = settings

        def result(self) -> None:
            trained.append(self.settings)

    def tested(_, images, __, ___, ways):  # type: ignore[no-untyped-def]
        return {way: np.arange(len(images)) % 2 == 0 for way in ways}

    def count(*words: object) -> int:
        trained.clear()
        places = [f"--{name}={tmp_path / name}" for name in ("work", "json")]
        rows = ["--rows", "one size,levels 2/1", "--seeds", "1"]
        assert ended(pyramids, data, *rows, *words, *places)[0] == 0
        return len(trained)

    monkeypatch.setattr(pyramids, "Training", Untrained)
    monkeypatch.setattr(pyramids, "tested", tested)
    assert count() == 2
    assert count() == 0
    for split in ("train", "test"):
        image = data / split / "dark" / "1.png"
        other = data / split / "light" / "1.png"
        first, second = image.read_bytes(), other.read_bytes()
        image.write_bytes(second)  # two labels are changed
        other.write_bytes(first)
        assert count() == 2, split
        image.write_bytes(first)
        other.write_bytes(second)
        assert count() == 0, split
        Image.new("RGB", (32, 32)).save(image)
        assert count() == 2, split
        image.write_bytes(first)
    for words in ("--epochs 3", "--images 65", "--test-images 2"):
        assert count(*words.split()) == 2, words
        assert count(*words.split()) == 0, words
    original = pyramids.settings_of
    monkeypatch.setattr(pyramids, "settings_of", lambda *a: replace(original(*a), rate=0.2))
    assert count() == 2
    monkeypatch.setattr(pyramids, "settings_of", original)
    count("--images", 66, "--test-images", 3, "--epochs", 2)
    for table in (tmp_path / "json", next(tmp_path.glob("*_claims.json"))):
        command = shlex.split(json.loads(table.read_text())["command"][0])
        assert command[:3] == ["python", "benchmarks/pyramids.py", "DATA"]
        pairs = dict(zip(command[3::2], command[4::2], strict=True))
        assert pairs == {
            "--images": "66",
            "--test-images": "3",
            "--epochs": "2",
            "--seeds": "1",
            "--rows": "one size,levels 2/1",
        }


@pytest.mark.slow
def test_the_short_form_runs_and_goes_on(data: Path, tmp_path: Path) -> None:
    words = [SCRIPT, data, "--epochs", 2, "--seeds", 0, "--images", 66]
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
