"""The two solvers of the SVMs on rendered scenes."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from sppdet.datasets.scenes import write_scenes


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("solvers")
    write_scenes(folder / "train", 16, seed=0, size=(160, 120))
    write_scenes(folder / "test", 8, seed=1, size=(160, 120))
    return folder


def test_both_solvers_find_the_same(
    scenes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    load_script: Callable[[str], ModuleType],
) -> None:
    monkeypatch.setenv("SPPDET_CACHE", str(tmp_path / "cache"))
    script = load_script("solvers")
    figures = tmp_path / "solvers.json"
    words = ["solvers.py", str(scenes), "--gram-examples", "100", "--json", str(figures)]
    monkeypatch.setattr("sys.argv", words)
    script.main()
    rows = json.loads(figures.read_text(encoding="utf-8"))["rows"][scenes.name]
    gram, disk = rows["Gram matrix"], rows["from the disk"]
    assert gram["examples"] > 100 < disk["examples"]
    assert gram["map_area"] > 0.5
    assert gram["map_area"] == pytest.approx(disk["map_area"], abs=0.05)
    assert not list((tmp_path / "cache" / "regions").glob("*.safetensors"))


def test_a_comparison_of_nothing_is_refused(
    scenes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    load_script: Callable[[str], ModuleType],
    ended: Callable[..., tuple[int, str]],
) -> None:
    monkeypatch.setenv("SPPDET_CACHE", str(tmp_path / "cache"))
    code, line = ended(load_script("solvers"), scenes, "--gram-examples", "5000")
    assert code == 2
    assert line.endswith("give a smaller --gram-examples")
