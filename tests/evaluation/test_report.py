import csv
import json
import re

import numpy as np
import pytest

from sppdet.datasets import read_dataset
from sppdet.detections import Detections
from sppdet.evaluation.errors import analyse, groups_of
from sppdet.evaluation.gallery import worst_misses, worst_mistakes
from sppdet.evaluation.intervals import bootstrap
from sppdet.evaluation.report import write_report
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
    assert text.count("data:image/jpeg;base64,") == 3 + 2
    assert "nan" not in re.sub(r"base64,[^\"]*", "", text).lower()


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
