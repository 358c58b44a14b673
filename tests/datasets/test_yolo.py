import os

import numpy as np
import pytest

from sppdet.datasets import read_dataset, splits
from sppdet.datasets.yolo_names import read_names
from sppdet.errors import SppdetError

LINE = "1 0.5 0.5 0.2 0.5\n"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("image", "label", "split"),
    [
        ("a.jpg", "a.txt", None),
        ("images/a.jpg", "labels/a.txt", None),
        ("images/train/a.jpg", "labels/train/a.txt", "train"),
        ("train/images/a.jpg", "train/labels/a.txt", "train"),
        ("train/a.jpg", "train/a.txt", "train"),
    ],
)
@pytest.mark.parametrize("classes", ["classes.txt", "data.yaml", "obj.names"])
def test_layouts(tmp_path, make_image, image, label, split, classes):
    make_image(tmp_path / image)
    make_image((tmp_path / image).with_name("b.jpg"))
    write(tmp_path / label, LINE)
    write(tmp_path / classes, "names: [cat, dog]" if classes == "data.yaml" else "cat\ndog\n")
    dataset = read_dataset(tmp_path, split)
    assert dataset.format == "yolo"
    assert dataset.classes == ("cat", "dog")
    assert splits(tmp_path) == ([split] if split else [])
    assert [path.name for path in dataset.images] == ["a.jpg", "b.jpg"]
    np.testing.assert_allclose(dataset.annotations(0).boxes, [[40, 20, 60, 60]])
    assert dataset.annotations(0).labels.tolist() == [1]
    assert len(dataset.annotations(1)) == 0


def test_flaws_and_polygons(tmp_path, make_image):
    make_image(tmp_path / "a.jpg")
    write(tmp_path / "broken.jpg", "no image")
    write(tmp_path / "broken.txt", LINE)
    write(tmp_path / "classes.txt", "cat\ndog\n")
    lines = ["0 .1 .1 .5 .1 .5 .6", "2 .5 .5 .2 .2", "0 .5 .5 .2", "0 .5 x .2 .2", "-1 .5 .5 .2 .2"]
    lines += ["0 0.9 0.5 0.4 0.5", "0 0.5 0.5 -0.1 0.5"]
    write(tmp_path / "a.txt", "\n".join(lines))
    dataset = read_dataset(tmp_path)
    np.testing.assert_allclose(
        dataset.annotations(0).boxes, [[10, 8, 50, 48], [70, 20, 100, 60]], rtol=1e-6
    )
    assert sorted(problem.kind for problem in dataset.problems) == [
        "bad object",
        "bad object",
        "inverted box",
        "outside box",
        "unknown class",
        "unknown class",
        "unreadable image",
    ]


NAMES = [
    ("train: x\nnames: [cat, 'big dog']\nnc: 2", {0: "cat", 1: "big dog"}),
    ("names:\n  0: cat  # small\n  1: big dog\nnc: 2", {0: "cat", 1: "big dog"}),
    ("nc: 2\nnames:\n- cat\n- big dog\n", {0: "cat", 1: "big dog"}),
    ('names:\n  - cat\n  - "big dog"\nval: y', {0: "cat", 1: "big dog"}),
    ("names: {0: cat, 1: big dog}", {0: "cat", 1: "big dog"}),
    ("names: {1: banana, 0: apple}", {0: "apple", 1: "banana"}),
    ("names:\n  3: pear\n  0: apple", {0: "apple", 3: "pear"}),
    ("names:\n  - cat\n\n  # two\n  - dog\n", {0: "cat", 1: "dog"}),
    ("names: ['salt, pepper', \"it's\"]", {0: "salt, pepper", 1: "it's"}),
    ("names: [yes, no, 1e3, 2024-01-01, null, ~]", None),
    ("\ufeffnames: [cat]", {0: "cat"}),
    ("names: {'0': cat}", {0: "cat"}),
    ("names: [Яблоко, 苹果, café]", {0: "Яблоко", 1: "苹果", 2: "café"}),
]


@pytest.mark.parametrize(("text", "expected"), NAMES)
def test_names_of_a_yaml_file(tmp_path, text, expected):
    write(tmp_path / "data.yaml", text)
    if expected is None:
        expected = dict(enumerate(["yes", "no", "1e3", "2024-01-01", "null", "~"]))
    assert read_names(tmp_path / "data.yaml").by_number == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: 3", "neither a list nor"),
        ("names: {a: b}", "key 'a', not a number"),
        ("names: {0: a, 00: b}", "class 0 has two names, a and b"),
        ("names: [[a]]", "class 0 is not a text"),
        ("names: [a", "not readable YAML"),
        ("- a", "names no class"),
        ("[" * 5000, "not readable YAML"),
        ("names: !!python/object/apply:os.system [ls]", "not readable YAML"),
    ],
)
def test_a_yaml_file_that_is_wrong(tmp_path, text, message):
    write(tmp_path / "data.yaml", text)
    with pytest.raises(SppdetError, match=message):
        read_names(tmp_path / "data.yaml")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"cat\n\ndog\n\n", {0: "cat", 2: "dog"}),
        (b"cat\r\r\ndog\r\r\n", {0: "cat", 1: "dog"}),
        (b"\xef\xbb\xbfcat\n# dog", {0: "cat", 1: "# dog"}),
        ("café\n".encode("cp1252"), {0: "café"}),
        ("\ufeffcat\n".encode("utf-16-le"), {0: "cat"}),
    ],
)
def test_lines_of_a_class_file_keep_their_numbers(tmp_path, content, expected):
    (tmp_path / "classes.txt").write_bytes(content)
    assert read_names(tmp_path / "classes.txt").by_number == expected


def test_numbers_of_a_mapping_decide(tmp_path, make_image):
    """Not the order of its lines: the labels would be swapped."""
    make_image(tmp_path / "images" / "a.jpg")
    write(
        tmp_path / "labels" / "a.txt",
        "1 .5 .5 .2 .5\n0 .5 .5 .4 .5\n2 .5 .5 .4 .5\n4 .5 .5 .4 .5\n",
    )
    write(tmp_path / "data.yaml", "names: {4: fig, 1: banana, 0: apple}\n")
    dataset = read_dataset(tmp_path)
    assert dataset.classes == ("apple", "banana", "fig")
    assert dataset.annotations(0).labels.tolist() == [1, 0, 2]
    assert [problem.message for problem in dataset.problems] == [
        "line 3: class 2 has no name, left out"
    ]
    assert "data.yaml has no name for class 2, 3" in dataset.notes


@pytest.mark.parametrize("folder", [".", "..", "../.."])
@pytest.mark.parametrize("name", ["conda.yaml", "stray.names", "docker.yml"])
@pytest.mark.parametrize("content", [b"names: [a]\n", b"name: \xe9\n", b"[" * 9999, None])
def test_stray_files_do_not_make_yolo_data(tmp_path, make_image, make_xml, folder, name, content):
    data = tmp_path / "above" / "upper" / "data"
    make_image(data / "a.jpg")
    make_xml(data / "a.xml", ("cat", 5, 5, 20, 20))
    write(data / "a.txt", "A note about this photograph.")
    stray = data / folder / name
    if content is None:
        os.mkfifo(stray)
    else:
        stray.write_bytes(content)
    dataset = read_dataset(data)
    assert (dataset.format, dataset.classes) == ("folder", ("cat",))


def test_a_class_file_above_is_not_that_of_a_whole_data_set(tmp_path, make_image):
    """It is that of a split: train, test."""
    for folder in ("photos", "train"):
        make_image(tmp_path / folder / "a.jpg")
        write(tmp_path / folder / "a.txt", LINE)
    write(tmp_path / "classes.txt", "cat\ndog\n")
    assert read_dataset(tmp_path / "train").classes == ("cat", "dog")
    with pytest.raises(SppdetError, match=r"1 YOLO label file such as a.txt, but it needs"):
        read_dataset(tmp_path / "photos")


@pytest.mark.parametrize(
    ("line", "box"),
    [
        ("1.0 .5 .5 .2 .5", [40, 20, 60, 60]),
        ("1 .5 .5 .2 .5 0.93", [40, 20, 60, 60]),
        ("1 .1 .1 .5 .1 .5 .6", [10, 8, 50, 48]),
        ("1 .1 .1 .5 .1 .5 .6 .1 .6", [10, 8, 50, 48]),
        ("1 .1 .1 .5 .1 .5 .6 .1 .6 .9", [10, 8, 50, 48]),
        ("1 .5 .5 .2 .5 .45 .45 2 .55 .6 1 0 0 0", [40, 20, 60, 60]),
        ("1\t5e-1 .5 2E-1 .5  ", [40, 20, 60, 60]),
    ],
)
def test_what_stands_behind_the_class(tmp_path, make_image, line, box):
    make_image(tmp_path / "a.jpg")
    write(tmp_path / "a.txt", line)
    write(tmp_path / "classes.txt", "cat\ndog\n")
    dataset = read_dataset(tmp_path)
    assert dataset.problems == []
    np.testing.assert_allclose(dataset.annotations(0).boxes, [box], rtol=1e-5)
    assert dataset.annotations(0).labels.tolist() == [1]


def test_key_points_are_known_from_kpt_shape(tmp_path, make_image):
    make_image(tmp_path / "a.jpg")
    write(tmp_path / "a.txt", "0 .5 .5 .2 .5 .45 .45 .55 .6")
    write(tmp_path / "data.yaml", "names: [cat]\nkpt_shape: [2, 2]\n")
    dataset = read_dataset(tmp_path)
    np.testing.assert_allclose(dataset.annotations(0).boxes, [[40, 20, 60, 60]], rtol=1e-6)
    assert any("key points are left out" in note for note in dataset.notes)


@pytest.mark.parametrize(
    ("setup", "expected"),
    [
        ("train: images/train\nval: images/val", {"train": ["a"], "val": ["b"]}),
        ("train: ../images/train\nval: ../images/val", {"train": ["a"], "val": ["b"]}),
        ("path: {root}\ntrain: images/train\nval: images/val", {"train": ["a"], "val": ["b"]}),
        ("path: nowhere\ntrain: [images/train, images/val]", {"train": ["a", "b"]}),
        ("train: lists/train.txt\nval: nowhere", {"train": ["b"]}),
        ("train: images", {"train": ["a", "b"]}),
    ],
)
@pytest.mark.parametrize("given", [".", "data.yaml"])
def test_parts_of_a_yaml_file(tmp_path, make_image, setup, expected, given):
    for name, split in (("a", "train"), ("b", "val")):
        make_image(tmp_path / "images" / split / f"{name}.jpg")
        write(tmp_path / "labels" / split / f"{name}.txt", LINE)
    write(tmp_path / "lists" / "train.txt", "./images/val/b.jpg\n\n")
    write(tmp_path / "data.yaml", f"names: [cat, dog]\n{setup.format(root=tmp_path)}\n")
    assert set(splits(tmp_path / given)) >= set(expected)
    for split, names in expected.items():
        dataset = read_dataset(tmp_path / given, split)
        assert [image.stem for image in dataset.images] == names
        assert all(len(entry) == 1 for entry in dataset.all_annotations())
    listed = {name for names in expected.values() for name in names}
    assert len(read_dataset(tmp_path / given)) == len(listed)


def test_a_yaml_file_may_lead_elsewhere(tmp_path, make_image):
    make_image(tmp_path / "far" / "images" / "a.jpg")
    write(tmp_path / "far" / "labels" / "a.txt", LINE)
    write(tmp_path / "here" / "data.yaml", f"names: [cat, dog]\ntrain: {tmp_path / 'far/images'}")
    dataset = read_dataset(tmp_path / "here" / "data.yaml", "train")
    assert dataset.annotations(0).labels.tolist() == [1]


def test_missing_class_file_and_names(tmp_path, make_image):
    make_image(tmp_path / "a.jpg")
    write(tmp_path / "a.txt", LINE)
    with pytest.raises(SppdetError, match="it needs a class file"):
        read_dataset(tmp_path, format="yolo")
    write(tmp_path / "classes.txt", "\n")
    with pytest.raises(SppdetError, match="names no class"):
        read_dataset(tmp_path)
    write(tmp_path / "classes.txt", "cat\ndog\n")
    assert read_dataset(tmp_path, classes=["dog"]).annotations(0).labels.tolist() == [0]
    with pytest.raises(SppdetError, match="does not name the class emu"):
        read_dataset(tmp_path, classes=["emu"])


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        (folder, name)
        for folder in ("", "train")
        for name in ("CLASSES.TXT", "Classes.txt", "_darknet.labels", "_DARKNET.LABELS")
    ]
    + [("", name) for name in ("Obj.Names", "COCO.NAMES", "DATA.YAML", "Data.yml")],
)
def test_class_files_in_upper_or_lower_case(tmp_path, make_image, name, folder):
    make_image(tmp_path / "train/1.JPG")
    write(tmp_path / "train/1.TXT", LINE)
    yaml = name.lower().endswith(("yaml", "yml"))
    write(tmp_path / folder / name, "names: [cat, dog]\nnc: 2" if yaml else "cat\ndog\n")
    dataset = read_dataset(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert dataset.annotations(0).labels.tolist() == [1]


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ("cat\ndog\n", "cat\ndog\n", ("cat", "dog")),
        ("cat\n", "cat\ndog\n", ("cat", "dog")),  # LabelImg adds a class when it is first drawn
        ("cat\ndog\n", "cat\n", ("cat", "dog")),
        ("cat\ndog\n", "", ("cat", "dog")),
        ("cat\ndog\n", "dog\ncat\n", None),
        ("cat\n", "dog\n", None),
    ],
)
def test_class_files_of_several_folders(tmp_path, make_image, first, second, wanted):
    for folder, classes in (("a", first), ("b", second)):
        make_image(tmp_path / folder / "1.jpg")
        write(tmp_path / folder / "1.txt", "0 0.5 0.5 0.2 0.5\n")
        write(tmp_path / folder / "classes.txt", classes)
    if wanted is None:
        with pytest.raises(SppdetError, match=r"class 0 is cat in a/classes\.txt, but dog in b/"):
            read_dataset(tmp_path)
        assert read_dataset(tmp_path / "b").classes[0] == "dog"
    else:
        assert read_dataset(tmp_path).classes == wanted


@pytest.mark.parametrize("nothing", ["null", "~", "", "''"])
def test_a_part_that_a_yaml_file_leaves_empty(tmp_path, make_image, nothing):
    make_image(tmp_path / "images/1.jpg")
    write(tmp_path / "labels/1.txt", LINE)
    write(tmp_path / "data.yaml", f"train: images\nval: {nothing}\nnames: [cat, dog]\n")
    assert splits(tmp_path) == ["train"]
    assert read_dataset(tmp_path).notes == []


@pytest.mark.parametrize(("count", "told"), [("2", False), ("3", True), ("1", True), ("x", False)])
def test_a_number_of_classes_that_is_not_that_of_the_names(tmp_path, make_image, count, told):
    make_image(tmp_path / "images/1.jpg")
    write(tmp_path / "labels/1.txt", LINE)
    write(tmp_path / "data.yaml", f"train: images\nnc: {count}\nnames: [cat, dog]\n")
    wanted = [f"data.yaml says nc: {count}, but names 2 classes"] if told else []
    assert read_dataset(tmp_path).notes == wanted


@pytest.mark.parametrize("name", ["classes.txt", "obj.names", "_darknet.labels"])
def test_a_class_file_stands_for_the_labels_beside_it(tmp_path, make_image, name):
    make_image(tmp_path / "a.jpg")
    (tmp_path / "a.txt").write_text("1 0.5 0.5 0.2 0.4\n")
    (tmp_path / name).write_text("cat\ndog\n")
    (tmp_path / "note.txt").write_text("hello\n")
    dataset = read_dataset(tmp_path / name)
    assert dataset.classes == ("cat", "dog")
    assert len(dataset.annotations(0)) == 1
    with pytest.raises(SppdetError, match=r"note\.txt: is not a data set"):
        read_dataset(tmp_path / "note.txt")
