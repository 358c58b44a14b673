"""The protocol of VOC 2007 on rendered scenes in its layout."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from sppdet.cli import main
from sppdet.datasets.scenes import write_scenes

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "voc2007.py"


def script(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)


@pytest.mark.slow
def test_a_row_is_trained_tested_and_kept(tmp_path: Path) -> None:
    scenes, data, out = tmp_path / "scenes", tmp_path / "VOC2007", tmp_path / "out"
    write_scenes(scenes / "trainval", 24, seed=0, size=(200, 150))
    write_scenes(scenes / "test", 10, seed=1, size=(200, 150))
    words = [sys.executable, "-m", "sppdet", "convert", scenes, data, "--to", "voc", "--copy"]
    subprocess.run(words, check=True, capture_output=True)
    done = script(data, "--output", out, "--rows", "small")
    assert done.returncode == 0, done.stderr
    row = json.loads((out / "small" / "row.json").read_text(encoding="utf-8"))
    truth = json.loads((out / "small" / "ap.json").read_text(encoding="utf-8"))
    assert row["map_11"] == truth["map_11"] > 0.5
    assert row["interval"]["low"] <= row["map_11"] <= row["interval"]["high"]
    assert row["training_seconds"] > 0
    assert f"| small | {100 * row['map_11']:.1f} (" in done.stdout
    assert (out / "voc2007.md").read_text(encoding="utf-8") == done.stdout
    written = (out / "small" / "model.safetensors").stat().st_mtime_ns
    assert script(data, "--output", out, "--rows", "small").stdout == done.stdout
    assert (out / "small" / "model.safetensors").stat().st_mtime_ns == written
    again = script(data, "--output", out, "--rows", "small", "--device", "cpu")
    assert again.returncode == 1
    assert "is of another command" in again.stderr
    for label in (data / "Annotations").rglob("*.xml"):
        label.write_text(label.read_text().replace("<difficult>0", "<difficult>1", 1))
    again = script(data, "--output", out, "--rows", "small")
    assert again.returncode == 1
    assert "is of other data or other labels" in again.stderr
    again = script(scenes / "test", "--output", tmp_path / "other", "--rows", "small")
    assert again.returncode == 2
    assert "the protocol needs VOC's splits trainval and test" in again.stderr
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rows", "vgg17"), "--rows vgg17: choose from lite0"),
        (("--weights", "zf5"), "--weights: needs TRUNK=FILE"),
        (("--weights", "zf=a.safetensors"), "--weights zf=a.safetensors: the trunks of the rows"),
        (("--rows", "lite0", "--weights", "small=a"), "--weights small=a: the trunks of the rows"),
        (("--weights", "small=nothing"), "--weights small=nothing: no such file"),
        (("--rows", "small"), "no such folder"),
    ],
)
def test_bad_options(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = script(tmp_path / "nothing", "--output", tmp_path / "out", *words)
    assert done.returncode == 2
    assert said in done.stderr


def test_train_knows_the_options_of_every_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each fails for want of data, after its options are read."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    for row in importlib.import_module("voc2007").ROWS.values():
        words = ["train", str(tmp_path / "none"), "-o", str(tmp_path / "m"), *row.words]
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "none: no such" in said, (row.words, said)
