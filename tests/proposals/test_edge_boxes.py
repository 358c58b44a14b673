"""EdgeBoxes with a model of one tree, in the form of OpenCV's files."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from sppdet.boxes import iou
from sppdet.cli import run
from sppdet.errors import SppdetError
from sppdet.proposals import propose
from sppdet.proposals.edge_boxes import edge_boxes_settings
from sppdet.proposals.files import read_proposals

OPTIONS = {
    "stride": 2,
    "shrinkNumber": 2,
    "patchSize": 32,
    "patchInnerSize": 16,
    "numberOfGradientOrientations": 4,
    "gradientSmoothingRadius": 0,
    "regFeatureSmoothingRadius": 2,
    "ssFeatureSmoothingRadius": 8,
    "gradientNormalizationRadius": 4,
    "selfsimilarityGridSize": 5,
    "numberOfTrees": 1,
    "numberOfTreesToEvaluate": 1,
}


def write_model(path: Path) -> Path:
    """A tree with one question: is the gradient in the middle of the patch above 0.05? If so, its
    four middle pixels are an edge. Channel 3 of the 16 x 16 shrunk patch is the gradient."""
    middle = [16 * row + column for row in (7, 8) for column in (7, 8)]
    lists = {
        "childs": [2, 0, 0],
        "featureIds": [3 * 256 + 8 * 16 + 8, 0, 0],
        "thresholds": [0.05, 0.0, 0.0],
        "edgeBoundaries": [0, 0, 0, 24 * len(middle)],
        "edgeBins": 24 * middle,
    }
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.startWriteStruct("options", cv2.FILE_NODE_MAP)
    for name, value in OPTIONS.items():
        storage.write(name, value)
    storage.endWriteStruct()
    for name, values in lists.items():
        storage.startWriteStruct(name, cv2.FILE_NODE_SEQ | cv2.FILE_NODE_FLOW)
        for value in values:
            storage.write("", value)
        storage.endWriteStruct()
    storage.release()
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model.yml.gz")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    image = np.full((360, 480, 3), 60, np.uint8)
    image[90:270, 120:360] = (200, 40, 40)
    (tmp_path / "images").mkdir()
    Image.fromarray(image).save(tmp_path / "images" / "a.png")
    return tmp_path / "images" / "a.png"


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        run("propose", [str(argument) for argument in arguments])
    return int(stop.value.code or 0)


def test_a_rectangle_is_found(model: Path, picture: Path) -> None:
    settings = edge_boxes_settings(model)
    boxes = propose(picture, settings, max_boxes=20)
    assert 0 < len(boxes) <= 20
    assert iou(boxes, np.array([[120, 90, 360, 270]], "f4")).max() > 0.7
    np.testing.assert_array_equal(boxes, propose(picture, settings, max_boxes=20))


def test_the_command_writes_what_the_search_finds(
    model: Path, picture: Path, tmp_path: Path
) -> None:
    output = tmp_path / "boxes"
    options = ("--method", "edge-boxes", "--edge-model", model, "--boxes", 30)
    assert call(picture, "-o", output, *options) == 0
    (found,) = read_proposals(tmp_path / "boxes.npz", [picture])
    np.testing.assert_allclose(found, propose(picture, edge_boxes_settings(model), max_boxes=30))


def test_the_model_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(SppdetError, match=r"nothing\.yml: cannot be read"):
        edge_boxes_settings(tmp_path / "nothing.yml")
    for name, text in (("text.yml", "no model"), ("empty.yml", "%YAML:1.0\n---\na: 1\n")):
        (tmp_path / name).write_text(text)
        with pytest.raises(SppdetError, match=f"{name}: is not a model of OpenCV"):
            edge_boxes_settings(tmp_path / name)


@pytest.mark.parametrize(
    "options",
    [
        ("--method", "edge-boxes"),
        ("--edge-model", "model.yml.gz"),
        ("--recall", "data", "--also", "edge-boxes"),
    ],
)
def test_method_and_model_belong_together(
    options: tuple[str, ...], picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(picture, *options) == 2
    assert "edge-boxes, in --method or --also, needs --edge-model FILE" in capsys.readouterr().err


def test_the_recall_beside_that_of_another_method(
    model: Path, picture: Path, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    picture.rename(tmp_path / "data" / picture.name)
    width, height = Image.open(tmp_path / "data" / picture.name).size
    box = "<xmin>120</xmin><ymin>90</ymin><xmax>360</xmax><ymax>270</ymax>"
    text = (
        f"<annotation><filename>{picture.name}</filename>"
        f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
        f"<object><name>sheet</name><bndbox>{box}</bndbox></object></annotation>"
    )
    (tmp_path / "data" / picture.with_suffix(".xml").name).write_text(text)
    file = tmp_path / "recall.json"
    options = ("--recall", tmp_path / "data", "--boxes", 100, "--json", file)
    assert call(*options, "--also", "edge-boxes", "--edge-model", model) == 0
    content = json.loads(file.read_text())
    assert (content["method"], content["also"]["edge-boxes"]["method"]) == ("fast", "edge-boxes")
    assert content["also"]["edge-boxes"]["recall"]["0.5"][-1] == 1


def test_missing_module_says_how_to_mend_it(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "ximgproc")
    with pytest.raises(SppdetError, match="pip install opencv-contrib-python"):
        edge_boxes_settings(model)
