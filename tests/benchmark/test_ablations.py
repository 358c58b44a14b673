"""The script of the ablations: its settings, and its short form on rendered scenes."""

import importlib
import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from sppdet.datasets.scenes import write_scenes
from sppdet.detections import Detections
from sppdet.settings import SppSettings
from sppdet.trunks import build_trunk

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "ablations.py"


@pytest.fixture(autouse=True)
def _beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))


def test_every_variant_changes_one_choice(load_script: Callable[[str], ModuleType]) -> None:
    ablations = load_script("ablations")
    trunk = build_trunk("small", None)
    base = asdict(SppSettings(trunk.spec.scales))
    assert ablations.VARIANTS[0].choice == "baseline"
    for variant in ablations.VARIANTS[1:]:
        extractor = ablations.extractor_of(variant, trunk)
        changes: list[object] = [variant.method != "spp", variant.heads != "svm"]
        changes += [*variant.training, *variant.selection]
        if variant.method != "rcnn":
            seen = asdict(extractor.settings)
            changes += [name for name in base if seen[name] != base[name]]
        assert sum(map(bool, changes)) == 1, variant
    five = next(v for v in ablations.VARIANTS if v.choice == "scales")
    assert ablations.extractor_of(five, trunk).settings.scales == (224, 272, 320, 400, 560)


@pytest.mark.slow
def test_the_short_form_runs_and_goes_on(
    load_script: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    write_scenes(tmp_path / "few", 6, seed=7, size=(160, 120))
    files = ("--json", tmp_path / "a.json", "--figure", tmp_path / "a.png")
    words = [SCRIPT, tmp_path / "few", "--folds", 2, "--trunk", "small", "--boxes", 150, *files]
    command = [sys.executable, *map(str, words), "--work", str(tmp_path / "work")]
    content = {}
    for only in ("levels", "levels,pooling"):
        done = subprocess.run(
            [*command, "--only", only], capture_output=True, text=True, timeout=500, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        content[only] = json.loads((tmp_path / "a.json").read_text())
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    first, second = content.values()
    assert second["rows"][: len(first["rows"])] == first["rows"]  # with the same seconds
    assert [entry[1] for entry in second["rows"]] == ["baseline", *["levels"] * 4, "pooling"]
    assert first["rows"][0][5] is None
    assert all(entry[6][0] <= entry[6][1] for entry in second["rows"][1:])
    tables = load_script("tables")
    assert set(first) == set(tables.FIELDS)
    assert tables.table(first).count("\n| few |") == 5


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    write_scenes(tmp_path / "few", 4, seed=7, size=(160, 120))
    return tmp_path / "few"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("none", "none: no such"),
        ("empty", "empty: holds neither images nor annotations"),
        ("few --trunk nonesuch", "trunk nonesuch: unknown; choose one of small"),
        ("few --weights nofile", "nofile: no such weights file"),
        ("few --weights few/LICENSE", "few/LICENSE: is neither"),
        ("few --device foo", "--device foo: there is no such device here; try cpu"),
        ("few --boxes 0", "--boxes: 0: give a whole number from 1"),
        ("few --seed -1", "--seed: -1: give a whole number from 0"),
        ("few --images 0", "--images: 0: give a whole number from 2"),
        ("few --images 1", "--images: 1: give a whole number from 2"),
        ("few --images -3", "--images: -3: give a whole number from 2"),
        ("few --folds 1", "--folds: 1: give a whole number from 2"),
        ("few --folds 5", "--folds 5: more than the 4 images of few"),
        ("few --folds 4 --images 3", "--folds 4: more than the 3 images of few"),
        ("few --only level", "--only level: choose from baseline"),
    ],
)
def test_bad_input_is_a_line_and_code_2(
    words: str,
    said: str,
    scenes: Path,
    load_script: Callable[[str], ModuleType],
    ended: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(scenes.parent)
    Path("empty").mkdir()
    Path("few/LICENSE").write_text("words")
    script = load_script("ablations")
    code, line = ended(script, *words.split()[:1], "--trunk", "small", *words.split()[1:])
    assert code == 2
    assert said in line


def test_what_is_kept_is_of_this_data_and_these_settings(
    scenes: Path,
    tmp_path: Path,
    load_script: Callable[[str], ModuleType],
    ended: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script, measured = load_script("ablations"), []

    def detections(dataset, variant, *_):  # type: ignore[no-untyped-def]
        measured.append(variant.name)
        return [Detections.none(dataset.classes)] * len(dataset.images), 1.0

    def count(*words: object) -> int:
        measured.clear()
        places = [f"--{name}={tmp_path / name}" for name in ("work", "json", "figure")]
        options = ("--trunk", "small", "--only", "pooling", *words)
        assert ended(script, scenes, "--folds", 2, *options, *places)[0] == 0
        return len(measured)

    monkeypatch.setattr(script, "detections_of", detections)
    monkeypatch.setattr(script, "draw", lambda *_: None)
    assert count() == 2
    assert count() == 0
    label = min(scenes.glob("**/*.xml"))
    text = label.read_text()
    label.write_text(text.replace("<difficult>0", "<difficult>1", 1))
    assert label.read_text() != text
    assert count() == 2
    label.write_text(text)
    assert count() == 0
    image = min(scenes.glob("**/*.jpg"))
    content = bytearray(image.read_bytes())
    content[-20] ^= 1  # of the same size
    image.write_bytes(content)
    assert count() == 2
    for words in ("--boxes 10", "--seed 1", "--weights random", "--folds 3", "--images 3"):
        assert count(*words.split()) == 2, words
        assert count(*words.split()) == 0, words
    words = ["--boxes", "10", "--weights", "random", "--images", "3"]
    count(*words)
    command = shlex.split(json.loads((tmp_path / "json").read_text())["command"][0])
    assert command[:3] == ["python", "benchmarks/ablations.py", "FEW"]
    pairs = dict(zip(command[3::2], command[4::2], strict=True))
    assert pairs == {
        "--folds": "2",
        "--images": "3",
        "--boxes": "10",
        "--trunk": "small",
        "--weights": "random",
        "--only": "pooling",
        "--seed": "0",
    }


def test_samples_are_maxima_of_interpolated_points() -> None:
    """The slow, obvious twin."""
    sampled = importlib.import_module("sampled_regions").sampled
    rng = np.random.default_rng(0)
    cells = rng.random((7, 9, 3)).astype(np.float32)
    boxes = np.array(
        [[0, 0, 8, 6], [1.3, 2.1, 5.9, 4.4], [-0.4, 0.2, 3.1, 6.3], [2.2, 3.1, 2.6, 3.9]],
        np.float32,
    )
    wanted = []
    for x1, y1, x2, y2 in boxes.astype(float):
        for level in (1, 3):
            for row in range(level):
                for column in range(level):
                    points = [
                        between(
                            cells,
                            y1 + (y2 - y1) * (row + part) / level,
                            x1 + (x2 - x1) * (column + other) / level,
                        )
                        for part in (0.25, 0.75)
                        for other in (0.25, 0.75)
                    ]
                    wanted.append(np.max(points, axis=0))
    found = sampled(torch.from_numpy(cells), torch.from_numpy(boxes), (1, 3))
    assert np.allclose(found.numpy().reshape(-1, 3), wanted, atol=1e-5)


def between(cells: np.ndarray, y: float, x: float) -> np.ndarray:
    """Bilinear interpolation; outside, the nearest edge."""
    y, x = np.clip(y, 0, cells.shape[0] - 1), np.clip(x, 0, cells.shape[1] - 1)
    top, left = int(min(y, cells.shape[0] - 2)), int(min(x, cells.shape[1] - 2))
    down, right = y - top, x - left
    upper = cells[top, left] * (1 - right) + cells[top, left + 1] * right
    lower = cells[top + 1, left] * (1 - right) + cells[top + 1, left + 1] * right
    return upper * (1 - down) + lower * down


def test_a_box_that_covers_whole_cells_has_samples_among_them() -> None:
    """The mapping to cells is right: a constant ramp is read at the box's own place."""
    kind = importlib.import_module("sampled_regions").SampledRegionFeatures
    trunk = build_trunk("small", None)
    extractor = kind(trunk, SppSettings((64,), levels=(1,)))
    stride, first = trunk.geometry.stride, trunk.geometry.first_center
    ramp = first + 0.5 + stride * np.arange(8, dtype=np.float32)  # half-open place of each column
    cells = torch.from_numpy(np.tile(ramp[None, :, None], (4, 1, 2)))
    box = np.array([[20.0, 10.0, 80.0, 50.0]], np.float32)
    regions = extractor.with_maps([cells], 128, 64, box)
    found = regions.features(np.array([0]))
    assert float(found[0, 0]) == pytest.approx(20 + 0.75 * 60)  # the sample farthest to the right
