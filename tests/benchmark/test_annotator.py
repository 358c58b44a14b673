"""The simulated annotator: what it counts, and a short run over the real interface."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sppdet.boxes import as_boxes
from sppdet.datasets.scenes import write_scenes

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"

TRUTHS = as_boxes([[0, 0, 100, 100], [200, 0, 300, 100]])
NAMES = ["pear", "apple"]
FIT = as_boxes([[5, 0, 100, 100], [200, 0, 300, 95]])
LARGE = as_boxes([[-50, -50, 150, 150]])


@pytest.fixture(scope="module")
def scripts() -> Iterator[dict[str, ModuleType]]:
    """The two modules, which import each other as scripts do."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: importlib.import_module(name) for name in ("annotator", "annotator_actions")}
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture
def actions(scripts: dict[str, ModuleType]) -> ModuleType:
    return scripts["annotator_actions"]


def suggestion(label: str, box: list[float]) -> dict[str, object]:
    return {"label": label, "box": box, "score": 0.9}


RIGHT = [suggestion("pear", [0, 0, 100, 98]), suggestion("apple", [200, 0, 300, 99])]
NEARLY = suggestion("apple", [200, 0, 300, 60])
WRONG = suggestion("pear", [500, 0, 600, 100])
CROWD = [*RIGHT, suggestion("fig", [400, 0, 500, 60]), WRONG]


@pytest.mark.parametrize(
    ("suggestions", "proposals", "spent"),
    [
        ([], as_boxes([]), {"walk or drag": 4}),  # two drags
        ([], FIT, {"click": 2}),  # two clicks
        (RIGHT, as_boxes([]), {"accept": 1}),  # all at once
        ([*RIGHT, WRONG], as_boxes([]), {"accept": 2}),  # one by one
        ([*RIGHT[:1], NEARLY], as_boxes([]), {"accept": 1, "walk or drag": 2}),
        ([*RIGHT[:1], NEARLY], FIT, {"accept": 1, "click": 1}),
        (CROWD, as_boxes([]), {"accept": 1, "correct": 2, "delete": 1}),
        ([suggestion("apple", [0, 0, 100, 100])], FIT, {"click": 2}),  # of the wrong class
        ([WRONG] * 5, FIT, {"click": 2}),
    ],
)
def test_actions(
    actions: ModuleType, suggestions: list, proposals: np.ndarray, spent: dict[str, int]
) -> None:
    truths, names = TRUTHS, NAMES
    if suggestions is CROWD:  # accepting all is less only with many right ones
        truths = as_boxes([*TRUTHS, *(TRUTHS + 1000), [400, 0, 500, 100]])
        names = [*NAMES, *NAMES, "fig"]
        moved = [one | {"box": [side + 1000 for side in one["box"]]} for one in RIGHT]
        suggestions = [*suggestions, *moved]
    assert actions.actions_of(truths, names, suggestions, proposals, None) == spent


def test_the_choices_under_a_point_are_the_pages(actions: ModuleType) -> None:
    point = np.array([50.0, 50.0])
    none = as_boxes([])
    boxes = as_boxes([[0, 0, 120, 120], [0, 0, 100, 100], [2, 2, 98, 98], [40, 40, 60, 60]])
    assert actions.choices_at(point, none, [], boxes, None).tolist() == boxes[[1, 3, 0]].tolist()
    scores = np.array([0.9, 0.2, 0.3, 0.9])
    assert actions.choices_at(point, none, [], boxes, scores)[0].tolist() == boxes[3].tolist()
    scores = np.array([0.9, 0.2, 0.3, 0.0])  # the first one is 0.083 of its sides away
    kept = actions.choices_at(point, none, [], boxes, scores).tolist()
    assert kept == boxes[[2, 0, 3]].tolist()
    assert len(actions.choices_at(np.array([500.0, 0.0]), none, [], boxes, None)) == 0
    suggested = as_boxes([[10, 0, 120, 120]])
    scores = np.array([0.9, 0.2, 0.3, 0.0])
    kept = actions.choices_at(point, suggested, [0.9], boxes, scores).tolist()
    assert kept == [boxes[2].tolist(), suggested[0].tolist(), boxes[3].tolist()]
    assert boxes[0].tolist() not in kept  # the proposal is a duplicate of it


@pytest.mark.parametrize(
    ("box", "cost"),
    [([0, 0, 100, 60], 2), ([0, 0, 72, 72], 2), ([20, 20, 80, 120], 3)],
)
def test_a_correction_is_a_drag_of_a_handle(
    actions: ModuleType, box: list[float], cost: int
) -> None:
    assert actions.correction(TRUTHS[:1], as_boxes([box])) == cost


@pytest.mark.slow
def test_a_short_run(
    scripts: dict[str, ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write_scenes(tmp_path / "scenes/train", 14, seed=0, size=(320, 240))
    write_scenes(tmp_path / "scenes/test", 6, seed=1, size=(320, 240))
    words = ["annotator", str(tmp_path / "scenes"), "--photographs", "12", "--steps", "6,12"]
    words += ["--pause", "0"]
    sys.argv, old = words, sys.argv
    try:
        scripts["annotator"].main()
    finally:
        sys.argv = old
    row = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert row["photographs"] == "12"
    assert 0 < float(row["actions"]) <= float(row["proposals_only"]) <= 2
    assert float(row["ap_12"]) > 0
    assert float(row["ap_all"]) > 0
