import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sppdet.cli import main, run
from sppdet.datasets.scenes import write_scenes
from sppdet.detector import Detector

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("--trunk", "small", "--scales", "120", "--boxes", "300")
"""Options for tests in which it does not matter what is learned."""


def command(name: str, *arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        run(name, [str(argument) for argument in arguments])
    return int(stop.value.code or 0)


@pytest.fixture
def few(tmp_path: Path) -> Path:
    write_scenes(tmp_path / "few", 6, seed=7, size=(200, 150))
    return tmp_path / "few"


def test_train_then_evaluate(few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, figures = tmp_path / "m.safetensors", tmp_path / "figures.json"
    assert command("train", few, "--output", model, "--scales", "160", "--seed", "3") == 0
    assert Detector.load(model, "cpu").extractor.to_json()["scales"] == (160,)
    assert command("evaluate", few, "--model", model, "--json", figures) == 0
    result = json.loads(figures.read_text())
    assert {"map_11", "map_area", "classes"} <= set(result)
    assert result["map_11"] > 0.5  # on what it was trained on
    for values in result["classes"].values():
        assert {"ap_11", "ap_area", "truths", "recall"} <= set(values)


def test_flawed_annotations_are_reported_and_training_goes_on(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    xml = few / "scene_0000.xml"
    box = "<object><name>apple</name><bndbox><xmin>{}</xmin><ymin>5</ymin><xmax>{}</xmax>"
    box += "<ymax>60</ymax></bndbox></object></annotation>"
    xml.write_text(xml.read_text().replace("</annotation>", box.format(90, 20)))
    (few / "scene_0001.xml").write_text("<annotation><object>")
    outside = few / "scene_0002.xml"
    outside.write_text(outside.read_text().replace("</annotation>", box.format(5000, 6000)))
    assert command("train", few, "--output", tmp_path / "m", *QUICK) == 0
    said = " ".join(capsys.readouterr().err.split())
    for name in ("scene_0000.xml", "scene_0001.xml", "scene_0002.xml"):
        assert name in said


def test_an_unreadable_photograph_is_listed_and_the_model_still_written(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = few / "scene_0003.jpg"
    photo.write_bytes(photo.read_bytes()[:1500])
    assert command("train", few, "--output", tmp_path / "m", *QUICK) == 1
    assert (tmp_path / "m").is_file()
    assert "scene_0003.jpg" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        ("nowhere", [], "nowhere"),
        ("empty", [], "empty"),
        ("few", ["--trunk", "resnet9000"], "resnet9000"),
        ("few", ["--scales", "big"], "--scales"),
        ("few", ["--split", "summer"], "summer"),
        ("few", ["--device", "cuda:77"], "cuda:77"),
        ("few", ["--weights", "missing.pth"], "missing.pth"),
        ("few", ["--proposals", "magic"], "magic"),
    ],
)
def test_bad_input_is_one_line(
    few: Path,
    tmp_path: Path,
    data: str,
    options: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    assert command("train", tmp_path / data, "--output", tmp_path / "m", *options) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert words in lines[-1]
    assert not (tmp_path / "m").exists()


def test_the_output_must_be_a_file(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("train", few, "--output", tmp_path) == 2
    assert "is a folder; name the file to write" in capsys.readouterr().err


def test_a_full_disk_at_the_end_loses_nothing(
    few: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SPPDET_CACHE", str(tmp_path / "cache"))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("safetensors.torch.save_file", full)
        assert command("train", few, "--output", tmp_path / "m", *QUICK) == 2
    assert "m: cannot be written (No space left on device)" in capsys.readouterr().err
    assert len(list((tmp_path / "cache" / "regions").iterdir())) == 2 * 6
    assert command("train", few, "--output", tmp_path / "m", *QUICK) == 0
    assert (tmp_path / "m").is_file()
    assert not list((tmp_path / "cache" / "regions").iterdir())


@pytest.mark.parametrize("script", ["train", "detect", "evaluate"])
def test_scripts_show_a_runnable_example(script: str) -> None:
    shown = subprocess.run(
        [sys.executable, ROOT / "tools" / f"{script}.py", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
    )
    assert f"python tools/{script}.py" in shown.stdout


def test_the_program_lists_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert not stop.value.code
    shown = capsys.readouterr().out
    for name in ("train", "detect", "evaluate", "classify"):
        assert name in shown


def test_ctrl_c_keeps_the_work(few: Path, tmp_path: Path) -> None:
    """A real process, really interrupted; then the same command goes on and finishes."""
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    write_scenes(few, 24, seed=8, size=(200, 150))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SPPDET_CACHE": str(tmp_path / "cache")}
    line = [sys.executable, ROOT / "tools" / "train.py", few, "--output", tmp_path / "m"]
    line += [*QUICK, "--proposals", "fast", "--workers", "1"]
    process = subprocess.Popen(line, env=env, stderr=subprocess.PIPE, text=True)
    kept = tmp_path / "cache" / "regions"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(list(kept.glob("*"))) < 5:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "run the command again" in said
    assert not (tmp_path / "m").exists()
    assert len(list(kept.glob("[!.]*"))) >= 5
    subprocess.run(line, env=env, check=True, capture_output=True)
    assert (tmp_path / "m").is_file()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--seed", "-1"], "--seed"),
        (["--cost", "0"], "--cost"),
        (["--positive-iou", "2"], "--positive-iou"),
        (["--longest-side", "0"], "--longest-side"),
        (["--workers", "0"], "--workers"),
        (["--scales", "1"], "--scales 1"),
        (["--scales", "99999"], "--longest-side 2000"),
        (["--device", "meta"], "--device meta"),
        (["--format", "docx"], "--format docx"),
    ],
)
def test_a_value_without_sense_is_refused_before_the_work(
    few: Path,
    tmp_path: Path,
    options: list[str],
    named: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command("train", few, "--output", tmp_path / "m", *options) == 2
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert named in said
    assert "Traceback" not in said
    assert not (tmp_path / "m").exists()


def test_the_format_can_be_given(few: Path, tmp_path: Path) -> None:
    assert command("train", few, "--output", tmp_path / "m", *QUICK, "--format", "folder") == 0
    assert (tmp_path / "m").is_file()


def test_a_split_that_is_not_there(
    few: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("evaluate", few, "--split", "test", "--model", model_file) == 2
    assert "leave --split out" in capsys.readouterr().err


def test_a_stage_of_a_timm_network(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    timm = ("--trunk", "timm:test_resnet", "--weights", "random", "--scales", "120")
    assert command("train", few, "--output", tmp_path / "m", *timm, "--stage", "2") == 0
    assert "timm:test_resnet.r160_in1k@2 at 120 px" in capsys.readouterr().err
    assert Detector.load(tmp_path / "m", "cpu").extractor.trunk.geometry.stride == 8
    assert command("train", few, "--output", tmp_path / "n", "--stage", "2") == 2
    assert "--stage 2: belongs to --trunk timm:NAME" in capsys.readouterr().err


@pytest.mark.parametrize("heads", ["connected", "connected-svm"])
def test_fully_connected_heads(
    few: Path, tmp_path: Path, heads: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--heads", heads, "--units", "32", *QUICK)
    assert command("train", few, "--output", tmp_path / "m", *options) == 0
    assert "fine-tuning" in capsys.readouterr().err
    detector = Detector.load(tmp_path / "m", "cpu")
    assert (detector.scorer.name, detector.regression is not None) == (heads, True)
    assert detector.scorer.layers.length == 32  # type: ignore[attr-defined]


def test_alexnet_starts_from_its_own_layers(few: Path, tmp_path: Path) -> None:
    options = ("--heads", "connected", "--trunk", "alexnet", "--weights", "random")
    where = ("--output", tmp_path / "m", "--scales", "120", "--no-mirror", "--boxes", "300")
    assert command("train", few, *options, *where) == 0
    detector = Detector.load(tmp_path / "m", "cpu")
    assert detector.extractor.dimension == 6 * 6 * 256
    assert detector.scorer.layers.length == 4096  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--units", "64"], "--units 64: belongs to --heads connected"),
        (["--heads", "connected", "--layer", "fc7"], "--layer fc7: the heads connected have"),
        (["--heads", "trees"], "--heads trees: choose one of svm, connected, connected-svm"),
    ],
)
def test_options_of_heads_that_contradict_each_other(
    few: Path,
    tmp_path: Path,
    options: list[str],
    line: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command("train", few, "--output", tmp_path / "m", *options) == 2
    assert line in capsys.readouterr().err
