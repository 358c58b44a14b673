"""Detections to the forms of other programs and back."""

import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sppdet.datasets import read_dataset
from sppdet.detections import Detections
from sppdet.errors import SppdetError


def example(**more: Any) -> Detections:
    boxes = [[1.26, 2, 8, 9], [3, 3, 7, 7.5]]
    return Detections(boxes, [1, 0], [0.9, 0.123456], ("cat", "dog"), **more)


@pytest.mark.parametrize(
    "found",
    [
        example(),
        example(size=(20, 10), source="a.jpg", seconds={"total": 0.25}),
        Detections.none(("cat",)),
        Detections([[0, 0, 1, 1]], [0], [-7.5], ("żółw \u0001<b>",)),
    ],
)
def test_dict_and_back_through_json(found: Detections) -> None:
    back = Detections.from_dict(json.loads(json.dumps(found.to_dict())))
    assert back == found
    assert back.seconds == found.seconds
    assert back.source == found.source


def test_from_the_json_of_detect() -> None:
    content = {
        "image": "b.jpg",
        "width": 9,
        "height": 8,
        "detections": [{"label": "pear", "score": 0.5, "box": [1, 2, 3, 4]}],
        "seconds": {},
    }
    back = Detections.from_dict(content)
    assert (back.classes, back.size, back[0].box) == (("pear",), (9, 8), (1, 2, 3, 4))


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"detections": 3},
        {"detections": [{"label": "a"}]},
        {"detections": [{"label": "a", "score": "high", "box": [1, 2, 3, 4]}]},
        {"detections": [{"label": "a", "score": 1, "box": [1, 2, 3]}]},
        {"detections": [{"label": "a", "score": 1, "box": [1, 2, 3, 4]}], "classes": ["b"]},
        {"detections": [], "classes": [], "width": 0, "height": 3},
        {"detections": [], "seconds": 7},
        {"detections": ["a"]},
    ],
)
def test_another_dict_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Detections.from_dict(content)


def test_coco() -> None:
    first, second = example().to_coco(7, {"dog": 18, "cat": 3})
    assert first["bbox"] == pytest.approx([1.26, 2, 6.74, 7])
    assert (first["image_id"], first["category_id"]) == (7, 18)
    assert "category_name" not in second
    assert [entry["category_name"] for entry in example().to_coco("a")] == ["dog", "cat"]
    assert len(example().to_coco(7, {"cat": 3})) == 1


def test_yolo() -> None:
    lines = example().to_yolo((20, 10)).splitlines()
    number, *values = (float(word) for word in lines[0].split())
    assert number == 1
    assert values == pytest.approx([4.63 / 20, 0.55, 6.74 / 20, 0.7, 0.9])
    assert len(lines) == 2
    assert example(size=(20, 10)).to_yolo() == example().to_yolo((20, 10))
    with pytest.raises(ValueError, match="size"):
        example().to_yolo()


def test_voc_is_read_back(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
    found = example(size=(20, 10), source=tmp_path / "a.png")
    (tmp_path / "a.xml").write_text(found.to_voc(), encoding="utf-8")
    dataset = read_dataset(tmp_path)
    objects = dataset.annotations(0)
    assert [dataset.classes[label] for label in objects.labels] == ["dog", "cat"]
    assert np.abs(objects.boxes - found.boxes).max() <= 0.5
    assert ET.fromstring(found.to_voc("b.jpg")).findtext("filename") == "b.jpg"
    with pytest.raises(ValueError, match="name"):
        example(size=(20, 10)).to_voc()
    with pytest.raises(SppdetError, match="VOC"):
        Detections([[0, 0, 1, 1]], [0], [1], ("\x01",), size=(2, 2)).to_voc("a")


@pytest.mark.parametrize("package", ["pandas", "supervision"])
def test_a_missing_package_is_one_line(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SppdetError, match=f"pip install {package}"):
        getattr(example(), f"to_{package}")()


def test_pandas() -> None:
    pytest.importorskip("pandas")
    table = example().to_pandas()
    assert list(table.columns) == ["label", "score", "x1", "y1", "x2", "y2"]
    assert table["label"].tolist() == ["dog", "cat"]
    assert table["y2"].tolist() == [9, 7.5]
    assert len(Detections.none(("cat",)).to_pandas()) == 0


def test_supervision() -> None:
    pytest.importorskip("supervision")
    for found in (example(), Detections.none(("cat",))):
        other = found.to_supervision()
        assert len(other) == len(found)
        assert np.array_equal(other.xyxy, found.boxes)
        assert other.data["class_name"].tolist() == [one.label for one in found]
