"""Where annotations lie in any format: folders, names, links, and what counts as background."""

import json
import os
import unicodedata

import numpy as np
import pytest

from sppdet.datasets import read_dataset, splits
from sppdet.datasets.names import meant
from sppdet.errors import SppdetError

XML_LAYOUTS = [
    ("a.jpg", "a.xml", None),
    ("a.JPG", "a.XML", None),
    ("images/a.jpg", "annotations/a.xml", None),
    ("images/a.jpg", "Annotations/a.xml", None),
    ("images/a.jpg", "annots/a.xml", None),
    ("images/a.jpg", "labels/a.xml", None),
    ("images/a.jpg", "xmls/a.xml", None),
    ("images/a.jpg", "annotations/xmls/a.xml", None),
    ("JPEGImages/a.jpg", "Annotations/a.xml", None),
    ("VOC2007/JPEGImages/a.jpg", "VOC2007/Annotations/a.xml", None),
    ("a.jpg", "annotations/a.xml", None),
    ("images/a.jpg", "a.xml", None),
    ("images/train/a.jpg", "annotations/train/a.xml", "train"),
    ("train/images/a.jpg", "train/annotations/a.xml", "train"),
    ("train/a.jpg", "train/a.xml", "train"),
    ("data/train/a.jpg", "data/train/a.xml", "train"),
    ("images/a.jpg", "anotations/a.xml", None),
    ("imges/a.jpg", "lables/a.xml", None),
    ("images/a.jpg", "annotations/a.jpg.xml", None),
    ("images/IMG_1.jpg", "annotations/img_1.xml", None),
]


def has(count: int) -> str:
    return "has" if count == 1 else "have"


@pytest.mark.parametrize(("image", "xml", "split"), XML_LAYOUTS)
def test_layouts_of_voc_xml(tmp_path, make_image, make_xml, image, xml, split):
    make_image(tmp_path / image)
    make_xml(tmp_path / xml, ("cat", 11, 21, 50, 60))
    assert splits(tmp_path) == ([split] if split else [])
    dataset = read_dataset(tmp_path, split)
    assert dataset.images == [tmp_path / image]
    np.testing.assert_array_equal(dataset.annotations(0).boxes, [[10, 20, 50, 60]])
    assert dataset.problems == []


def test_a_misspelt_folder_is_read_and_named(tmp_path, make_image, make_xml):
    make_image(tmp_path / "images" / "a.jpg")
    make_xml(tmp_path / "Anotations" / "a.xml", ("cat", 11, 21, 50, 60))
    assert read_dataset(tmp_path).notes == ["the folder Anotations is taken as annotations"]


@pytest.mark.parametrize("name", ["train", "test", "images1", "old", "cats", "image3", "labelled"])
def test_names_that_mean_no_role(name):
    assert meant(name) is None


@pytest.mark.parametrize("path", [".", "./", "images", "images/", "images/../images"])
def test_paths_as_people_type_them(tmp_path, make_image, make_xml, monkeypatch, path):
    make_image(tmp_path / "images" / "a.jpg")
    make_xml(tmp_path / "annotations" / "a.xml", ("cat", 11, 21, 50, 60))
    monkeypatch.chdir(tmp_path)
    assert len(read_dataset(path).annotations(0)) == 1
    monkeypatch.chdir(tmp_path / "images")
    assert len(read_dataset(".").annotations(0)) == 1
    assert len(read_dataset("..").annotations(0)) == 1


def test_hidden_files_and_folders_are_ignored(tmp_path, make_image, make_xml):
    make_image(tmp_path / "a.jpg")
    make_xml(tmp_path / "a.xml", ("cat", 11, 21, 50, 60))
    for folder in (".ipynb_checkpoints", "__MACOSX", ".git", "@eaDir"):
        make_image(tmp_path / folder / "b.jpg")
        make_xml(tmp_path / folder / "b.xml", ("dog", 11, 21, 50, 60))
    for name in ("._a.jpg", "._a.xml", "Thumbs.db", ".DS_Store"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    dataset = read_dataset(tmp_path)
    assert (dataset.images, dataset.classes, dataset.problems) == (
        [tmp_path / "a.jpg"],
        ("cat",),
        [],
    )
    assert splits(tmp_path) == []


def test_links_are_followed_and_loops_are_not(tmp_path, make_image, make_xml):
    make_image(tmp_path / "far" / "a.jpg")
    make_xml(tmp_path / "far" / "b.xml", ("cat", 11, 21, 50, 60))
    data = tmp_path / "data"
    (data / "train").mkdir(parents=True)
    (data / "train" / "a.jpg").symlink_to(tmp_path / "far" / "a.jpg")
    (data / "train" / "a.xml").symlink_to(tmp_path / "far" / "b.xml")
    (data / "train" / "loop").symlink_to(data)
    (data / "train" / "self.jpg").symlink_to(data / "train" / "self.jpg")
    (data / "train" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (data / "test").symlink_to(data / "train")
    assert splits(data) == ["test", "train"]
    dataset = read_dataset(data, "train")
    assert dataset.images == [data / "train" / "a.jpg"]
    assert len(dataset.annotations(0)) == 1


@pytest.mark.parametrize("suffix", ["jpg", "xml", "json", "txt", "csv", "yaml"])
def test_a_fifo_is_never_opened(tmp_path, make_image, make_xml, suffix):
    make_image(tmp_path / "a.jpg")
    make_xml(tmp_path / "a.xml", ("cat", 11, 21, 50, 60))
    os.mkfifo(tmp_path / f"b.{suffix}")
    assert len(read_dataset(tmp_path)) == 1
    with pytest.raises(SppdetError, match="neither a file nor a folder"):
        read_dataset(tmp_path / f"b.{suffix}")


def test_composed_and_decomposed_names_are_one(tmp_path, make_image, make_xml):
    make_image(tmp_path / "images" / (unicodedata.normalize("NFD", "café") + ".jpg"))
    make_xml(
        tmp_path / "annotations" / (unicodedata.normalize("NFC", "café") + ".xml"),
        ("cat", 11, 21, 50, 60),
    )
    assert len(read_dataset(tmp_path).annotations(0)) == 1


def test_long_names(tmp_path, make_image, make_xml):
    make_image(tmp_path / ("n" * 246 + ".jpg"))
    make_xml(tmp_path / ("n" * 246 + ".xml"), ("cat", 11, 21, 50, 60))
    assert len(read_dataset(tmp_path).annotations(0)) == 1
    with pytest.raises(SppdetError, match="File name too long"):
        read_dataset(tmp_path / ("n" * 300))


def test_masks_are_no_photographs(tmp_path, make_image, make_xml):
    make_image(tmp_path / "JPEGImages" / "a.jpg")
    make_image(tmp_path / "SegmentationClass" / "a.png")
    make_image(tmp_path / "Annotations" / "a.png")
    make_xml(tmp_path / "Annotations" / "a.xml", ("cat", 11, 21, 50, 60))
    dataset = read_dataset(tmp_path)
    assert dataset.images == [tmp_path / "JPEGImages" / "a.jpg"]


def test_equal_names_in_one_folder_are_reported(tmp_path, make_image, make_xml):
    make_image(tmp_path / "a.jpg")
    make_image(tmp_path / "a.png")
    make_xml(tmp_path / "a.xml", ("cat", 11, 21, 50, 60))
    dataset = read_dataset(tmp_path)
    assert [path.name for path in dataset.images] == ["a.jpg"]
    assert [len(entry) for entry in dataset.all_annotations()] == [1]
    assert [problem.kind for problem in dataset.problems] == ["same name"]
    assert dataset.problems[0].message.endswith("a.xml is used for it, and a.png is left out")


def test_equal_names_with_an_annotation_each(tmp_path, make_image, make_xml):
    for name in ("a.jpg", "a.png", "images/b.jpg", "images/b.png"):
        make_image(tmp_path / name)
    for name in ("a.xml", "annotations/b.xml"):
        make_xml(tmp_path / name, ("cat", 11, 21, 50, 60))
    dataset = read_dataset(tmp_path)
    assert [path.name for path in dataset.images] == ["a.jpg", "b.jpg"]


def test_equal_names_in_folders_are_different_images(tmp_path, make_image, make_xml):
    for folder, name in (("a", "cat"), ("b", "dog")):
        make_image(tmp_path / "images" / folder / "1.jpg")
        make_xml(tmp_path / "annotations" / folder / "1.xml", (name, 11, 21, 50, 60))
    dataset = read_dataset(tmp_path)
    assert [image.parent.name for image in dataset.images] == ["a", "b"]
    assert [entry.labels.tolist() for entry in dataset.all_annotations()] == [[0], [1]]


# ---------------------------------------------------------------- background


@pytest.mark.parametrize(
    ("labelled", "bare", "read"), [(5, 0, 5), (5, 5, 10), (4, 5, 4), (1, 9, 1)]
)
def test_the_rest_of_a_labelled_folder_is_background(
    tmp_path, make_image, make_xml, labelled, bare, read
):
    for k in range(labelled):
        make_image(tmp_path / f"a{k}.jpg")
        make_xml(tmp_path / f"a{k}.xml", ("cat", 11, 21, 50, 60))
    for k in range(bare):
        make_image(tmp_path / f"b{k}.jpg")
    dataset = read_dataset(tmp_path)
    assert len(dataset) == read
    taken = read - labelled
    assert dataset.notes == (
        [f"{taken} of {read} images {has(taken)} no annotation file: background"] if taken else []
    )
    dropped = labelled + bare - read
    text = (
        f"{tmp_path}: {bare} of {labelled + bare} images {has(bare)} no annotations; "
        f"{'it is' if bare == 1 else 'they are'} left out "
        "(--background takes them as images without objects)"
    )
    assert [str(problem) for problem in dataset.problems] == [text][: dropped > 0]
    assert len(read_dataset(tmp_path, background=True)) == labelled + bare


def test_each_folder_is_judged_alone(tmp_path, make_image, make_xml):
    for k in range(3):
        make_image(tmp_path / "done" / f"{k}.jpg")
        make_xml(tmp_path / "done" / f"{k}.xml", ("cat", 11, 21, 50, 60))
        make_image(tmp_path / "to do" / f"{k}.jpg")
    make_image(tmp_path / "done" / "none.jpg")
    dataset = read_dataset(tmp_path)
    assert {image.parent.name for image in dataset.images} == {"done"}
    assert len(dataset) == 4


def test_an_empty_annotation_is_background(tmp_path, make_image, make_xml):
    for k in range(5):
        make_image(tmp_path / f"{k}.jpg")
        make_xml(tmp_path / f"{k}.xml", *[("cat", 11, 21, 50, 60)][: k == 0])
    dataset = read_dataset(tmp_path)
    assert len(dataset) == 5
    assert dataset.notes == []


def test_labels_that_fit_no_image_are_named(tmp_path, make_image, make_xml):
    for k in range(12):
        make_image(tmp_path / "images" / f"IMG_{k}.jpg")
        make_xml(tmp_path / "annotations" / f"frame{k}.xml", ("cat", 11, 21, 50, 60))
    with pytest.raises(
        SppdetError,
        match=r"12 VOC XML files in annotations, but no image has such a name "
        r"\(frame0.xml needs frame0.jpg\)",
    ):
        read_dataset(tmp_path)


def test_another_format_beside_is_named(tmp_path, make_image, make_xml):
    """LabelImg leaves both when the format is switched."""
    make_image(tmp_path / "a.jpg")
    make_xml(tmp_path / "a.xml", ("cat", 11, 21, 50, 60))
    (tmp_path / "a.txt").write_text("0 .5 .5 .2 .5\n")
    (tmp_path / "classes.txt").write_text("dog\n")
    dataset = read_dataset(tmp_path)
    assert (dataset.format, dataset.classes) == ("yolo", ("dog",))
    assert dataset.notes == [
        "there is also VOC XML, which is not read; --format folder reads it instead"
    ]
    assert read_dataset(tmp_path, format="folder").classes == ("cat",)


@pytest.mark.parametrize(
    ("name", "asked"),
    [("Train", "train"), ("TRAIN", "Train"), ("Validation", "val"), ("VAL", "valid")],
)
def test_the_name_of_a_split_in_upper_or_lower_case(tmp_path, make_image, make_xml, name, asked):
    for folder in (name, "Test"):
        make_image(tmp_path / folder / "1.jpg")
        make_xml(tmp_path / folder / "1.xml", ("cat", 11, 21, 50, 60))
    assert [image.parent.name for image in read_dataset(tmp_path, asked).images] == [name]


@pytest.mark.parametrize("labels", ["annotations", "labels/xmls", "."])
@pytest.mark.parametrize("upper", [False, True])
def test_one_folder_of_labels_for_images_in_parts(tmp_path, make_image, make_xml, labels, upper):
    for part, name in (("train", "a"), ("train", "b"), ("test", "c")):
        make_image(tmp_path / "images" / (part.upper() if upper else part) / f"{name}.jpg")
        make_xml(tmp_path / labels / f"{name}.xml", (name, 11, 21, 50, 60))
    assert [name.lower() for name in splits(tmp_path)] == ["test", "train"]
    dataset = read_dataset(tmp_path, "train")
    assert dataset.classes == ("a", "b")
    assert [len(entry) for entry in dataset.all_annotations()] == [1, 1]


def test_labels_that_fit_images_of_two_parts_are_not_guessed(tmp_path, make_image, make_xml):
    make_xml(tmp_path / "annotations/a.xml", ("cat", 11, 21, 50, 60))
    for part in ("train", "test"):
        make_image(tmp_path / "images" / part / "a.jpg")
    with pytest.raises(SppdetError, match="no image has such a name"):
        read_dataset(tmp_path)
    make_image(tmp_path / "images/other/b.jpg")  # not the name of a part
    make_xml(tmp_path / "annotations/b.xml", ("cat", 11, 21, 50, 60))
    with pytest.raises(SppdetError, match="no image has such a name"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("format", [None, "folder"])
@pytest.mark.parametrize("name", ["note.txt", "a.md", "train.txt", "a.jpg", "m.safetensors"])
def test_a_file_that_is_no_annotation_is_not_its_folder(
    tmp_path, make_image, make_xml, name, format
):
    """The folder is a data set; the file that was named is none."""
    make_image(tmp_path / "a.jpg")
    make_xml(tmp_path / "a.xml", ("cat", 11, 21, 50, 60))
    if name != "a.jpg":
        (tmp_path / name).write_text("a.jpg\n")
    with pytest.raises(SppdetError, match=f"{name}: (is not a|holds no) data set"):
        read_dataset(tmp_path / name, format=format)
    assert len(read_dataset(tmp_path / "a.xml", format=format)) == 1
    assert len(read_dataset(tmp_path, format=format)) == 1


def test_an_annotation_file_is_read_alone(tmp_path, make_image, make_xml):
    """What stands beside it is neither read nor taken for it."""
    make_image(tmp_path / "a.jpg")
    make_xml(tmp_path / "a.xml", ("cat", 11, 21, 50, 60))
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40]}],
        "categories": [{"id": 1, "name": "dog"}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(coco))
    assert read_dataset(tmp_path / "labels.json").classes == ("dog",)
    assert read_dataset(tmp_path / "a.xml").classes == ("cat",)
    for name in ("other.json", "empty.csv"):
        (tmp_path / name).write_text("{}")
        with pytest.raises(SppdetError, match=f"{name}: is not a data set"):
            read_dataset(tmp_path / name)
