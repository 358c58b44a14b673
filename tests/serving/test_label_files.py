"""Label files edited in place: what is there stays, and nothing is overwritten in silence."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from sppdet.datasets import read_dataset
from sppdet.datasets.voc_xml import DECLARED, around_root
from sppdet.errors import SppdetError
from sppdet.serving.folder import PhotoFolder
from sppdet.serving.labels.base import ChangedElsewhere, Label, matched

SIZE = (100, 80)
PEAR = Label("pear", (10.0, 10.0, 30.0, 40.0))
APPLE = Label("apple", (50.0, 5.0, 90.0, 45.0), True)

VOC = """<?xml version="1.0"?>
<annotation verified="yes">
  <filename>a.jpg</filename>
  <owner>someone</owner>
  <!-- seen by two -->
  <object>
    <name>pear</name>
    <occluded>1</occluded>
    <attributes><attribute><name>ripe</name><value>yes</value></attribute></attributes>
    <bndbox><xmin>11.5</xmin><ymin>11</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>
  </object>
  <object><name>broken</name></object>
</annotation>
"""


def photographs(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE, "grey").save(folder / name)
    return folder


def voc(folder: Path) -> Path:
    photographs(folder, "a.jpg", "b.jpg")
    (folder / "a.xml").write_text(VOC)
    return folder


def yolo(folder: Path, text: str = "names: [pear, apple]\n") -> Path:
    photographs(folder / "images", "a.jpg", "b.jpg")
    (folder / "labels").mkdir()
    (folder / "labels/a.txt").write_text("0 0.2 0.3 0.2 0.4 0.9\n1 0.1 0.1 0.5 0.1 0.5 0.5\nodd\n")
    (folder / "data.yaml").write_text(text)
    return folder


def coco(folder: Path) -> Path:
    photographs(folder / "images", "a.jpg", "b.jpg")
    content = {
        "info": {"year": 2024},
        "images": [{"id": 7, "file_name": "a.jpg", "width": 100, "height": 80, "licence": 3}],
        "annotations": [
            {
                "id": 4,
                "image_id": 7,
                "category_id": 2,
                "bbox": [10, 10, 20, 30],
                "area": 600,
                "iscrowd": 0,
                "segmentation": [[10, 10, 30, 10, 30, 40]],
                "score": 0.5,
            }
        ],
        "categories": [{"id": 2, "name": "pear", "supercategory": "fruit"}],
    }
    (folder / "instances.json").write_text(json.dumps(content, indent=2))
    return folder


MAKERS = {"voc": voc, "yolo": yolo, "coco": coco}


@pytest.mark.parametrize("format", MAKERS)
def test_what_is_there_is_extended_in_its_own_format(format: str, tmp_path: Path) -> None:
    folder = PhotoFolder(MAKERS[format](tmp_path))
    files = folder.files
    assert files.format == format
    a, b = folder.images
    said = files.read(a, SIZE)
    assert said.annotated
    assert said.objects[0].name == "pear"
    files.add_class("apple")
    files.add_class("plum")
    flag = files.says_difficult
    apple = Label("plum", APPLE.box, flag)
    after = files.write(a, SIZE, [*said.objects, apple], False, said.revision)
    assert after.objects == (*said.objects, apple)
    assert after == files.read(a, SIZE)
    assert after.revision != said.revision
    nothing = files.read(b, SIZE)
    assert not nothing.annotated
    files.write(b, SIZE, [PEAR], False, nothing.revision)
    again = PhotoFolder(tmp_path)
    assert again.files.format == format
    assert again.files.counts() == {a: len(after.objects), b: 1}
    assert set(again.files.classes()) >= {"pear", "plum"}
    assert again.files.read(b, SIZE).objects == (PEAR,)
    dataset = read_dataset(tmp_path)
    assert dict(zip(dataset.images, map(len, dataset.all_annotations()), strict=True)) == {
        a: len(after.objects),
        b: 1,
    }


@pytest.mark.parametrize("format", MAKERS)
def test_a_change_that_rests_on_another_revision_is_refused(format: str, tmp_path: Path) -> None:
    folder = PhotoFolder(MAKERS[format](tmp_path))
    other = PhotoFolder(tmp_path)
    image = folder.images[0]
    seen = folder.files.read(image, SIZE)
    moved = Label("pear", (0.0, 0.0, 50.0, 50.0))
    kept = other.files.write(image, SIZE, [moved], False, other.files.read(image, SIZE).revision)
    with pytest.raises(ChangedElsewhere):
        folder.files.write(image, SIZE, [PEAR], False, seen.revision)
    assert folder.files.read(image, SIZE) == kept
    folder.files.write(image, SIZE, [PEAR], False, kept.revision)
    assert other.files.read(image, SIZE).objects == (PEAR,)


@pytest.mark.parametrize("format", MAKERS)
def test_background_and_nothing(format: str, tmp_path: Path) -> None:
    folder = PhotoFolder(MAKERS[format](tmp_path))
    files, image = folder.files, folder.images[1]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    said = files.write(image, SIZE, [], True, files.read(image, SIZE).revision)
    assert said.annotated
    assert not said.objects
    assert PhotoFolder(tmp_path).files.counts()[image] == 0
    said = files.write(image, SIZE, [], False, said.revision)
    assert not said.annotated
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    if format == "coco":
        before, after = ({k: v.strip() for k, v in one.items()} for one in (before, after))
    assert after == before


def test_foreign_fields_of_voc_stay(tmp_path: Path) -> None:
    folder = PhotoFolder(voc(tmp_path))
    image, path = folder.images[0], tmp_path / "a.xml"
    said = folder.files.read(image, SIZE)
    assert said.objects == (Label("pear", (10.5, 10.0, 30.0, 40.0)),)
    said = folder.files.write(image, SIZE, [*said.objects, APPLE], False, said.revision)
    text = path.read_text()
    for kept in (
        'verified="yes"',
        "<owner>someone</owner>",
        "<!-- seen by two -->",
        "<occluded>1</occluded>",
        "<value>yes</value>",
        "<xmin>11.5</xmin>",
        "<name>broken</name>",
        "<?xml",
    ):
        assert kept in text
    moved = Label("plum", (12.0, 10.0, 32.0, 42.0), True)
    said = folder.files.write(image, SIZE, [moved, APPLE], False, said.revision)
    assert said.objects == (moved, APPLE)
    text = path.read_text()
    assert "<value>yes</value>" in text
    assert "<name>ripe</name>" in text
    assert "pear" not in text
    said = folder.files.write(image, SIZE, [], False, said.revision)
    assert said.annotated  # its other fields would be lost with the file
    assert "<owner>someone</owner>" in path.read_text()


AROUND = """<?xml version="1.0" encoding="{encoding}"?>
<!-- made by Käthe > on {encoding} -->
<?tool keep="yes"?>
<annotation note='a > b'><object><name>pear</name>
  <bndbox><xmin>2</xmin><ymin>3</ymin><xmax>20</xmax><ymax>30</ymax></bndbox></object></annotation >
<!-- checked </annotation> -->

"""


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16", "windows-1252", "utf-8-sig"])
def test_what_stands_around_the_root_of_voc_stays(encoding: str, tmp_path: Path) -> None:
    named = encoding.removesuffix("-sig")
    photographs(tmp_path, "a.png")
    path = tmp_path / "a.xml"
    path.write_bytes(AROUND.format(encoding=named).encode(encoding))
    files = PhotoFolder(tmp_path).files
    read = files.read(tmp_path / "a.png", SIZE)
    assert [one.name for one in read.objects] == ["pear"]
    new = [Label("fig", (4.0, 5.0, 20.0, 30.0))]
    files.write(tmp_path / "a.png", SIZE, new, False, read.revision)
    text = path.read_text("utf-8")
    assert text.startswith('<?xml version="1.0" encoding="utf-8"?>\n<!-- made by Käthe > on ')
    assert '-->\n<?tool keep="yes"?>\n<annotation note="a &gt; b">' in text
    assert text.endswith("</annotation>\n<!-- checked </annotation> -->\n\n")
    again = files.read(tmp_path / "a.png", SIZE)
    assert [one.name for one in again.objects] == ["fig"]
    files.write(tmp_path / "a.png", SIZE, [], False, again.revision)
    assert "checked" in path.read_text("utf-8")  # the file says more than its objects


@pytest.mark.parametrize(
    ("content", "around"),
    [
        (b"<annotation/>", ("", "")),
        (b"<annotation a='/>'/>\n", ("", "\n")),
        (b"\n<!-- x --><annotation><a/></annotation>", ("\n<!-- x -->", "")),
        (b"<?xml version='1.0'?><annotation></annotation\n>", (DECLARED, "")),
        ("<!--ü--><annotation>ü</annotation><!--é-->".encode(), ("<!--ü-->", "<!--é-->")),
    ],
)
def test_what_is_around_a_root(content: bytes, around: tuple[str, str]) -> None:
    assert around_root(Path("a.xml"), content) == around


def test_lines_of_yolo_that_do_not_change_stay(tmp_path: Path) -> None:
    folder = PhotoFolder(yolo(tmp_path))
    image, path = folder.images[0], tmp_path / "labels/a.txt"
    said = folder.files.read(image, SIZE)
    assert [one.name for one in said.objects] == ["pear", "apple"]
    first = path.read_text().splitlines()
    said = folder.files.write(image, SIZE, [said.objects[1]], False, said.revision)
    assert path.read_text().splitlines() == first[1:]
    renamed = Label("pear", said.objects[0].box)
    folder.files.write(image, SIZE, [renamed], False, said.revision)
    assert path.read_text().splitlines() == ["0" + first[1][1:], "odd"]


@pytest.mark.parametrize(
    ("text", "first"), [("names: [plum, apple]\n", "plum"), ("names: [apple]\n", "apple")]
)
def test_a_number_that_another_program_made_another_class_is_asked_about(
    text: str, first: str, tmp_path: Path
) -> None:
    folder = PhotoFolder(yolo(tmp_path))
    image, path = folder.images[0], tmp_path / "labels/a.txt"
    said = folder.files.read(image, SIZE)
    folder.files.add_class("plum")  # no number of the file is another class now
    assert folder.files.read(image, SIZE).revision == said.revision
    before = path.read_bytes()
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(ChangedElsewhere):
        folder.files.write(image, SIZE, [*said.objects, APPLE], False, said.revision)
    assert path.read_bytes() == before
    assert folder.files.read(image, SIZE).objects[0].name == first


def test_the_ends_of_lines_stay(tmp_path: Path) -> None:
    folder = PhotoFolder(yolo(tmp_path))
    image, path = folder.images[0], tmp_path / "labels/a.txt"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n").removesuffix(b"\r\n"))
    before = path.read_bytes()
    said = folder.files.read(image, SIZE)
    folder.files.write(image, SIZE, [*said.objects, APPLE], False, said.revision)
    after = path.read_bytes()
    assert after.startswith(before + b"\r\n1 ")
    assert after.count(b"\n") == after.count(b"\r\n") == 4


def test_a_class_that_one_of_several_coco_files_has(tmp_path: Path) -> None:
    coco(tmp_path / "train")
    coco(tmp_path / "valid")
    other = tmp_path / "valid/instances.json"
    other.write_text(other.read_text().replace('"pear"', '"apple"'))
    for part in ("train", "valid"):
        place = tmp_path / part
        (place / "instances.json").rename(place / "_annotations.coco.json")
        for photo in sorted((place / "images").iterdir()):
            photo.rename(place / photo.name)
        (place / "images").rmdir()
    folder = PhotoFolder(tmp_path)
    assert set(folder.files.classes()) == {"pear", "apple"}
    image = next(one for one in folder.images if one.parent.name == "train")
    said = folder.files.read(image, SIZE)
    after = folder.files.write(image, SIZE, [*said.objects, APPLE], False, said.revision)
    assert after.objects == (*said.objects, APPLE)
    assert read_dataset(tmp_path, "train").classes == ("pear", "apple")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("names: [pear, apple]\n", "names: [pear, apple, 'yes']\n"),
        (
            "# mine\nnc: 2\nnames:\n  - pear  # the green one\n  - apple\ntrain: images\n",
            "# mine\nnc: 3\nnames:\n  - pear  # the green one\n  - apple\n  - 'yes'\n"
            "train: images\n",
        ),
        (
            "names:\n  0: pear\n  1: apple\nnc: 2 # two",
            "names:\n  0: pear\n  1: apple\n  2: 'yes'\nnc: 3 # two",
        ),
        ("names: {0: pear, 1: apple}\n", "names: {0: pear, 1: apple, 2: 'yes'}\n"),
    ],
)
def test_a_new_class_in_a_yaml_file_of_any_layout(text: str, expected: str, tmp_path: Path) -> None:
    folder = PhotoFolder(yolo(tmp_path, text))
    folder.files.add_class("yes")
    assert (tmp_path / "data.yaml").read_text() == expected
    assert folder.files.classes() == ["pear", "apple", "yes"]
    assert PhotoFolder(tmp_path).files.classes() == ["pear", "apple", "yes"]


def test_a_new_class_in_a_text_file(tmp_path: Path) -> None:
    yolo(tmp_path)
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "classes.txt").write_text("pear\napple")
    folder = PhotoFolder(tmp_path)
    folder.files.add_class("plum")
    assert (tmp_path / "classes.txt").read_text() == "pear\napple\nplum\n"
    with pytest.raises(SppdetError, match="cannot be a line"):
        folder.files.add_class("two\nlines")


def test_other_fields_of_coco_stay(tmp_path: Path) -> None:
    folder = PhotoFolder(coco(tmp_path))
    image, path = folder.images[0], tmp_path / "instances.json"
    said = folder.files.read(image, SIZE)
    assert said.objects == (PEAR,)
    folder.files.add_class("apple")
    said = folder.files.write(image, SIZE, [PEAR, APPLE], False, said.revision)
    content = json.loads(path.read_text())
    assert content["info"] == {"year": 2024}
    assert content["images"][0]["licence"] == 3
    first, second = content["annotations"]
    assert first["segmentation"]
    assert first["score"] == 0.5
    assert second == {
        "id": 5,
        "image_id": 7,
        "category_id": 3,
        "bbox": [50, 5, 40, 40],
        "area": 1600,
        "iscrowd": 0,
        "difficult": 1,
    }
    moved = Label("pear", (11.0, 10.0, 30.0, 40.0))
    folder.files.write(image, SIZE, [moved, APPLE], False, said.revision)
    first = json.loads(path.read_text())["annotations"][0]
    assert first["bbox"] == [11, 10, 19, 30]
    assert first["score"] == 0.5
    assert "segmentation" not in first  # it is that of another box
    assert path.read_text().startswith('{\n  "info"')


def test_a_folder_without_labels_gets_voc_beside_the_photographs(tmp_path: Path) -> None:
    photographs(tmp_path, "a10.jpg", "a9.jpg", "b/c.png", ".hidden.jpg")
    folder = PhotoFolder(tmp_path)
    assert folder.names == ["a9.jpg", "a10.jpg", "b/c.png"]
    assert folder.files.format == "voc"
    for image in folder.images:
        folder.files.write(image, SIZE, [PEAR], False, "none")
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.xml")}
    assert written == {"a9.xml", "a10.xml", "b/c.xml"}
    dataset = read_dataset(tmp_path)
    assert [one.boxes.tolist() for one in dataset.all_annotations()] == [[[10, 10, 30, 40]]] * 3


@pytest.mark.parametrize(
    ("images", "label", "other"),
    [
        ("images/train", "labels/train/a.txt", "labels/train/b.txt"),
        ("train/images", "train/labels/a.txt", "train/labels/b.txt"),
    ],
)
def test_new_yolo_labels_lie_with_the_others(
    images: str, label: str, other: str, tmp_path: Path
) -> None:
    photographs(tmp_path / images, "a.jpg", "b.jpg")
    (tmp_path / label).parent.mkdir(parents=True)
    (tmp_path / label).write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "classes.txt").write_text("pear\n")
    folder = PhotoFolder(tmp_path)
    folder.files.write(folder.images[1], SIZE, [PEAR], False, "none")
    assert (tmp_path / other).is_file()


def test_a_class_file_alone_means_yolo(tmp_path: Path) -> None:
    photographs(tmp_path / "images", "a.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "data.yaml").write_text("names: [pear]\n")
    folder = PhotoFolder(tmp_path)
    assert folder.files.format == "yolo"
    folder.files.write(folder.images[0], SIZE, [PEAR], False, "none")
    assert (tmp_path / "labels/a.txt").read_text() == "0 0.2 0.3125 0.2 0.375\n"


def test_two_photographs_of_one_name_do_not_share_a_file(tmp_path: Path) -> None:
    photographs(tmp_path, "a.jpg", "a.png")
    folder = PhotoFolder(tmp_path)
    folder.files.write(tmp_path / "a.jpg", SIZE, [PEAR], False, "none")
    with pytest.raises(SppdetError, match=re.escape("a.png: a.xml belongs to a.jpg")):
        folder.files.write(tmp_path / "a.png", SIZE, [APPLE], False, "none")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "has no photographs"),
        ({"a.jpg": None, "a.txt": "0 0.5 0.5 0.1 0.1"}, "needs a class file"),
        ({"a.jpg": None, "a.json": '{"shapes": [], "imagePath": "a.jpg"}'}, "sppdet convert"),
    ],
)
def test_what_cannot_be_labelled_is_one_line(
    files: dict[str, str | None], message: str, tmp_path: Path
) -> None:
    for name, text in files.items():
        if text is None:
            photographs(tmp_path, name)
        else:
            (tmp_path / name).write_text(text)
    with pytest.raises(SppdetError, match=message):
        PhotoFolder(tmp_path)


@pytest.mark.parametrize("format", MAKERS)
def test_a_damaged_file_is_neither_read_nor_overwritten(format: str, tmp_path: Path) -> None:
    folder = PhotoFolder(MAKERS[format](tmp_path))
    path = tmp_path / {"voc": "a.xml", "yolo": "labels/a.txt", "coco": "instances.json"}[format]
    path.write_bytes(b"\xff\xfe<annot")
    with pytest.raises(SppdetError):
        folder.files.read(folder.images[0], SIZE)
    with pytest.raises(SppdetError):
        folder.files.write(folder.images[0], SIZE, [PEAR], False, "none")
    assert path.read_bytes() == b"\xff\xfe<annot"


def test_new_objects_are_told_from_old_ones() -> None:
    near = Label("pear", (11.0, 10.0, 30.0, 40.0))
    far = Label("pear", (60.0, 60.0, 70.0, 70.0))
    other = Label("apple", PEAR.box)
    assert matched([PEAR, near], [near, PEAR]) == [1, 0]
    assert matched([far, near], [PEAR]) == [None, 0]
    assert matched([other], [PEAR]) == [0]
    assert matched([other, PEAR], [PEAR]) == [None, 0]
    assert matched([], [PEAR]) == []
    assert matched([PEAR], []) == [None]
