import json

import numpy as np
import pytest

from sppdet.boxes import iou
from sppdet.cli import run
from sppdet.datasets import read_dataset
from sppdet.detections import Detections
from sppdet.evaluation.export import export
from sppdet.images import read_image
from sppdet.proposals import propose

BOXES = {"a": [("cat", 11, 11, 50, 50)], "b": [("cat", 1, 1, 60, 60), ("owl", 5, 5, 80, 80)]}


@pytest.fixture
def data(make_folder):
    make_folder(BOXES, "data/train")
    return make_folder(BOXES, "data/test").parent


@pytest.fixture
def results(data, tmp_path):
    dataset = read_dataset(data, "test")
    found = [
        Detections([[10, 10, 50, 50]], [0], [0.9], dataset.classes),
        Detections([[4, 4, 80, 70], [0, 0, 9, 9]], [1, 0], [0.8, 0.7], dataset.classes),
    ]
    export(tmp_path / "results.json", "coco", dataset, found)
    return tmp_path / "results.json"


def call(*arguments):
    with pytest.raises(SystemExit) as ended:
        run("evaluate", [str(argument) for argument in arguments])
    return ended.value.code


def test_json_of_results(data, results, tmp_path, capsys):
    file = tmp_path / "out" / "ap.json"
    assert call(data, "--results", results, "--json", file, "--coco", "--iou", "0.7") == 0
    content = json.loads(file.read_text())
    assert content["iou"] == 0.7
    assert content["classes"]["cat"]["truths"] == 2
    assert content["classes"]["cat"]["ap_area"] == pytest.approx(0.5)
    assert content["map_area"] == pytest.approx(0.75)
    assert content["coco"]["AP50"] == pytest.approx((51 / 101 + 1) / 2)
    assert content["intervals_95"]["map_area"]["low"] <= 0.75
    assert "75.0 %" in capsys.readouterr().out


def test_report_export_and_comparison(data, results, tmp_path, capsys):
    out = tmp_path / "comp4"
    options = ["--report", tmp_path / "r", "--export", out, "--compare", results]
    assert call(data, "--results", results, "--json", tmp_path / "a.json", *options) == 0
    assert (tmp_path / "r" / "index.html").is_file()
    assert (out / "comp4_det_test_owl.txt").read_text().count("\n") == 1
    assert call(data, "--results", out, "--json", tmp_path / "b.json", "--split", "train") == 0
    first, second = (json.loads((tmp_path / f"{k}.json").read_text()) for k in "ab")
    assert first["classes"] == second["classes"]
    assert first["comparison"]["map_area"]["difference"] == 0
    assert set(first["comparison"]["classes"]) == {"cat", "owl"}
    assert first["comparison"]["b"]["classes"] == first["classes"]
    assert first["about"]["data"]["split"] == "test"
    assert first["about"]["model"] is None
    said = capsys.readouterr().out
    assert "do not show" in said
    assert "95 % interval" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give one of --model, --results and --proposals"),
        (["--results", "nowhere"], "nowhere: no such file"),
        (["--results", "{results}", "--split", "val"], "has no split val; it has test, train"),
        (["--model", "{results}"], "results.json"),
        (["--results", "{results}", "--levels", "1,2"], "--window-mapping belong to --model"),
        (["--results", "{results}", "--compare", "b.safetensors"], "b.safetensors: no such model"),
    ],
)
def test_bad_input_is_one_line(data, results, options, message, capsys):
    assert call(data, *(option.format(results=results) for option in options)) == 2
    *before, error = capsys.readouterr().err.splitlines()
    assert message in error
    assert error.startswith("error: ")
    assert all("2 images, 0 of them background" in line for line in before)


def test_proposals(data, tmp_path, capsys):
    assert call(data, "--proposals", "fast", "--json", tmp_path / "p.json", "--iou", "0.5") == 0
    content = json.loads((tmp_path / "p.json").read_text())
    assert content["numbers"][-1] == 2000
    assert list(content["recall"]) == ["0.5", "0.7"]
    assert set(content["average_best_overlap"]) == {"cat", "owl"}
    dataset = read_dataset(data, "test")
    boxes = [propose(read_image(path), "fast") for path in dataset.images]
    best = [
        iou(truth.boxes, found).max(axis=1)
        for truth, found in zip(dataset.all_annotations(), boxes, strict=True)
    ]
    wanted = np.concatenate(best)
    assert content["mean_best_overlap"][-1] == pytest.approx(wanted.mean(), abs=1e-6)
    assert content["recall"]["0.5"][-1] == pytest.approx((wanted >= 0.5).mean())
    assert "mean best overlap" in capsys.readouterr().out
    assert call(data, "--proposals", "nothing") == 2


def test_an_unreadable_image_is_listed_and_the_others_go_on(data, capsys):
    (data / "test" / "b.png").write_text("no image")
    assert call(data, "--proposals", "fast") == 1
    error = capsys.readouterr().err
    assert "1 of 2 failed" in error
    assert "b.png" in error


def test_data_without_objects(make_folder, results, capsys):
    assert call(make_folder({"a": []}, "empty"), "--results", results) == 2
    assert "no annotated object" in capsys.readouterr().err
