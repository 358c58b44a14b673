import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sppdet.cli import run
from sppdet.detector import Detector
from sppdet.images import read_image

pytestmark = pytest.mark.slow


def command(name: str, *arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        run(name, [str(argument) for argument in arguments])
    return int(stop.value.code or 0)


def test_rows_picture_and_proposals(scenes: Path, tmp_path: Path, capsys) -> None:
    figures, boxes = tmp_path / "figures.json", tmp_path / "boxes.json"
    common = ("--boxes", 40, "--number", 2, "--scales", "120", "--threads", "1", "--json", figures)
    picture = tmp_path / "bars.png"
    code = command(
        "benchmark",
        *(scenes / "test", *common, "--picture", picture, "--save-proposals", boxes),
    )
    assert code == 0
    rows = json.loads(figures.read_text())["rows"]
    assert [row["method"] for row in rows] == ["rcnn", "spp"]
    for row in rows:
        assert {"proposals", "features", "total"} <= set(row["seconds"])
        assert (row["boxes"], row["threads"], row["device"], row["images"]) == (40, 1, "cpu", 2)
    assert rows[1]["scales"] == [120]
    assert min(Image.open(picture).size) > 200
    assert "102 x" in capsys.readouterr().out
    assert command("benchmark", scenes / "test", *common, "--proposals", boxes) == 0
    again = json.loads(figures.read_text())["rows"]
    assert all("proposals" not in row["seconds"] for row in again)
    assert [row["boxes_found"] for row in again] == [row["boxes_found"] for row in rows]


def test_accuracy_beside_speed(scenes: Path, tmp_path: Path) -> None:
    """Both methods learn the scenes."""
    figures = tmp_path / "figures.json"
    code = command(
        "benchmark",
        *(scenes / "test", "--number", 1, "--boxes", 50, "--scales", 320, "--threads", 2),
        *("--json", figures, "--map", scenes, "--map-boxes", 50),
    )
    assert code == 0
    rcnn, spp = json.loads(figures.read_text())["map"]
    assert (rcnn["method"], spp["method"]) == ("rcnn", "spp")
    assert rcnn["boxes"] == spp["boxes"] == 50
    assert rcnn["map_11"] > 0.7
    assert spp["map_11"] > 0.7
    assert rcnn["against_rcnn"] is None
    change = spp["against_rcnn"]["difference"]
    assert change == pytest.approx(spp["map_11"] - rcnn["map_11"])


def test_an_rcnn_detector_from_the_command_line(scenes: Path, tmp_path: Path) -> None:
    model = tmp_path / "rcnn.safetensors"
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted((scenes / "train").iterdir())[:12]:
        (few / path.name).write_bytes(path.read_bytes())
    arguments = (few, "--output", model, "--method", "rcnn", "--boxes", 60, "--crop", "tight")
    arguments = (*arguments, "--trunk", "small")
    assert command("train", *arguments) == 0
    detector = Detector.load(model, "cpu")
    assert detector.extractor.to_json() | {"method": "rcnn", "mode": "tight", "size": 64} == (
        detector.extractor.to_json()
    )
    photo = next(few.glob("*.jpg"))
    assert command("detect", photo, "--model", model, "--output", tmp_path / "out") == 0
    found = json.loads((tmp_path / "out" / f"{photo.stem}.json").read_text())
    assert found["detections"]
    assert "crops" in found["seconds"]
    assert np.isfinite(detector.detect(read_image(photo)).scores).all()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nowhere.jpg"], "nowhere.jpg"),
        (["{empty}"], "empty"),
        (["{photo}", "--scales", "big"], "--scales"),
        (["{photo}", "--threads", "0"], "--threads"),
        (["{photo}", "--proposals", "none.json"], "none.json"),
        (["{photo}", "--trunk", "lenet"], "lenet"),
        (["{photo}", "--boxes", "5", "--scales", "64", "--map", "{empty}"], "empty"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    Image.new("RGB", (80, 60), "red").save(tmp_path / "photo.png")
    places = {"empty": tmp_path / "empty", "photo": tmp_path / "photo.png"}
    given = [argument.format(**places) for argument in arguments]
    assert command("benchmark", *given) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(said) == 1
    assert named in said[0]


def test_scales_do_not_go_with_rcnn(scenes: Path, tmp_path: Path, capsys) -> None:
    arguments = (scenes / "train", "--output", tmp_path / "m", "--method", "rcnn", "--scales", 320)
    assert command("train", *arguments) == 2
    assert "--scales" in capsys.readouterr().err
