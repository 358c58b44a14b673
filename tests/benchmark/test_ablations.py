"""The script of the ablations: its settings, and its short form on rendered scenes."""

import importlib.util
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import pytest

from sppdet.datasets.scenes import write_scenes
from sppdet.settings import SppSettings
from sppdet.trunks import build_trunk

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "ablations.py"


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = made
    spec.loader.exec_module(made)
    return made


def test_every_variant_changes_one_choice() -> None:
    ablations = module(SCRIPT)
    trunk = build_trunk("small", None)
    base = asdict(SppSettings(trunk.spec.scales))
    assert ablations.VARIANTS[0].choice == "baseline"
    for variant in ablations.VARIANTS[1:]:
        extractor = ablations.extractor_of(variant, trunk)
        changes = [variant.method != "spp", variant.heads != "svm", *variant.training]
        if variant.method == "spp":
            seen = asdict(extractor.settings)
            changes += [name for name in base if seen[name] != base[name]]
        assert sum(map(bool, changes)) == 1, variant
    five = next(v for v in ablations.VARIANTS if v.choice == "scales")
    assert ablations.extractor_of(five, trunk).settings.scales == (224, 272, 320, 400, 560)


@pytest.mark.slow
def test_the_short_form_runs_and_goes_on(tmp_path: Path) -> None:
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
    tables = module(ROOT / "benchmarks" / "tables.py")
    assert set(first) == set(tables.FIELDS)
    assert tables.table(first).count("\n| few |") == 5
