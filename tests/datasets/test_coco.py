import json

import numpy as np
import pytest
from pycocotools import mask

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


LAYOUTS = [
    ({"train": "train/_annotations.coco.json"}, "train/{}"),
    ({"train": "train.json"}, "images/{}"),
    ({"train": "train.json"}, "train/{}"),
    ({"train": "annotations/train.json"}, "images/train/{}"),
    ({"train": "annotations/train_annotations.json"}, "train/{}"),
    ({"train": "annotations/coco_train.json"}, "{}"),
    ({"": "annotations/instances_default.json"}, "images/{}"),
    ({"": "result.json"}, "images/{}"),
    ({"": "labels.json"}, "data/{}"),
    ({"": "annotations.json"}, "{}"),
    ({"": "whatever 7.json"}, "deep/er/{}"),
    ({"": "annotations/INSTANCES.JSON"}, "images/{}"),
]


@pytest.mark.parametrize(("files", "image"), LAYOUTS)
def test_layouts(tmp_path, make_image, files, image):
    for name in ("a.jpg", "b.jpg"):
        make_image(tmp_path / image.format(name))
    for file in files.values():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(json.dumps(content()))
    (split,) = files
    known = splits(tmp_path)
    if split:
        assert known == [split]
    dataset = read_dataset(tmp_path)
    assert dataset.problems == []
    assert [path.name for path in dataset.images] == ["b.jpg", "a.jpg"]
    assert len(dataset.annotations(1)) == 2
    assert read_dataset(tmp_path / files[split]).images == dataset.images


def test_roboflow_has_a_file_in_each_folder(tmp_path, make_image):
    """Equal names in the folders are different images."""
    for split in ("train", "valid", "test"):
        for name in ("a.jpg", "b.jpg"):
            make_image(tmp_path / split / name)
        (tmp_path / split / "_annotations.coco.json").write_text(json.dumps(content()))
    assert splits(tmp_path) == ["test", "train", "valid"]
    for split in ("train", "valid", "val", "test"):
        dataset = read_dataset(tmp_path, split)
        assert {path.parent.name for path in dataset.images} == {split.replace("val", "valid")[:5]}


@pytest.mark.parametrize(
    "name",
    [
        "images/a.jpg",
        "./a.jpg",
        "..\\photos\\a.jpg",
        "C:\\Users\\me\\a.jpg",
        "/home/me/photos/a.jpg",
        "../../label-studio/data/upload/1/a.jpg",
        "https://example.com/bucket/a.jpg?signature=x%2Fy",
        "file:///home/me/a.jpg",
        "%61.jpg",
        "A.JPG",
        "a",
        "a.png",
    ],
)
def test_names_of_images(folder, name):
    images = [{"id": 5, "file_name": name, "width": 100, "height": 80}]
    (folder / "instances.json").write_text(json.dumps(content(images=images)))
    dataset = read_dataset(folder)
    assert dataset.images == [folder / "images" / "a.jpg"]
    assert dataset.problems == []


def test_equal_names_in_folders(tmp_path, make_image):
    for name in ("x/1.jpg", "y/1.jpg"):
        make_image(tmp_path / "images" / name)
    images = [{"id": k, "file_name": f"{name}/1.jpg"} for k, name in enumerate("yxz")]
    text = json.dumps(content(images=images, annotations=[]))
    (tmp_path / "instances.json").write_text(text)
    dataset = read_dataset(tmp_path)
    assert [path.parent.name for path in dataset.images[:2]] == ["y", "x"]
    assert [problem.kind for problem in dataset.problems] == ["missing image"]


def test_ids_as_text_and_categories_twice(folder):
    changed = content(
        images=[{"id": "5", "file_name": "a.jpg"}, {"id": "b-1", "file_name": "b.jpg"}],
        annotations=[
            {"id": "x", "image_id": 5.0, "category_id": "9", "bbox": ["1", 2, 30, 40]},
            {"id": 2, "image_id": "b-1", "category_id": 3, "bbox": [1, 2, 30, 40]},
            {"id": 3, "image_id": "b-1", "category_id": 7, "bbox": [1, 2, 30, 40]},
        ],
        categories=[
            {"id": 7, "name": "dog"},
            {"id": "9", "name": "cat"},
            {"id": 3, "name": "cat"},
        ],
    )
    (folder / "instances.json").write_text(json.dumps(changed))
    dataset = read_dataset(folder)
    assert dataset.problems == []
    assert dataset.image_ids == [5, "b-1"]
    assert dataset.category_ids == {"cat": 3, "dog": 7}
    assert [entry.labels.tolist() for entry in dataset.all_annotations()] == [[0], [0, 1]]


def test_a_super_category_that_nothing_has_is_no_class(folder):
    categories = [
        {"id": 0, "name": "animals", "supercategory": "none"},
        {"id": 3, "name": "cat", "supercategory": "animals"},
        {"id": 7, "name": "dog", "supercategory": "dog"},
        {"id": 90, "name": "owl", "supercategory": "animals"},
    ]
    (folder / "instances.json").write_text(json.dumps(content(categories=categories)))
    assert read_dataset(folder).classes == ("cat", "dog", "owl")
    used = {"id": 9, "image_id": 5, "category_id": 0, "bbox": [1, 2, 30, 40]}
    text = json.dumps(content(categories=categories, annotations=[used]))
    (folder / "instances.json").write_text(text)
    assert read_dataset(folder).classes == ("animals", "cat", "dog", "owl")


SHAPES = [
    [[10, 20, 40, 20, 40, 60.5]],
    [[10, 20, 12, 22, 11, 21], [40, 60.5, 30, 30, 35, 35]],
    [10, 20, 40, 20, 40, 60.5],
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("box", [{}, {"bbox": None}, {"bbox": []}, {"bbox": [0, 0, 0, 0]}])
def test_boxes_of_polygons(folder, shape, box):
    entry = {"id": 1, "image_id": 5, "category_id": 3, "segmentation": shape, **box}
    (folder / "instances.json").write_text(json.dumps(content(annotations=[entry])))
    dataset = read_dataset(folder)
    np.testing.assert_array_equal(dataset.annotations(1).boxes, [[10, 20, 40, 60.5]])


@pytest.mark.parametrize("box", [(10, 20, 40, 61), (0, 0, 100, 80), (5, 0, 8, 80), (7, 3, 9, 5)])
@pytest.mark.parametrize("compressed", [False, True])
def test_boxes_of_masks_are_those_of_pycocotools(folder, box, compressed):
    x1, y1, x2, y2 = box
    pixels = np.zeros((80, 100), np.uint8, order="F")
    pixels[y1:y2, x1:x2] = np.random.default_rng(0).integers(0, 2, (y2 - y1, x2 - x1))
    encoded = mask.encode(pixels)
    expected = mask.toBbox(encoded)
    if compressed:
        counts = encoded["counts"].decode()
    else:
        flat = pixels.flatten(order="F")
        edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [2]])))
        counts = np.diff(np.concatenate([[0], edges])).tolist()
    shape = {"size": [80, 100], "counts": counts}
    entry = {"id": 1, "image_id": 5, "category_id": 3, "segmentation": shape, "iscrowd": 1}
    (folder / "instances.json").write_text(json.dumps(content(annotations=[entry])))
    x, y, w, h = expected
    np.testing.assert_array_equal(read_dataset(folder).annotations(1).boxes, [[x, y, x + w, y + h]])


def test_the_size_of_the_picture_decides(folder):
    images = [{"id": 5, "file_name": "a.jpg", "width": 640, "height": 1e999}]
    images += [{"id": 42, "file_name": "b.jpg", "width": 640, "height": 480}]
    entry = {"id": 1, "image_id": 42, "category_id": 3, "bbox": [90, 2, 50, 40]}
    text = json.dumps(content(images=images, annotations=[entry]))
    (folder / "instances.json").write_text(text)
    dataset = read_dataset(folder)
    np.testing.assert_array_equal(dataset.annotations(1).boxes, [[90, 2, 100, 42]])
    assert [problem.kind for problem in dataset.problems] == ["wrong size", "outside box"]
    assert "says 640 x 480, but b.jpg is 100 x 80" in str(dataset.problems[0])


def test_no_image_of_the_file_exists(folder):
    images = [{"id": 5, "file_name": "x.jpg"}, {"id": 6, "file_name": "y.jpg"}]
    (folder / "instances.json").write_text(json.dumps(content(images=images)))
    with pytest.raises(
        SppdetError, match=r"2 images such as x.jpg, but none.*such as images/a.jpg"
    ):
        read_dataset(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, "two names, a and b"),
        ({"categories": [{"id": None, "name": "a"}]}, "id None is neither"),
        ({"images": [7]}, "not an entry"),
    ],
)
def test_a_broken_file(folder, changes, message):
    (folder / "instances.json").write_text(json.dumps(content(**changes)))
    with pytest.raises(SppdetError, match=message):
        read_dataset(folder)


def test_a_deeply_nested_file(tmp_path):
    (tmp_path / "instances.json").write_text("[" * 100_000)
    with pytest.raises(SppdetError, match="not readable JSON"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("again", [5, "5", 5.0])
def test_one_id_of_two_images_is_refused(folder, again):
    images = [*content()["images"], {"id": again, "file_name": "c.jpg"}]
    (folder / "instances.json").write_text(json.dumps(content(images=images)))
    with pytest.raises(SppdetError, match=r"two images have the id 5, a\.jpg and c\.jpg"):
        read_dataset(folder)


@pytest.mark.parametrize("added", [0, 1, 2])
def test_one_image_under_several_ids_keeps_all_objects(folder, added):
    """Otherwise the objects of one entry are background of the other."""
    ids = [600 + number for number in range(added)]
    images = [*content()["images"], *({"id": key, "file_name": "a.jpg"} for key in ids)]
    more = [
        {"id": key, "image_id": key, "category_id": 7, "bbox": [1, 2, 30, key - 590]} for key in ids
    ]
    twice = [
        {"id": -key, "image_id": key, "category_id": 90, "bbox": [10, 20, 30, 40.5]} for key in ids
    ]
    annotations = content()["annotations"] + more + twice
    (folder / "instances.json").write_text(
        json.dumps(content(images=images, annotations=annotations))
    )
    dataset = read_dataset(folder)
    assert dataset.image_ids == [42, 5]
    assert [len(dataset.annotations(k)) for k in range(2)] == [0, 2 + added]
    assert [str(one).split(": ")[1] for one in dataset.problems] == [
        f"the images 5 and {key} are both a.jpg; read as one image" for key in ids
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"category_id": 0}, 'its category_id 0 is not in the list "categories"'),
        ({"image_id": 77}, 'its image_id 77 is not in the list "images"'),
        ({"category_id": None}, "has no category_id"),
        ({"image_id": {}}, "has no image_id"),
        ({"bbox": None}, "has no usable bbox or segmentation"),
        ({"bbox": [1, 2, 3]}, "has no usable bbox or segmentation"),
    ],
)
def test_an_annotation_that_is_left_out_is_explained(folder, change, message):
    annotations = [{**content()["annotations"][0], **change}, content()["annotations"][1]]
    (folder / "instances.json").write_text(json.dumps(content(annotations=annotations)))
    dataset = read_dataset(folder)
    assert [one.message for one in dataset.problems] == [f"annotation 1: {message}, left out"]
    assert len(dataset.annotations(1)) == 1
