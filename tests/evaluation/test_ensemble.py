import json
from pathlib import Path

import numpy as np
import pytest

from sppdet.boxes import iou
from sppdet.cli import main
from sppdet.datasets import read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.detections import Detections
from sppdet.detector import Detector
from sppdet.evaluation.ensemble import combine
from sppdet.evaluation.evaluate import evaluate
from sppdet.evaluation.results import read_results

CAT, OWL = ("cat", "owl"), ("owl", "bat")
BOX, NEAR, FAR = [10, 10, 50, 50], [12, 10, 50, 50], [60, 60, 90, 90]


def entry(classes: tuple[str, ...], *rows: tuple[list[int], int, float]) -> Detections:
    boxes, labels, scores = zip(*rows, strict=True) if rows else ([], [], [])
    return Detections(list(boxes), list(labels), list(scores), classes, {"total": 0.5})


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([(BOX, 0, 0.6)], [(NEAR, 1, 0.7)], [("bat", 0.7), ("cat", 0.6)]),  # other classes
        ([(BOX, 1, 0.6)], [(NEAR, 0, 0.7)], [("owl", 0.7)]),  # the surer of a class
        ([(BOX, 1, 0.8)], [(NEAR, 0, 0.7), (FAR, 0, 0.1)], [("owl", 0.8), ("owl", 0.1)]),
        ([], [(FAR, 0, 0.1)], [("owl", 0.1)]),
        ([], [], []),
    ],
)
def test_the_surer_of_a_class_stays(first: list, second: list, expected: list) -> None:
    found = combine([entry(CAT, *first), entry(OWL, *second)])
    assert found.classes == ("cat", "owl", "bat")
    assert [(one.label, pytest.approx(one.score)) for one in found] == expected
    assert found.seconds == {"total": 1.0}


def test_equal_scores_leave_the_earlier_detector() -> None:
    found = combine([entry(CAT, (BOX, 0, 0.5)), entry(CAT, (NEAR, 0, 0.5))])
    assert found.boxes.tolist() == [BOX]


def test_a_slow_twin_agrees() -> None:
    """Take the surest, drop what overlaps it in its class, and so on."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        both = []
        for classes in (CAT, OWL):
            corner, size = 60 * rng.random((40, 2)), 5 + 35 * rng.random((40, 2))
            boxes = np.concatenate([corner, corner + size], 1)
            both.append(Detections(boxes, rng.integers(0, 2, 40), rng.random(40), classes))
        rest = sorted((one for found in both for one in found), key=lambda one: -one.score)
        kept = []
        while rest:
            best, *rest = rest
            kept.append(best)
            rest = [
                one
                for one in rest
                if one.label != best.label
                or iou(np.float32([one.box]), np.float32([best.box]))[0, 0] <= 0.3
            ]
        found = combine(both)
        assert [(one.label, one.score) for one in found] == [(k.label, k.score) for k in kept]
        np.testing.assert_array_equal(found.boxes, [one.box for one in kept])


def test_one_detector_is_itself_and_none_is_refused() -> None:
    alone = entry(CAT, (BOX, 0, 0.5), (FAR, 1, 0.4))
    assert list(combine([alone])) == list(alone)
    with pytest.raises(ValueError, match="found is empty"):
        combine([])


def test_the_command_measures_what_the_function_gives(
    detector: Detector, model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scenes(tmp_path / "data", 6, seed=4, size=(320, 240))
    other, file, out = tmp_path / "b.safetensors", tmp_path / "e.json", tmp_path / "r.json"
    detector.save(other)
    words = ["ensemble", model_file, other, "--data", tmp_path / "data", "--json", file]
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words), "--intervals", "20", "--export", str(out), "--format", "folder"])
    assert not ended.value.code
    content = json.loads(file.read_text(encoding="utf-8"))
    first, second, together = content["detectors"]
    dataset = read_dataset(tmp_path / "data")
    assert first["map_area"] == second["map_area"] == evaluate(detector, dataset).map_area
    read = read_results(out, dataset, "xyxy").detections
    assert together["map_area"] == pytest.approx(evaluate(read, dataset).map_area, abs=1e-6)
    assert first["model"]["sha256"] == second["model"]["sha256"]
    assert together["model"] is None
    change = content["together_against_best"]["map_area"]["difference"]
    assert change == pytest.approx(together["map_area"] - first["map_area"])
    said = " ".join(capsys.readouterr().out.split())
    assert f"together against {model_file} alone: {100 * change:+.1f} points" in said
