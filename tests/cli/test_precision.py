"""``--precision`` of detect, train and evaluate."""

import json
from pathlib import Path

import pytest

from sppdet.cli import main
from sppdet.datasets.scenes import write_scenes
from sppdet.runtime import processor


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "scenes"
    write_scenes(folder, 6, seed=1, size=(160, 120))
    return folder


def test_detections_are_about_the_same(scenes: Path, tmp_path: Path) -> None:
    scores = {}
    for precision in ("float32", "bfloat16"):
        output = tmp_path / precision
        options = ("--save", "json", "--threshold", "0.01", "--precision", precision)
        assert call("detect", scenes, "-o", output, *options, "--quiet") == 0
        files = sorted(output.glob("*.json"))
        found = [one for file in files for one in json.loads(file.read_text())["detections"]]
        scores[precision] = [one["score"] for one in found]
    assert scores["float32"] != scores["bfloat16"]
    assert max(scores["bfloat16"]) == pytest.approx(max(scores["float32"]), abs=0.1)


def test_a_training_and_its_test(
    scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, file = tmp_path / "m.safetensors", tmp_path / "ap.json"
    options = ("--trunk", "small", "--boxes", "200", "--precision", "bfloat16")
    assert call("train", scenes, "-o", model, *options) == 0
    assert "on cpu in bfloat16" in capsys.readouterr().err
    assert call("evaluate", scenes, "--model", model, "--json", file, *options[-2:]) == 0
    assert json.loads(file.read_text())["map_area"] > 0.3


def test_a_processor_without_the_instructions_is_told(
    scenes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain = tmp_path / "cpuinfo"
    plain.write_text("flags : fpu avx2\n")
    monkeypatch.setattr(processor, "CPUINFO", plain)
    image = sorted(scenes.glob("*.jpg"))[0]
    assert call("detect", image, "-o", tmp_path / "out", "--precision", "bfloat16") == 0
    assert "has no instructions for bfloat16" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--precision", "half"), "--precision half: choose one of float32, bfloat16"),
        (("--precision", "bfloat16", "--save", "parquet"), "--precision"),
    ],
)
def test_what_is_refused(
    options: tuple[str, ...],
    message: str,
    scenes: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("detect", scenes, "-o", tmp_path / "out", *options) == 2
    assert message in capsys.readouterr().err
