"""The simulated annotator: what it counts, and a short run over the real interface."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sppdet.boxes import as_boxes
from sppdet.datasets.scenes import write_scenes

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "annotator.py"

TRUTHS = as_boxes([[0, 0, 100, 100], [200, 0, 300, 100]])
NAMES = ["pear", "apple"]
FIT = as_boxes([[5, 0, 100, 100], [200, 0, 300, 95]])
LARGE = as_boxes([[-50, -50, 150, 150]])


@pytest.fixture(scope="module")
def annotator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("annotator", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["annotator"] = module
    spec.loader.exec_module(module)
    return module


def suggestion(label: str, box: list[float]) -> dict[str, object]:
    return {"label": label, "box": box, "score": 0.9}


RIGHT = [suggestion("pear", [0, 0, 100, 98]), suggestion("apple", [200, 0, 300, 99])]
NEARLY = suggestion("apple", [200, 0, 300, 60])
WRONG = suggestion("pear", [500, 0, 600, 100])


@pytest.mark.parametrize(
    ("suggestions", "proposals", "actions"),
    [
        ([], as_boxes([]), 4),  # two drags
        ([], FIT, 2),  # two clicks
        (RIGHT, as_boxes([]), 1),  # all at once
        ([*RIGHT, WRONG], as_boxes([]), 2),  # one by one
        ([*RIGHT[:1], NEARLY], as_boxes([]), 3),  # all at once and a correction
        ([*RIGHT[:1], NEARLY], FIT, 2),  # a click is less than a correction
        ([suggestion("apple", [0, 0, 100, 100])], FIT, 2),  # of the wrong class
        ([WRONG] * 5, FIT, 2),
    ],
)
def test_actions(
    annotator: ModuleType, suggestions: list, proposals: np.ndarray, actions: int
) -> None:
    assert annotator.actions_of(TRUTHS, NAMES, suggestions, proposals, None) == actions


def test_the_choices_under_a_point_are_the_pages(annotator: ModuleType) -> None:
    point = np.array([50.0, 50.0])
    boxes = as_boxes([[0, 0, 120, 120], [0, 0, 100, 100], [2, 2, 98, 98], [40, 40, 60, 60]])
    assert annotator.choices_at(point, boxes, None) == [1, 3, 0]
    scores = np.array([0.1, 0.2, 0.3, 0.9])
    assert annotator.choices_at(point, boxes, scores)[0] == 3
    assert annotator.choices_at(np.array([500.0, 0.0]), boxes, None) == []


@pytest.mark.slow
def test_a_short_run(annotator: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_scenes(tmp_path / "scenes/train", 14, seed=0, size=(320, 240))
    write_scenes(tmp_path / "scenes/test", 6, seed=1, size=(320, 240))
    words = ["annotator", str(tmp_path / "scenes"), "--photographs", "12", "--steps", "6,12"]
    sys.argv, old = words, sys.argv
    try:
        annotator.main()
    finally:
        sys.argv = old
    row = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert row["photographs"] == "12"
    assert 0 < float(row["actions"]) <= float(row["proposals_only"]) <= 2
    assert float(row["ap_12"]) > 0
