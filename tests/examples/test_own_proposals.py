import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sppdet.detector import Detector
from sppdet.images import read_image

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data" / "sample" / "fruit.jpg"
SHIPPED = ROOT / "sppdet" / "weights" / "detector.safetensors"
BOXES = [[360, 150, 500, 310], [480, 350, 640, 520], [10, 10, 60, 60]]


@pytest.fixture(scope="module")
def own(example: Callable[[str], ModuleType]) -> ModuleType:
    return example("own_proposals")


def write(path: Path) -> Path:
    if path.suffix == ".npy":
        np.save(path, np.array(BOXES, np.int32))
    else:
        path.write_text(json.dumps(BOXES))
    return path


def numbers(line: str) -> list[float]:
    return [float(word) for word in line.split()[1:]]


@pytest.mark.parametrize("name", ["boxes.json", "boxes.npy"])
def test_boxes_from_a_file(
    own: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    own.main([str(SAMPLE), str(write(tmp_path / name)), "--threshold", "0.5"])
    first, *lines = capsys.readouterr().out.splitlines()
    detector = Detector.load(SHIPPED)
    found = detector.detect(read_image(SAMPLE), 0.5, np.array(BOXES, np.float32))
    assert first == f"3 proposals, {len(found)} detections"
    assert [line.split()[0] for line in lines] == ["apple", "apple"]
    np.testing.assert_allclose([numbers(line)[0] for line in lines], found.scores, atol=1e-3)
    np.testing.assert_allclose([numbers(line)[1:] for line in lines], found.boxes, atol=0.06)


def test_without_a_file_the_detector_searches(
    own: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    own.main([str(SAMPLE)])
    first, *lines = capsys.readouterr().out.splitlines()
    searched = re.fullmatch(r"(\d+) proposals, (\d+) detections", first)
    assert searched is not None
    assert int(searched[1]) > 100
    assert len(lines) == int(searched[2]) >= 3


def test_an_empty_list_finds_nothing(
    own: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "none.json"
    path.write_text("[]")
    own.main([str(SAMPLE), str(path)])
    assert capsys.readouterr().out == "0 proposals, 0 detections\n"
