import base64
import csv
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from sppdet.datasets import read_dataset
from sppdet.detections import Detections
from sppdet.evaluation.errors import analyse, groups_of
from sppdet.evaluation.gallery import correct_examples, worst_misses, worst_mistakes
from sppdet.evaluation.intervals import bootstrap
from sppdet.evaluation.report import FILES, write_report
from sppdet.evaluation.thresholded import at_thresholds
from sppdet.evaluation.voc import evaluate_voc


@pytest.fixture
def dataset(make_folder):
    images = {
        "a": [("cat", 11, 11, 50, 50), ("<b>dog</b>", 60, 60, 90, 90)],
        "b": [("cat", 1, 1, 60, 60)],
        "c": [],
    }
    return read_dataset(make_folder(images))


@pytest.fixture
def found(dataset):
    boxes = [[12, 12, 50, 50], [0, 60, 30, 90], [60, 60, 90, 90]]
    return [
        Detections(boxes, [1, 1, 1], [0.9, 0.8, 0.7], dataset.classes),
        Detections([], [], [], dataset.classes),
        Detections(boxes[:1], [0], [0.3], dataset.classes),
    ]


def test_the_page_needs_nothing_else_and_escapes_names(dataset, found, tmp_path):
    result = evaluate_voc(found, dataset.all_annotations(), dataset.classes)
    ranges = bootstrap(result, 3, 50)
    page = write_report(tmp_path / "r", dataset, result, result.to_json(), ranges, "A & B")
    text = page.read_text()
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "<b>dog</b>" not in text
    assert "&lt;b&gt;dog&lt;/b&gt;" in text
    assert "<title>A &amp; B</title>" in text
    assert text.count("data:image/jpeg;base64,") == 3 + 2 + 1
    assert "nan" not in re.sub(r"base64,[^\"]*", "", text).lower()
    for name in FILES:
        assert (tmp_path / "r" / name).stat().st_size > 0


def test_the_page_fits_500_pixels(dataset, found, tmp_path):
    """What can be wide scrolls in its own box, or shrinks."""
    result = evaluate_voc(found, dataset.all_annotations(), dataset.classes)
    text = write_report(tmp_path, dataset, result, result.to_json()).read_text()
    tables = re.findall(r"(.{0,30})<table", text, re.DOTALL)
    assert len(tables) == 3
    assert all(re.search(r'<div class="scroll[^"]*">$', before) for before in tables)
    assert ".scroll{overflow-x:auto;max-width:100%}" in text
    assert "svg{max-width:100%;height:auto}" in text
    assert "overflow-wrap:anywhere" in text
    style = text[text.index("<style>") : text.index("</style>")]
    fixed = re.findall(r"(?<!max-)(?:width|minmax)[:(]([^;}]*)", style)
    assert [one for one in fixed if "px" in one and "min(" not in one] == []


def test_recall_at_the_thresholds_in_use(dataset, found, tmp_path):
    result = evaluate_voc(found, dataset.all_annotations(), dataset.classes)
    page = write_report(tmp_path, dataset, result, {}, thresholds={"cat": 0.95, "<b>dog</b>": 0.2})
    content = json.loads((tmp_path / "report.json").read_text())["at_thresholds"]
    assert content["thresholds"] == "given"
    assert content["recall"] == 0
    assert content["classes"]["cat"] == {"threshold": 0.95, "recall": 0, "precision": None}
    assert "recall at the thresholds in use" in page.read_text()
    assert "objects found at any score" in page.read_text()
    rows = list(csv.DictReader((tmp_path / "images.csv").open()))
    assert rows[1] == {
        "image": "b.png",
        "objects": "1",
        "correct": "0",
        "wrong": "0",
        "missed": "1",
    }
    assert [row["wrong"] for row in rows] == ["0", "0", "1"]
    text = page.read_text()
    assert text.index("a.png</td>") < text.index("b.png</td>")  # 2 errors, 1 error


def test_correct_examples_take_the_best_of_each_class_first(make_folder):
    boxes = {name: [("cat", 1, 1, 40, 40), ("owl", 50, 50, 90, 90)] for name in "abc"}
    dataset = read_dataset(make_folder(boxes))
    found = [
        Detections(one.boxes, one.labels, [0.9 - k / 10, 0.5 - k / 10], dataset.classes)
        for k, one in enumerate(dataset.all_annotations())
    ]
    result = evaluate_voc(found, dataset.all_annotations(), dataset.classes)
    shown = at_thresholds(result, 3, {"cat": 0.75, "owl": 0.3})
    pictures = correct_examples(dataset, result, shown)
    assert [p.title for p in pictures] == ["cat", "owl", "cat", "owl", "owl"]
    assert pictures[0].detail == "a.png, score 0.90, IoU 1.00"


def test_truth_boxes_are_thick_and_outlined(make_folder):
    dataset = read_dataset(make_folder({"a": [("cat", 31, 31, 70, 70)]}))
    nothing = [Detections([], [], [], dataset.classes)]
    result = evaluate_voc(nothing, dataset.all_annotations(), dataset.classes)
    (picture,) = worst_misses(dataset, result)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.jpeg))).convert("RGB"))
    green = (pixels[..., 1] > 150) & (pixels[..., 0] < 110) & (pixels[..., 2] < 150)
    inside = green[80:120]  # rows through the middle of the object
    assert (inside.sum(axis=1) >= 3).mean() > 0.8


def test_json_and_csv_say_the_same(dataset, found, tmp_path):
    result = evaluate_voc(found, dataset.all_annotations(), dataset.classes)
    write_report(tmp_path, dataset, result, result.to_json())
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["map_area"] == result.map_area
    assert content["curves"]["cat"]["recall"][-1] == 0.5
    assert content["operating_points"]["cat"]["score"] == pytest.approx(0.9)
    rows = list(csv.DictReader((tmp_path / "classes.csv").open()))
    assert [row["class"] for row in rows] == ["<b>dog</b>", "cat"]
    assert float(rows[1]["ap_area"]) == content["classes"]["cat"]["ap_area"]
    assert rows[0]["best_f1_score"] == ""
    curves = list(csv.DictReader((tmp_path / "curves.csv").open()))
    assert {row["class"] for row in curves} == {"<b>dog</b>", "cat"}


def test_mistakes_come_by_score_and_misses_by_size(dataset, found):
    result = evaluate_voc(found, dataset.all_annotations(), dataset.classes)
    mistakes = worst_mistakes(dataset, result, analyse(result))
    assert [p.title for p in mistakes] == [
        "cat: background",
        "cat: other class",
        "<b>dog</b>: background",
    ]
    misses = worst_misses(dataset, result)
    assert [p.detail for p in misses] == ["b.png, best IoU 0.00", "a.png, best IoU 0.00"]
    assert len(worst_misses(dataset, result, count=1)) == 1


def test_a_report_without_any_detection(dataset, tmp_path):
    nothing = [Detections([], [], [], dataset.classes) for _ in range(3)]
    result = evaluate_voc(nothing, dataset.all_annotations(), dataset.classes)
    assert "no detections" in write_report(tmp_path, dataset, result, {}).read_text()


def test_an_image_that_went_away_is_left_out(dataset, found, tmp_path):
    dataset.images[0].unlink()
    result = evaluate_voc(found, dataset.all_annotations(), dataset.classes)
    assert len(worst_mistakes(dataset, result, analyse(result))) == 1


def test_many_scores_stay_a_small_page(make_folder, tmp_path):
    dataset = read_dataset(make_folder({"a": [("cat", 1, 1, 50, 50)]}))
    random = np.random.default_rng(0)
    corner = random.uniform(0, 50, (20_000, 2))
    boxes = np.concatenate([corner, corner + 20], axis=1)
    found = [Detections(boxes, np.zeros(20_000, int), random.normal(size=20_000), ("cat",))]
    result = evaluate_voc(found, dataset.all_annotations(), dataset.classes)
    assert write_report(tmp_path, dataset, result, {}).stat().st_size < 1_000_000


def test_groups_come_from_supercategories():
    entries = [("cat", "animal"), ("dog", "animal"), ("car", "vehicle"), ("thing", None)]
    categories = [{"name": n, "supercategory": s} for n, s in entries]
    assert groups_of(categories) == [["cat", "dog"], ["car"]]
