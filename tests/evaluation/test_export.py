"""Detections written for other programs, and read back."""

import json

import numpy as np
import pytest

from sppdet.datasets.base import Dataset, RawObject, Record
from sppdet.datasets.writers import write_dataset
from sppdet.detections import Detections
from sppdet.errors import SppdetError
from sppdet.evaluation.export import export, export_files
from sppdet.evaluation.results import read_results
from sppdet.evaluation.voc import evaluate_voc


@pytest.mark.parametrize(
    ("kind", "name"),
    [("coco", "results.json"), ("voc", "comp4"), ("yolo", "labels"), ("text", "texts")],
)
def test_what_is_written_is_read_back(dataset, found, tmp_path, kind, name):
    export(tmp_path / name, kind, dataset, found)
    if kind == "text":  # the class with a space in its name
        assert "traffic light" in (tmp_path / name / "b_2.txt").read_text()
    again = read_results(tmp_path / name, dataset)
    assert again.format == kind
    assert again.notes == []
    for own, other in zip(found, again.detections, strict=True):
        np.testing.assert_array_equal(own.labels, other.labels)
        np.testing.assert_allclose(own.scores, other.scores, rtol=1e-7)
        np.testing.assert_allclose(own.boxes, other.boxes, rtol=1e-6, atol=1e-5)


def test_unknown_export_format(dataset, found, tmp_path):
    with pytest.raises(SppdetError, match="coco, voc, yolo, text"):
        export(tmp_path / "x", "xml", dataset, found)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("coco", "results.json"), ("voc", "comp4"), ("yolo", "labels"), ("text", "texts")],
)
def test_names_survive_and_stay_in_the_folder(odd, tmp_path, kind, name):
    random = np.random.default_rng(1)
    found = []
    for truth in odd.all_annotations():
        scores = random.uniform(0.001, 1, len(truth))
        found.append(Detections(truth.boxes, truth.labels, scores, odd.classes))
    before = set(tmp_path.rglob("*"))
    export(tmp_path / "deep" / "er" / name, kind, odd, found)
    new = set(tmp_path.rglob("*")) - before
    assert all(path.is_relative_to(tmp_path / "deep") for path in new)
    assert {path for path in new if path.is_file()} == set(
        export_files(tmp_path / "deep" / "er" / name, kind, odd)
    )
    again = read_results(tmp_path / "deep" / "er" / name, odd)
    assert again.notes == []
    for own, other in zip(found, again.detections, strict=True):
        np.testing.assert_array_equal(own.labels, other.labels)
        np.testing.assert_allclose(own.boxes, other.boxes, atol=1e-4)
    figures = evaluate_voc(again.detections, odd.all_annotations(), odd.classes)
    assert figures.map_area == 1


def test_a_name_that_is_too_long_for_a_file_is_refused(odd, tmp_path):
    long = Dataset(odd.path, "folder", None, [], ["a" * 300])
    with pytest.raises(SppdetError, match=r"too long.*--export-format coco"):
        export_files(tmp_path, "voc", long)


@pytest.mark.parametrize("format", ["coco", "yolo"])
def test_results_and_data_sets_have_the_same_boxes(odd, tmp_path, format):
    """The truth as detections is, without the scores, what the writer of data sets writes."""
    classes = ["cat", "3"]
    records = []
    for image in odd.images:
        objects = [RawObject(name, (3.5, 1.25, 40.0, 60.5)) for name in classes]
        records.append(Record(image, image, (100, 80), objects))
    plain = Dataset(odd.path, "folder", None, records, classes)
    found = [
        Detections(one.boxes, one.labels, np.ones(len(one)), plain.classes)
        for one in plain.all_annotations()
    ]
    write_dataset({"": plain}, format, tmp_path / "data")
    if format == "coco":
        export(tmp_path / "results.json", format, plain, found)
        results = json.loads((tmp_path / "results.json").read_text())
        written = json.loads((tmp_path / "data" / "annotations" / "instances.json").read_text())
        pairs = zip(results, written["annotations"], strict=True)
        assert all(
            one[key] == other[key] for one, other in pairs for key in ("category_id", "bbox")
        )
        return
    export(tmp_path / "labels", format, plain, found)
    for file in sorted((tmp_path / "labels").rglob("*.txt")):
        other = tmp_path / "data" / "labels" / file.relative_to(tmp_path / "labels")
        lines = file.read_text().splitlines()
        assert [line.removesuffix(" 1") for line in lines] == other.read_text().splitlines()
    numbers = read_results(tmp_path / "labels", plain)
    for own, other in zip(found, numbers.detections, strict=True):
        np.testing.assert_array_equal(own.labels, other.labels)
        np.testing.assert_allclose(own.boxes, other.boxes, atol=1e-4)
