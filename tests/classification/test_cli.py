import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file

from sppdet.cli import run

OPTIONS = (
    *("--network", "spp5", "--levels", "1,2", "--batch", "12"),
    *("--sizes", "16,20", "--rate", "0.02", "--average", "0.5"),
)


def call(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        run("classify", [str(word) for word in words])
    return stop.value.code or 0


@pytest.fixture(scope="module")
def run_folder(square_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("run")
    assert call("train", square_folder, "--output", output, "--epochs", 5, *OPTIONS) == 0
    return output


def test_what_a_run_leaves(run_folder: Path) -> None:
    names = {path.name for path in run_folder.iterdir()}
    expected = {"last.safetensors", "best.safetensors", "history.json", "curves.png", "summary.txt"}
    assert expected | {"tensorboard"} == names
    history = json.loads((run_folder / "history.json").read_text())
    assert [epoch["number"] for epoch in history] == [1, 2, 3, 4, 5]
    assert [epoch["sizes"] for epoch in history] == ["16", "20", "16", "20", "16"]
    assert "SpatialPyramidPool" in (run_folder / "summary.txt").read_text()
    assert (run_folder / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert list((run_folder / "tensorboard").iterdir())


def test_paused_and_continued_is_the_same(
    run_folder: Path, square_folder: Path, tmp_path: Path
) -> None:
    words = ("train", square_folder, "--output", tmp_path, "--epochs", 5, *OPTIONS)
    assert call(*words, "--stop-after", 2) == 0
    assert len(json.loads((tmp_path / "history.json").read_text())) == 2
    assert call(*words) == 0
    ours, theirs = (load_file(f / "last.safetensors") for f in (tmp_path, run_folder))
    assert ours.keys() == theirs.keys()
    assert all((ours[key] == theirs[key]).all() for key in ours)


def test_other_settings_are_refused_but_not_another_length(
    run_folder: Path, square_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    shutil.copytree(run_folder, tmp_path / "run")
    words = ("train", square_folder, "--output", tmp_path / "run", *OPTIONS)
    assert call(*words, "--epochs", 5, "--seed", 9) == 2
    assert "other settings" in capsys.readouterr().err
    assert call(*words, "--epochs", 6) == 0
    assert len(json.loads((tmp_path / "run" / "history.json").read_text())) == 6


def test_test(run_folder: Path, square_folder: Path, tmp_path: Path) -> None:
    file, checkpoint = tmp_path / "figures.json", run_folder / "last.safetensors"
    words = ("test", square_folder, "--checkpoint", checkpoint, "--json", file)
    assert call(*words, "--sizes", "16,24") == 0
    report = json.loads(file.read_text())
    assert set(report["sizes"]) == {"16", "24"}
    assert report["images"] == 18
    assert call(*words) == 0
    plain = json.loads(file.read_text())
    history = json.loads((run_folder / "history.json").read_text())
    assert plain["top1"] == pytest.approx(history[-1]["test_accuracy"])
    assert call(*words, "--sizes", "20,24", "--view", 16) == 0
    assert set(json.loads(file.read_text())["sizes"]) == {"views"}
    assert call(*words, "--view", 16) == 2


def test_predict(run_folder: Path, square_folder: Path, tmp_path: Path) -> None:
    pictures = sorted((square_folder / "test" / "red").iterdir())[:2]
    broken = tmp_path / "broken.png"
    broken.write_text("no picture")
    checkpoint, file = run_folder / "best.safetensors", tmp_path / "answers.json"
    words = ("predict", *pictures, "--checkpoint", checkpoint, "--json", file, "--top", 2)
    assert call(*words) == 0
    answers = json.loads(file.read_text())
    assert [answer["image"] for answer in answers] == [str(path) for path in pictures]
    assert all(len(answer["classes"]) == 2 for answer in answers)
    assert call("predict", broken, *pictures, "--checkpoint", checkpoint, "--json", file) == 1
    assert len(json.loads(file.read_text())) == 2
    assert call(*words, "--view", 12) == 0


def test_export(run_folder: Path, square_folder: Path, tmp_path: Path) -> None:
    weights, file = tmp_path / "w.safetensors", tmp_path / "figures.json"
    checkpoint = run_folder / "last.safetensors"
    assert call("export", "--checkpoint", checkpoint, "--output", weights, "--data", "paint") == 0
    assert weights.stat().st_size < checkpoint.stat().st_size / 5
    assert call("test", square_folder, "--checkpoint", weights, "--json", file) == 0
    history = json.loads((run_folder / "history.json").read_text())
    figure = json.loads(file.read_text())["top1"]
    assert figure == pytest.approx(history[-1]["test_accuracy"], abs=0.06)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--network", "nonsense"], "network nonsense: unknown"),
        (["--sizes", "a"], "--sizes a"),
        (["--network", "spp5", "--levels", "2,1,2"], "--levels 2,1,2: give each number once"),
        (["--schedule", "x"], "--schedule x"),
        (
            ["--network", "spp5-average", "--pooling", "max"],
            "--pooling max: spp5-average has the average of the whole map in the pyramid's place; "
            "leave --pooling out, or choose --network small, spp5, spp5-wide, zf5-spp",
        ),
        (["--network", "nin", "--pooling", "max"], "--pooling max: nin has no pyramid to choose"),
        (["--network", "resnet18", "--pooling", "average"], "--pooling average: resnet18 has no"),
        (["--network", "nonsense", "--pooling", "average"], "network nonsense: unknown"),
        (["--network", "spp5", "--batch", "500"], "--batch 500"),
        (["--device", "nonsense"], "--device nonsense"),
    ],
)
def test_one_clear_line(
    words: list, line: str, square_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert call("train", square_folder, "--output", tmp_path / "run", *words) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"error: {line}")


@pytest.mark.parametrize(("levels", "larger"), [("7,1,8", "7, 8"), ("6,1", None)])
def test_levels_with_more_bins_than_cells_are_told(
    levels: str, larger: str | None, square_folder: Path, tmp_path: Path, capsys
) -> None:
    chosen = ("--network", "spp5", "--levels", levels, "--sizes", "24,32,24", "--batch", 24)
    assert call("train", square_folder, "--output", tmp_path / "run", *chosen, "--epochs", 1) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if "note: --levels" in line]
    told = f"note: --levels {levels}: the map of an image of 24 px has 6 cells on its short side"
    assert notes == ([f"{told}, so that bins of level {larger} repeat cells"] if larger else [])
