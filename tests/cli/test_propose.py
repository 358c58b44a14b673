"""``sppdet propose``, and detection with the proposals that it wrote."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sppdet.cli import main
from sppdet.datasets.scenes import write_scenes
from sppdet.images import read_image
from sppdet.proposals import propose
from sppdet.proposals.files import read_proposals


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    write_scenes(tmp_path / "scenes", 2, seed=1, size=(120, 90))
    return tmp_path / "scenes"


def test_the_files_have_what_the_search_finds(scenes: Path, tmp_path: Path) -> None:
    command = ("propose", scenes, "-o", tmp_path / "boxes", "--save", "npz,json,csv,mat")
    assert call(*command, "--boxes", 150, "--quiet") == 0
    images = sorted(scenes.glob("*.jpg"))
    for suffix in ("npz", "json", "csv", "mat"):
        for image, found in zip(
            images, read_proposals(tmp_path / f"boxes.{suffix}", images), strict=True
        ):
            expected = propose(read_image(image), max_boxes=150)
            np.testing.assert_allclose(found, expected, atol=0.006)
    assert call(*command) == 0  # its own files may be written over
    (tmp_path / "boxes.mat").write_text("mine")
    assert call(*command) == 2


def test_exit_codes(scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (scenes / "broken.jpg").write_text("no image")
    options = ("--boxes", 50, "-o", tmp_path / "boxes.npz")
    assert call("propose", scenes, *options) == 1
    assert "broken.jpg" in capsys.readouterr().err
    assert (tmp_path / "boxes.npz").is_file()
    assert call("propose", scenes / "broken.jpg", "-o", tmp_path / "none") == 2
    assert not (tmp_path / "none.npz").exists()
    for wrong in ((), (scenes, "--save", "pkl"), ("https://a.b/c.jpg",)):
        assert call("propose", *wrong, *options) == 2


def test_recall(scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("propose", "--recall", scenes, "--boxes", 300, "--json", tmp_path / "r.json")
    assert call(*command) == 0
    figures = json.loads((tmp_path / "r.json").read_text())
    assert figures["numbers"] == [100, 300]
    assert 0 < figures["recall"]["0.5"][-1] <= 1
    assert "300" in capsys.readouterr().out
    curves = figures["curves"]
    assert curves["numbers"] == [1, 2, 5, 10, 20, 50, 100, 200, 300]
    assert curves["recall_against_iou"][0] == figures["recall"]["0.5"][-1]
    assert curves["recall_at_0.5"] == sorted(curves["recall_at_0.5"])


def test_the_figure_of_recall(
    scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure, file = tmp_path / "recall.png", tmp_path / "r.json"
    command = ("propose", "--recall", scenes, "--boxes", 200, "--also", "tiny", "--json", file)
    assert call(*command, "--figure", figure) == 0
    with Image.open(figure) as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000
    figures = json.loads(file.read_text())
    assert figures["method"] == "fast"
    assert figures["also"]["tiny"]["method"] == "tiny"
    said = capsys.readouterr().out
    assert "proposals (fast)" in said
    assert "proposals (tiny)" in said
    assert call("propose", scenes, "--figure", figure) == 2
    assert "--also and --figure belong to --recall DATA" in capsys.readouterr().err


def test_detect_takes_them(
    scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "boxes.mat", tmp_path / "out"
    assert call("propose", scenes, "--save", "mat", "-o", file, "--quiet") == 0
    options = ("-o", out, "--no-pictures", "--quiet", "--threshold", 0)
    assert call("detect", scenes, *options, "--proposals", file) == 0
    given = [json.loads(path.read_text()) for path in sorted(out.glob("*.json"))]
    assert all("proposals" not in one["seconds"] for one in given)
    assert all(one["detections"] for one in given)
    assert call("detect", scenes, *options, "--proposals", file, "--box-order", "xyxy") == 2
    assert "states the order yxyx" in capsys.readouterr().err
    assert call("detect", "https://a.b/c.jpg", *options, "--proposals", file) == 2
