import json
import os
from pathlib import Path

import numpy as np
import pytest

from sppdet.datasets import read_dataset
from sppdet.datasets.image_names import relative_names
from sppdet.datasets.scenes import write_scenes
from sppdet.detections import Detections
from sppdet.errors import SppdetError
from sppdet.evaluation.export import export, export_files
from sppdet.evaluation.results import corners, read_results, recognise_results


def test_the_json_of_detect_is_read(dataset, tmp_path):
    entry = {"label": "cat", "score": 0.5, "box": [1, 2, 30, 40]}
    (tmp_path / "out").mkdir()
    content = {"image": "somewhere/b_2.png", "detections": [entry]}
    (tmp_path / "out" / "b_2.json").write_text(json.dumps(content))
    read = read_results(tmp_path / "out", dataset)
    assert read.format == "sppdet"
    assert [len(entry) for entry in read.detections] == [0, 1, 0]
    np.testing.assert_array_equal(read.detections[1].boxes, [[1, 2, 30, 40]])


def test_comp4_files_count_from_one(dataset, tmp_path):
    (tmp_path / "comp4_det_test_cat.txt").write_text("000007 0.5 11 11 50 50\n")
    read = read_results(tmp_path, dataset)
    np.testing.assert_array_equal(read.detections[0].boxes, dataset.annotations(0).boxes)


@pytest.mark.parametrize(
    ("style", "line"),
    [
        ("xyxy", "cat 0.5 10 20 30 60"),
        ("xywh", "cat 0.5 10 20 20 40"),
        ("cxcywh", "cat 0.5 20 40 20 40"),
        ("xyxy", "cat 0.5 .1 .2 .3 .6"),
        ("xywh", "0 0.5 .1 .2 .2 .4"),
        ("yolo", "0 .2 .4 .2 .4 0.5"),
    ],
)
def test_styles_of_text_files(dataset, tmp_path, style, line):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "b_2.txt").write_text(line + "\n\n")
    found = read_results(tmp_path / "r", dataset, style).detections[1]
    np.testing.assert_allclose(found.boxes, [[10, 20, 30, 60]], rtol=1e-6)
    assert found.scores.tolist() == [0.5]
    assert dataset.classes[found.labels[0]] == "cat"


def test_corners_of_every_style_agree():
    assert corners([1, 2, 4, 8], "xyxy") == (1, 2, 4, 8)
    assert corners([1, 2, 3, 6], "xywh") == (1, 2, 4, 8)
    assert corners([2.5, 5, 3, 6], "cxcywh") == (1, 2, 4, 8)


@pytest.mark.parametrize("image_id", ["000007", "000007.png", 7, "7"])
def test_images_are_found_by_name_stem_or_number(dataset, tmp_path, image_id):
    record = {"image_id": image_id, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}
    file = tmp_path / "r.json"
    file.write_text(json.dumps([record]))
    assert len(read_results(file, dataset).detections[0]) == 1


def test_other_images_and_classes_are_counted(dataset, tmp_path):
    lines = "cat 0.5 1 1 9 9\nzebra 0.5 1 1 9 9\nzebra 0.4 1 1 9 9\n"
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "b_2.txt").write_text(lines)
    (tmp_path / "r" / "other.txt").write_text("cat 0.5 1 1 9 9\n")
    read = read_results(tmp_path / "r", dataset)
    assert read.notes[:2] == [
        "2 detections left out: class zebra is not in the data",
        "1 detection left out: image other is not in the data",
    ]
    assert sum(map(len, read.detections)) == 1


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"b_2.txt": "cat 0.5 1 1 9\n"}, r"b_2.txt: line 1 is not a detection"),
        ({"b_2.txt": "cat 0.5 1 1 9 9\ncat nan 1 1 9 9\n"}, r"b_2.txt: line 2 is not a detection"),
        ({"b_2.txt": "cat 0.5 50 50 20 20\n"}, "are these xyxy.*--boxes"),
        ({"other.txt": "cat 0.5 1 1 9 9\n"}, "nothing in it belongs to"),
        ({"comp4_det_test_cat.txt": "b_2 0.5 1 1 9\n"}, "line 1 is not a detection"),
        ({"b_2.json": "{}"}, "is not a result of detect"),
        ({"b_2.json": "[]"}, "is not a result of detect"),
        ({}, "holds no results"),
    ],
)
def test_wrong_folders_are_named(dataset, tmp_path, files, message):
    folder = tmp_path / "r"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    with pytest.raises(SppdetError, match=message):
        read_results(folder, dataset)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not readable JSON"),
        ('{"a": 1}', "not a COCO results file"),
        ('[{"image_id": 7}]', "entry 0 is not a detection"),
        ('[{"image_id": 7, "category_id": 1, "bbox": [1, 2, 3], "score": 1}]', "entry 0"),
        ('[{"image_id": 7, "category_id": 9, "bbox": [1, 2, 3, 4], "score": 1}]', "category 9"),
        pytest.param(
            '[{"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 1%s], "score": 1}]' % ("0" * 400),
            "entry 0 is not a detection",
            id="a number of 400 digits",
        ),
        ('[{"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 1e300], "score": 1}]', "entry 0"),
        ("[" * 100_000, "not readable JSON"),
    ],
)
def test_wrong_json_is_named(dataset, tmp_path, text, message):
    file = tmp_path / "r.json"
    file.write_text(text)
    with pytest.raises(SppdetError, match=message):
        read_results(file, dataset)


@pytest.mark.parametrize("name", ["b_2.json", "comp4_det_test_cat.txt", "b_2.txt"])
def test_a_pipe_among_results_is_not_opened(dataset, tmp_path, name):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no pipes in folders")
    (tmp_path / "r").mkdir()
    os.mkfifo(tmp_path / "r" / name)
    with pytest.raises(SppdetError, match="not a regular file"):
        read_results(tmp_path / "r", dataset)


def test_nothing_found_at_all_is_a_result(dataset, tmp_path):
    file = tmp_path / "r.json"
    file.write_text("[]")
    assert [len(entry) for entry in read_results(file, dataset).detections] == [0, 0, 0]


def test_missing_results(tmp_path):
    with pytest.raises(SppdetError, match="no such file"):
        recognise_results(tmp_path / "nowhere")


def test_results_of_detect_are_not_mixed_up(odd, tmp_path):
    (tmp_path / "out").mkdir()
    for number, image in enumerate(odd.images):
        entry = {"label": "3", "score": 0.01, "box": [number, 1, 50, 60]}
        content = {"image": str(image), "detections": [entry]}
        (tmp_path / "out" / f"{number}.json").write_text(json.dumps(content))
    elsewhere = {"image": str(tmp_path / "data" / "1.png"), "detections": [entry]}
    (tmp_path / "out" / "other.json").write_text(json.dumps(elsewhere))
    read = read_results(tmp_path / "out", odd)
    assert [entry.boxes[:, 0].tolist() for entry in read.detections] == [[0], [1], [2]]
    (tmp_path / "out" / "short.json").write_text(json.dumps({"image": "1.png", "detections": []}))
    with pytest.raises(SppdetError, match=r"1.png may be a/1.png or b/1.png"):
        read_results(tmp_path / "out", odd)


@pytest.mark.parametrize(
    ("scores", "images", "words"),
    [
        ([0.35, 0.9], 3, ["no score is below 0.35", "threshold"]),
        ([0.001, 0.9], 3, []),
        ([-3, 7], 3, []),
        ([2, 7], 3, []),
        ([0.001, 0.9], 2, ["1 of 3 images does not occur", "b/in  two.png"[2:], "11 objects"]),
    ],
)
def test_cut_results_and_missing_images_are_said(odd, tmp_path, scores, images, words):
    found = [Detections([[1, 1, 9, 9]] * 2, [0, 1], scores, odd.classes) for _ in odd.images]
    export(tmp_path / "out", "text", odd, found)
    for file in export_files(tmp_path / "out", "text", odd)[images:]:
        file.unlink()
    notes = read_results(tmp_path / "out", odd).notes
    assert len(notes) == bool(words)
    assert all(word in notes[0] for word in words)


@pytest.fixture
def coco_set(make_image, tmp_path):
    """Three categories with the ids 1, 2, 5 in twelve images."""
    images, annotations = [], []
    for number in range(12):
        make_image(tmp_path / "coco" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 100, "height": 80})
        for place, key in enumerate((1, 2, 5)):
            box = [30 * place, 5, 25, 60]
            annotations.append(
                {"id": len(annotations), "image_id": number, "category_id": key, "bbox": box}
            )
    categories = [{"id": key, "name": name} for key, name in ((1, "ant"), (2, "bee"), (5, "cat"))]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "coco" / "instances.json").write_text(json.dumps(content))
    return read_dataset(tmp_path / "coco")


@pytest.mark.parametrize(
    ("numbering", "words"),
    [
        ({1: 1, 2: 2, 5: 5}, []),
        ({1: 0, 2: 1, 5: 2}, ["category 0", "count the categories from 0"]),
        ({1: 0, 2: 1, 5: 4}, ["category 0, 4", "instances.json"]),
        ({1: 1, 2: 2, 5: 3}, ["category 3"]),
        ({1: 2, 2: 5, 5: 1}, []),  # a bad detector, not another numbering
        ({1: 5, 2: 1, 5: 2}, ["category_id were the place in the list of categories from 0"]),
        ({2: 1, 5: 2}, ["24 detections overlap an object", "the place in the list"]),
    ],
)
def test_other_category_ids(coco_set, tmp_path, numbering, words):
    truth = json.loads(coco_set.annotation_file.read_text())["annotations"]
    records = [
        {**entry, "category_id": numbering[entry["category_id"]], "score": 0.01}
        for entry in truth
        if entry["category_id"] in numbering
    ]
    file = tmp_path / "r.json"
    file.write_text(json.dumps(records))
    if not words:
        assert read_results(file, coco_set).format == "coco"
        return
    with pytest.raises(SppdetError) as caught:
        read_results(file, coco_set)
    for word in words:
        assert word in str(caught.value)
    assert "1 ant, 2 bee, 5 cat" in str(caught.value)


@pytest.mark.parametrize("value", ["[1e999, 1, 5, 5]", "[1, 2, NaN, 4]", '["a", 1, 2, 3]', "7"])
def test_a_box_that_is_not_finite_is_refused(dataset, tmp_path, value):
    file = tmp_path / "r.json"
    file.write_text(f'[{{"image_id": 7, "category_id": 1, "bbox": {value}, "score": 1}}]')
    with pytest.raises(SppdetError, match="entry 0"):
        read_results(file, dataset)


@pytest.mark.parametrize("part", ['"image_id": []', '"category_id": {}', '"category_id": []'])
def test_ids_of_wrong_types_are_refused(dataset, tmp_path, part):
    record = {"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}
    record |= json.loads("{" + part + "}")
    file = tmp_path / "r.json"
    file.write_text(json.dumps([record]))
    with pytest.raises(SppdetError, match="entry 0"):
        read_results(file, dataset)


def test_the_json_of_detect_in_folders(tmp_path: Path) -> None:
    """As ``detect --recursive`` writes it, beside the files of the whole run."""
    for name in ("a", "b"):
        write_scenes(tmp_path / "data" / name, 1, seed=1, size=(60, 50))
    dataset = read_dataset(tmp_path / "data")
    found = Detections([[1, 1, 30, 30]], [0], [0.01], dataset.classes)
    out = tmp_path / "out"
    for name, image in zip(("a/x", "b/x"), dataset.images, strict=True):
        (out / name).parent.mkdir(parents=True)
        content = found.with_image(image).to_dict()
        (out / f"{name}.json").write_text(json.dumps(content))
    (out / "detections.coco.json").write_text(json.dumps(found.to_coco("a/x.jpg")))
    (out / "summary.json").write_text('{"images": 2, "detections": {"apple": 2}}')
    results = read_results(out, dataset)
    assert results.format == "sppdet"
    assert [len(one) for one in results.detections] == [1, 1]


def test_inverted_boxes_of_others_are_false_positives(tmp_path: Path) -> None:
    write_scenes(tmp_path / "data", 1, seed=1, size=(60, 50))
    dataset = read_dataset(tmp_path / "data")
    record = {"image_id": dataset.images[0].name, "category_id": 1, "score": 0.01}
    file = tmp_path / "results.json"
    file.write_text(json.dumps([{**record, "bbox": [20, 20, -10, 5], "category_name": "apple"}]))
    (found,) = read_results(file, dataset).detections
    assert found.boxes.tolist() == [[20, 20, 20, 25]]


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize(
    ("shift", "images", "word"),
    [
        (0, range(12), None),
        (1, range(12), "one more"),
        (-1, range(12), "one less"),
        (1, range(6, 12), "one more"),  # without objects in half of the images
        (1, range(5), None),  # every id is known: nothing tells
        (3, range(12), None),  # of another data set: the unknown ids are counted
        (1, (11,), None),  # too few to tell
    ],
)
def test_other_image_ids(coco_set, tmp_path, shift, images, word, as_text):
    truth = json.loads(coco_set.annotation_file.read_text())["annotations"]
    records = [
        {**entry, "image_id": str(number) if as_text else number, "score": 0.01}
        for entry in truth
        if entry["image_id"] in images
        for number in [entry["image_id"] + shift]
    ]
    more = {**truth[0], "image_id": 0, "score": 0.01}  # known, so that something is found
    file = tmp_path / "r.json"
    file.write_text(json.dumps([*records, more] if word is None else records))
    if word is None:
        assert read_results(file, coco_set).format == "coco"
    else:
        with pytest.raises(SppdetError, match=f"every image id seems to be {word} than in"):
            read_results(file, coco_set)


def test_a_missing_image_is_named_by_its_path(odd, tmp_path):
    (tmp_path / "r.json").write_text("[]")
    notes = read_results(tmp_path / "r.json", odd).notes
    assert any(relative_names(odd.images)[0] in note for note in notes)


def test_two_names_of_one_image_are_refused(dataset, tmp_path):
    """Results of two folders with the same file names: which are those of the image?"""
    records = [
        {"image_id": name, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}
        for name in ("one/000007.png", "one/000007.png", "two/000007.png")
    ]
    file = tmp_path / "r.json"
    file.write_text(json.dumps(records[:2]))
    assert len(read_results(file, dataset).detections[0]) == 2
    file.write_text(json.dumps(records))
    line = "one/000007.png and two/000007.png may both be the image 000007.png"
    with pytest.raises(SppdetError, match=line):
        read_results(file, dataset)
