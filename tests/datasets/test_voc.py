from collections import Counter

import numpy as np
import pytest
from PIL import Image

from sppdet.datasets import read_dataset, splits
from sppdet.errors import SppdetError


@pytest.fixture
def photos(tmp_path, make_image, make_xml):
    """photos/train with three images (one without XML), photos/test with one."""
    folder = tmp_path / "photos"
    for name in ("b", "a", "c"):
        make_image(folder / "train" / f"{name}.jpg")
    make_image(folder / "test" / "d.png")
    make_xml(folder / "train" / "a.xml", ("dog", 11, 21, 50, 60), ("cat", 1, 1, 100, 80, 1))
    make_xml(folder / "train" / "b.xml", ("cat", 5, 5, 20, 20))
    make_xml(folder / "test" / "d.xml", ("owl", 5, 5, 20, 20))
    return folder


def test_a_folder_with_xml_beside_the_images(photos):
    for dataset in (read_dataset(photos, "train"), read_dataset(photos / "train")):
        assert dataset.format == "folder"
        assert [path.name for path in dataset.images] == ["a.jpg", "b.jpg", "c.jpg"]
        assert dataset.classes == ("cat", "dog")
        assert dataset.problems == []
        first = dataset.annotations(0)
        np.testing.assert_array_equal(first.boxes, [[10, 20, 50, 60], [0, 0, 100, 80]])
        assert first.boxes.dtype == np.float32
        assert first.labels.tolist() == [1, 0]
        assert first.difficult.tolist() == [False, True]
        assert len(dataset.annotations(2)) == 0
    assert read_dataset(photos, "train").split == "train"
    assert splits(photos) == ["test", "train"]
    assert splits(photos / "train") == []


def test_no_split_reads_everything(photos):
    dataset = read_dataset(photos)
    assert len(dataset) == 4
    assert dataset.classes == ("cat", "dog", "owl")


def test_chosen_classes_keep_their_order(photos):
    dataset = read_dataset(photos, "train", classes=["owl", "cat"])
    assert dataset.classes == ("owl", "cat")
    assert dataset.annotations(0).labels.tolist() == [1]


@pytest.mark.parametrize(
    ("split", "message"),
    [("val", "has no split val; it has test, train"), ("Tram", "has no split Tram")],
)
def test_a_split_that_is_not_there(photos, split, message):
    with pytest.raises(SppdetError, match=message):
        read_dataset(photos, split)


def test_flaws_are_reported_not_raised(tmp_path, make_image, make_xml):
    for name in "abcdefg":
        make_image(tmp_path / f"{name}.jpg")
    make_xml(tmp_path / "a.xml", ("cat", 30, 30, 20, 60), ("cat", 11, 11, 30, 30))
    make_xml(tmp_path / "b.xml", ("cat", -20, 41, 50, 90), ("cat", 200, 10, 220, 20))
    make_xml(tmp_path / "c.xml", ("cat", 10, 10, 10, 40), ("cat", 0, 0, 101, 81))
    make_xml(
        tmp_path / "d.xml", ("cat", "x", 10, 10, 40), ("", 1, 1, 9, 9), ("cat", "nan", 1, 9, 9)
    )
    (tmp_path / "e.xml").write_text("<annotation><object>")
    (tmp_path / "f.xml").write_text("<html></html>")
    make_xml(tmp_path / "g.xml", ("cat", 1, 1, 20, 20), size=(640, 480))
    make_xml(tmp_path / "lonely.xml", ("cat", 1, 1, 20, 20))
    dataset = read_dataset(tmp_path)
    assert [path.stem for path in dataset.images] == list("abcdg")
    np.testing.assert_array_equal(dataset.annotations(0).boxes, [[10, 10, 30, 30]])
    np.testing.assert_array_equal(dataset.annotations(1).boxes, [[0, 40, 50, 80]])
    np.testing.assert_array_equal(dataset.annotations(2).boxes, [[0, 0, 100, 80]])
    assert len(dataset.annotations(3)) == 0
    assert Counter(problem.kind for problem in dataset.problems) == {
        "inverted box": 1,
        "outside box": 2,
        "tiny box": 1,
        "bad object": 3,
        "unreadable annotation": 2,
        "wrong size": 1,
        "missing image": 1,
    }
    lines = "\n".join(map(str, dataset.problems))
    assert f"{tmp_path / 'a.xml'}: cat box 30, 30, 20, 60 has max < min" in lines
    assert "says 640 x 480, but the image is 100 x 80" in lines


@pytest.mark.parametrize("size", [(0, 0), None, (100, 0)])
def test_a_size_of_zero_is_taken_from_the_image(tmp_path, make_image, make_xml, size):
    make_image(tmp_path / "a.jpg")
    make_xml(tmp_path / "a.xml", ("cat", 50, 50, 300, 300), size=size)
    dataset = read_dataset(tmp_path)
    np.testing.assert_array_equal(dataset.annotations(0).boxes, [[49, 49, 100, 80]])


def test_a_rotated_photograph_has_its_upright_size(tmp_path, make_image, make_xml):
    exif = Image.Exif()
    exif[0x0112] = 6
    make_image(tmp_path / "a.jpg", 100, 80, exif=exif)
    make_xml(tmp_path / "a.xml", ("cat", 1, 1, 80, 100), size=(80, 100))
    dataset = read_dataset(tmp_path)
    assert dataset.problems == []
    np.testing.assert_array_equal(dataset.annotations(0).boxes, [[0, 0, 80, 100]])


@pytest.fixture
def devkit(tmp_path, make_image, make_xml):
    root = tmp_path / "VOCdevkit" / "VOC2007"
    for name in ("000001", "000002", "000003"):
        make_image(root / "JPEGImages" / f"{name}.jpg")
        make_xml(root / "Annotations" / f"{name}.xml", ("cat", 5, 5, 20, 20))
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "trainval.txt").write_text("000001\n000003\n")
    (lists / "test.txt").write_text("000002\n\n")
    (lists / "cat_test.txt").write_text("000002  1\n")
    (lists / "my_own.txt").write_text("000004\n")
    return root


@pytest.mark.parametrize("up", [0, 1, 2])
def test_a_devkit_at_any_level(devkit, up):
    path = devkit.parents[up - 1] if up else devkit
    assert splits(path) == ["my_own", "test", "trainval"]
    dataset = read_dataset(path, "trainval")
    assert dataset.format == "voc"
    assert [image.stem for image in dataset.images] == ["000001", "000003"]
    assert len(read_dataset(path)) == 3
    with pytest.raises(SppdetError, match="has no split train; it has my_own, test, trainval"):
        read_dataset(path, "train")


def test_a_list_may_name_missing_files(devkit):
    dataset = read_dataset(devkit, "my_own")
    assert [problem.kind for problem in dataset.problems] == [
        "missing image",
        "unreadable annotation",
    ]
    assert len(dataset) == 1


def test_two_devkits_need_a_choice(devkit):
    (devkit.parent / "VOC2012" / "ImageSets" / "Main").mkdir(parents=True)
    with pytest.raises(SppdetError, match=r"several.*VOC2007.*VOC2012"):
        read_dataset(devkit.parent)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "neither images nor annotations"),
        (lambda path: path.write_text("x"), "is not a data set"),
    ],
)
def test_what_is_no_data_set(tmp_path, make, message):
    make(tmp_path / "it")
    with pytest.raises(SppdetError, match=message):
        read_dataset(tmp_path / "it")


def test_images_without_any_annotation(tmp_path, make_image):
    make_image(tmp_path / "a.jpg")
    with pytest.raises(SppdetError, match="images, but no annotations"):
        read_dataset(tmp_path)
    with pytest.raises(SppdetError, match="none of 1 image has annotations; --background"):
        read_dataset(tmp_path, format="folder")
    assert len(read_dataset(tmp_path, format="folder", background=True)) == 1
    with pytest.raises(SppdetError, match="this is not a VOC devkit"):
        read_dataset(tmp_path, format="voc")
    with pytest.raises(SppdetError, match="choose one of voc, coco, yolo, folder"):
        read_dataset(tmp_path, format="pascal")


def test_the_fruit_photographs(shared_data):
    dataset = read_dataset(shared_data / "fruit", "train")
    assert (len(dataset), dataset.classes) == (240, ("apple", "banana", "orange"))
    assert sum(map(len, dataset.all_annotations())) == 465


def test_the_blood_cells(shared_data):
    dataset = read_dataset(shared_data / "bccd", "trainval")
    assert dataset.classes == ("Platelets", "RBC", "WBC")
    assert len(dataset) == 292
    assert {problem.kind for problem in dataset.problems} <= {"tiny box"}


ENCODED = [
    ("<annotation>{}</annotation>", "utf-8"),
    ("<annotation>{}</annotation>", "utf-8-sig"),
    ('<?xml version="1.0"?><annotation>{}</annotation>', "utf-16"),
    ('<?xml version="1.0" encoding="utf-16"?><annotation>{}</annotation>', "utf-16"),
    ('<?xml version="1.0" encoding="utf-8"?><annotation>{}</annotation>', "utf-16"),
    ('<?xml version="1.0" encoding="GB2312"?><annotation>{}</annotation>', "gb2312"),
    ("<?xml version='1.0' encoding='gbk'?><annotation>{}</annotation>", "gbk"),
    ('<?xml version="1.0" encoding="Big5"?><annotation>{}</annotation>', "big5"),
    ('<?xml version="1.0" encoding="Shift_JIS"?><annotation>{}</annotation>', "shift_jis"),
    ('<?xml version="1.0" encoding="utf-8"?>\r\n<annotation>{}</annotation>', "utf-8-sig"),
]


@pytest.mark.parametrize(("text", "encoding"), ENCODED)
def test_encodings(tmp_path, make_image, text, encoding):
    make_image(tmp_path / "a.jpg")
    entry = (
        "<object><bndbox><xmax>50.6</xmax><ymin>21</ymin><xmin> 10.5 </xmin><ymax>60</ymax>"
        "</bndbox><name> 中文 </name></object>"
    )
    (tmp_path / "a.xml").write_bytes(text.format(entry).encode(encoding))
    dataset = read_dataset(tmp_path)
    assert dataset.problems == []
    assert dataset.classes == ("中文",)
    np.testing.assert_allclose(dataset.annotations(0).boxes, [[9.5, 20, 50.6, 60]], rtol=1e-6)


@pytest.mark.parametrize("declaration", ['<?xml version="1.0" encoding="{}"?>', ""])
@pytest.mark.parametrize("encoding", ["UTF-8", "utf8", "us-ascii"])
def test_latin_1_that_is_said_to_be_utf_8(tmp_path, make_image, declaration, encoding):
    """Programs write the folder's name as the system has it, below a declaration of UTF-8."""
    make_image(tmp_path / "a.jpg")
    box = "<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>50</xmax><ymax>60</ymax></bndbox>"
    text = (
        f"{declaration.format(encoding)}<annotation><folder>C:\\Gemüse für Öl</folder>"
        f"<object><name>Möhre</name>{box}</object></annotation>"
    )
    (tmp_path / "a.xml").write_bytes(text.encode("latin-1"))
    dataset = read_dataset(tmp_path)
    assert dataset.classes == ("Möhre",)
    assert dataset.annotations(0).boxes.tolist() == [[10, 20, 50, 60]]
    assert [problem.kind for problem in dataset.problems] == ["other encoding"]
    assert str(dataset.problems[0]) == (
        f"{tmp_path / 'a.xml'}: is not UTF-8, though it names no other encoding; it is read as "
        "Latin-1"
    )


@pytest.mark.parametrize(
    "content",
    [
        "<annotation><folder>Möhre 中</folder>".encode() + b"\xe4 </annotation>",  # damaged UTF-8
        b"\xef\xbb\xbf<annotation><folder>\xe4 </folder></annotation>",
        b"<annotation><folder>\xe4 </annotation>",
    ],
)
def test_what_is_neither_utf_8_nor_latin_1_is_left_out(tmp_path, make_image, make_xml, content):
    make_image(tmp_path / "a.jpg")
    make_image(tmp_path / "b.jpg")
    make_xml(tmp_path / "b.xml", ("cat", 11, 21, 50, 60))
    (tmp_path / "a.xml").write_bytes(content)
    dataset = read_dataset(tmp_path)
    assert [problem.kind for problem in dataset.problems] == ["unreadable annotation"]
    assert [image.name for image in dataset.images] == ["b.jpg"]


def test_a_name_with_preserved_spaces(tmp_path, make_image):
    make_image(tmp_path / "a.jpg")
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    names = "<name xml:space='preserve'> cat </name>", "<name>\n  cat\n</name>"
    objects = "".join(f"<object>{name}{box}</object>" for name in names)
    (tmp_path / "a.xml").write_text(f"<annotation>{objects}</annotation>")
    assert read_dataset(tmp_path).classes == (" cat ", "cat")


def test_turned_boxes_become_their_hull(tmp_path, make_image):
    make_image(tmp_path / "a.jpg")
    (tmp_path / "a.xml").write_text(
        "<annotation><object><type>robndbox</type><name>cat</name><robndbox><cx>50</cx><cy>40</cy>"
        f"<w>40</w><h>20</h><angle>{np.pi / 2}</angle></robndbox></object></annotation>"
    )
    np.testing.assert_allclose(read_dataset(tmp_path).annotations(0).boxes, [[40, 20, 60, 60]])


@pytest.mark.parametrize(
    "line",
    [
        "000001",
        "000001.jpg",
        "JPEGImages/000001.jpg",
        "/data/VOC/JPEGImages/000001.jpg",
        "000001  1",
    ],
)
def test_lines_of_a_list(devkit, line):
    (devkit / "ImageSets" / "Main" / "other.txt").write_text(f"{line}\n\n")
    dataset = read_dataset(devkit, "other")
    assert [image.name for image in dataset.images] == ["000001.jpg"]
    assert dataset.problems == []


def test_a_list_may_have_names_with_spaces_and_points(devkit, make_image, make_xml):
    for name in ("my photo 1", "a.b"):
        make_image(devkit / "JPEGImages" / f"{name}.jpg")
        make_xml(devkit / "Annotations" / f"{name}.xml", ("cat", 5, 5, 20, 20))
    (devkit / "ImageSets" / "Main" / "other.txt").write_text("my photo 1\na.b\n")
    dataset = read_dataset(devkit, "other")
    assert [image.name for image in dataset.images] == ["my photo 1.jpg", "a.b.jpg"]
    assert [len(entry) for entry in dataset.all_annotations()] == [1, 1]


def test_images_of_a_list_without_xml_are_background(devkit, make_image):
    names = [f"empty{k}" for k in range(5)]
    for name in names:
        make_image(devkit / "JPEGImages" / f"{name}.jpg")
    (devkit / "ImageSets" / "Main" / "other.txt").write_text("\n".join([*names, "000001"]))
    dataset = read_dataset(devkit, "other")
    assert len(dataset) == 6
    assert dataset.notes == ["5 of 6 images have no annotation file: background"]


@pytest.mark.parametrize("folder", ["ImageSets", "ImageSets/Main"])
@pytest.mark.parametrize("line", ["{}", "{}.jpg", "JPEGImages/{}.jpg"])
def test_lists_with_and_without_main(tmp_path, make_image, make_xml, folder, line):
    (tmp_path / folder).mkdir(parents=True)
    for split, name in (("train", "a"), ("test", "b")):
        make_image(tmp_path / "JPEGImages" / f"{name}.jpg")
        make_xml(tmp_path / "Annotations" / f"{name}.xml", (name, 11, 21, 50, 60))
        (tmp_path / folder / f"{split}.txt").write_text(line.format(name) + "\n")
    assert splits(tmp_path) == ["test", "train"]
    for split, name in (("train", "a"), ("test", "b")):
        dataset = read_dataset(tmp_path, split)
        assert [image.name for image in dataset.images] == [f"{name}.jpg"]
        assert dataset.classes == (name,)
