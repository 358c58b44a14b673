import json

import numpy as np
import pytest

from sppdet.datasets import read_dataset, splits
from sppdet.errors import SppdetError

CATEGORIES = [{"id": 90, "name": "owl"}, {"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}]


def content(**changes):
    base = {
        "images": [
            {"id": 42, "file_name": "b.jpg", "width": 100, "height": 80},
            {"id": 5, "file_name": "a.jpg", "width": 100, "height": 80},
        ],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 90, "bbox": [10, 20, 30, 40.5]},
            {"id": 2, "image_id": 5, "category_id": 3, "bbox": [0, 0, 99, 79], "iscrowd": 1},
        ],
        "categories": CATEGORIES,
    }
    return {**base, **changes}


@pytest.fixture
def folder(tmp_path, make_image):
    for name in "ab":
        make_image(tmp_path / "images" / f"{name}.jpg")
    (tmp_path / "instances.json").write_text(json.dumps(content()))
    return tmp_path


def test_ids_are_mapped_to_labels(folder):
    for dataset in (read_dataset(folder), read_dataset(folder / "instances.json")):
        assert dataset.format == "coco"
        assert dataset.classes == ("cat", "dog", "owl")
        assert dataset.category_ids == {"cat": 3, "dog": 7, "owl": 90}
        assert dataset.image_ids == [42, 5]
        assert all(path.is_file() for path in dataset.images)
        assert len(dataset.annotations(0)) == 0
        entry = dataset.annotations(1)
        assert entry.labels.tolist() == [2, 0]
        assert entry.crowd.tolist() == [False, True]
        np.testing.assert_array_equal(entry.boxes[0], [10, 20, 40, 60.5])
        assert dataset.problems == []


def test_chosen_classes(folder):
    dataset = read_dataset(folder, classes=["owl", "dog"])
    assert dataset.category_ids == {"owl": 90, "dog": 7}
    assert dataset.annotations(1).labels.tolist() == [0]
    with pytest.raises(SppdetError, match="has no category emu"):
        read_dataset(folder, classes=["emu"])


def test_splits_are_annotation_files(tmp_path, make_image):
    (tmp_path / "annotations").mkdir()
    for split in ("train2017", "val2017"):
        file = tmp_path / "annotations" / f"instances_{split}.json"
        file.write_text(json.dumps(content()))
        make_image(tmp_path / split / "b.jpg")
    (tmp_path / "annotations" / "captions_val2017.json").write_text("{}")
    assert splits(tmp_path) == ["train2017", "val2017"]
    dataset = read_dataset(tmp_path, "val2017")
    assert dataset.images[0] == tmp_path / "val2017" / "b.jpg"
    assert [problem.kind for problem in dataset.problems] == ["missing image"]
    with pytest.raises(SppdetError, match="choose a split with --split: train2017, val2017"):
        read_dataset(tmp_path)
    with pytest.raises(SppdetError, match="has no split test; it has train2017, val2017"):
        read_dataset(tmp_path, "test")


def test_flaws_are_reported(folder):
    bad = [
        {"id": 1, "image_id": 6, "category_id": 3, "bbox": [1, 2, 30, 40]},
        {"id": 2, "image_id": 5, "category_id": 4, "bbox": [1, 2, 30, 40]},
        {"id": 3, "image_id": 5, "category_id": 3},
        {"id": 4, "image_id": 5, "category_id": 3, "bbox": [1, 2, "x", 40]},
        {"id": 5, "image_id": 5, "category_id": 3, "bbox": [1, 2, -5, 40]},
        {"id": 6, "image_id": 5, "category_id": 3, "bbox": [1, 2, 0.5, 40]},
        {"id": 7, "image_id": 5, "category_id": 3, "bbox": [90, 2, 50, 40]},
        "no annotation",
    ]
    (folder / "instances.json").write_text(json.dumps(content(annotations=bad)))
    dataset = read_dataset(folder)
    np.testing.assert_array_equal(dataset.annotations(1).boxes, [[90, 2, 100, 42]])
    assert sorted(problem.kind for problem in dataset.problems) == sorted(
        ["bad object"] * 5 + ["inverted box", "tiny box", "outside box"]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable JSON"),
        ("[]", 'has no list "images"'),
        ('{"images": [], "annotations": []}', 'has no list "categories"'),
        ('{"images": [{"id": 1}], "annotations": [], "categories": []}', "lacks 'file_name'"),
    ],
)
def test_other_json_is_named(tmp_path, text, message):
    (tmp_path / "instances.json").write_text(text)
    with pytest.raises(SppdetError, match=message):
        read_dataset(tmp_path)


def test_sizes_that_are_missing_come_from_the_image(folder):
    images = [{"id": 5, "file_name": "a.jpg"}]
    annotations = [{"id": 1, "image_id": 5, "category_id": 3, "bbox": [90, 2, 50, 40]}]
    text = json.dumps(content(images=images, annotations=annotations))
    (folder / "instances.json").write_text(text)
    dataset = read_dataset(folder)
    np.testing.assert_array_equal(dataset.annotations(0).boxes, [[90, 2, 100, 42]])


def test_coco128(shared_data):
    dataset = read_dataset(shared_data / "coco128")
    assert len(dataset) == 128
    assert len(dataset.classes) == 80
    assert dataset.problems == []
    assert sum(entry.crowd.sum() for entry in dataset.all_annotations()) > 0
    assert sum(map(len, dataset.all_annotations())) == 939
