"""Every writer and its reader: what is written is read back, equal to half a pixel."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sppdet.boxes import as_boxes
from sppdet.cli import main
from sppdet.datasets import read_dataset, splits
from sppdet.datasets.base import Dataset, RawObject, Record
from sppdet.datasets.splitting import split_dataset
from sppdet.datasets.writers import WRITERS, write_dataset
from sppdet.errors import SppdetError

WIDTH, HEIGHT = 61, 47

TEXT = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), min_size=1
).filter(lambda name: bool(name.strip()))
CONTROL = st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(
    lambda name: bool(name.strip()) and "\0" not in name
)
SPECIAL = st.sampled_from(
    [
        "../../x",
        "a/b",
        " spaces ",
        "<b>&amp;",
        'q"u,o;te',
        "no",
        "1",
        "~",
        "- a",
        "#",
        "a: b",
        "é",
        "e\u0301",
    ]
)
VOC_TEXT = st.one_of(TEXT, SPECIAL, st.sampled_from(["a\nb", "\tt", "c\r"]))
NAMES = {"voc": VOC_TEXT, "coco": st.one_of(CONTROL, SPECIAL)}
FILES = [
    "a.jpg",
    "b.JPG",
    "x/1.jpg",
    "y/1.jpg",
    "caf\u00e9.png",
    "a.png",
    "with space.jpg",
    "a.b.jpg",
    "0%41.jpg",
]


@st.composite
def boxes(draw):
    """A box inside the image with sides above one pixel, as labels have: whole or not."""
    scale = draw(st.sampled_from([1, 1, 0.25, 0.37]))
    x1 = draw(st.integers(0, int((WIDTH - 3) / scale))) * scale
    y1 = draw(st.integers(0, int((HEIGHT - 3) / scale))) * scale
    x2 = x1 + draw(st.floats(1.5, WIDTH - x1))
    y2 = y1 + draw(st.floats(1.5, HEIGHT - y1))
    if scale == 1:
        x2, y2 = max(round(x2), x1 + 2), max(round(y2), y1 + 2)
    return (float(x1), float(y1), float(x2), float(y2))


@st.composite
def datasets(draw, names):
    """Files of images with objects; the first image has one of each class."""
    classes = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    files = draw(st.lists(st.sampled_from(FILES), min_size=1, max_size=5, unique=True))
    objects = [[(name, draw(boxes())) for name in classes]]
    for _ in files[1:]:
        objects.append(draw(st.lists(st.tuples(st.sampled_from(classes), boxes()), max_size=3)))
    return dict(zip(files, objects, strict=True))


def made(folder: Path, content: dict) -> Dataset:
    records = []
    for name, objects in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT)).save(path)
        raw = [RawObject(label, box) for label, box in objects]
        records.append(Record(path, path, (WIDTH, HEIGHT), raw))
    return Dataset(folder, "made", None, records)


def by_target(dataset: Dataset) -> dict:
    """Objects by the image that a link leads to: classes and boxes, in order."""
    return {
        image.resolve(): [
            (dataset.classes[label], box)
            for label, box in zip(entry.labels, entry.boxes, strict=True)
        ]
        for image, entry in zip(dataset.images, dataset.all_annotations(), strict=True)
    }


@pytest.mark.parametrize("format", WRITERS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_round_trip(format, data):
    content = data.draw(datasets(NAMES.get(format, st.one_of(CONTROL, SPECIAL))))
    with tempfile.TemporaryDirectory() as place:
        dataset = made(Path(place) / "in", content)
        assert dataset.problems == []
        write_dataset({"": dataset}, format, Path(place) / "out")
        back = read_dataset(Path(place) / "out")
        assert back.format == format
        assert [str(problem) for problem in back.problems] == []
        first, second = by_target(dataset), by_target(back)
        assert first.keys() == second.keys()
        for image, objects in first.items():
            assert [name for name, _ in objects] == [name for name, _ in second[image]]
            for (_, one), (_, other) in zip(objects, second[image], strict=True):
                assert np.abs(one - other).max() <= 0.5 + 1e-4
        outside = {path.name for path in Path(place).iterdir()}
        assert outside == {"in", "out"}


@pytest.mark.parametrize("name", ["0\x85", "a\x85b", "a\u2028b", "a\u2029", "\x85é"])
def test_line_ends_of_unicode_in_a_name_of_yolo(name, tmp_path):
    dataset = made(tmp_path / "in", {"a.jpg": [(name, (0.0, 0.0, 9.0, 9.0))]})
    write_dataset({"": dataset}, "yolo", tmp_path / "out")
    assert read_dataset(tmp_path / "out").classes == (name,)


@pytest.mark.parametrize("format", WRITERS)
@pytest.mark.parametrize("copy", [False, True])
def test_parts_links_and_copies(tmp_path, format, copy):
    one = made(tmp_path / "a", {"1.jpg": [("cat", (1, 2, 30, 40))], "2.jpg": []})
    two = made(tmp_path / "b", {"1.jpg": [("dog", (5, 6, 20, 30))]})
    assert write_dataset({"train": one, "test": two}, format, tmp_path / "out", copy) == []
    assert splits(tmp_path / "out") == ["test", "train"]
    for split, expected in (("train", one), ("test", two)):
        back = read_dataset(tmp_path / "out", split)
        assert [image.is_symlink() for image in back.images] == [not copy] * len(expected)
        assert [len(entry) for entry in back.all_annotations()] == [
            len(entry) for entry in expected.all_annotations()
        ]
        np.testing.assert_allclose(
            back.annotations(0).boxes, as_boxes(expected.annotations(0).boxes), atol=1e-3
        )


def flagged(tmp_path) -> Dataset:
    dataset = made(tmp_path / "in", {"1.jpg": [("cat", (1, 2, 30, 40)), ("cat", (5, 6, 20, 30))]})
    dataset.annotations(0).difficult[0] = True
    dataset.annotations(0).crowd[1] = True
    return dataset


@pytest.mark.parametrize(
    ("format", "difficult", "crowd", "notes"),
    [("coco", [1, 0], [0, 1], 0), ("voc", [1, 1], [0, 0], 1), ("yolo", [0, 0], [0, 0], 2)],
)
def test_flags(tmp_path, format, difficult, crowd, notes):
    said = write_dataset({"": flagged(tmp_path)}, format, tmp_path / "out")
    assert len(said) == notes
    entry = read_dataset(tmp_path / "out").annotations(0)
    assert entry.difficult.tolist() == [bool(flag) for flag in difficult]
    assert entry.crowd.tolist() == [bool(flag) for flag in crowd]


@pytest.mark.parametrize(
    ("format", "name"), [("voc", "a\x00"), ("voc", "bell\x07"), ("csv", "a\0b"), ("yolo", "\ud800")]
)
def test_names_that_a_format_cannot_hold(tmp_path, format, name):
    dataset = made(tmp_path / "in", {"1.jpg": [(name, (1, 2, 30, 40))]})
    with pytest.raises(SppdetError, match="cannot hold; write coco instead"):
        write_dataset({"": dataset}, format, tmp_path / "out")
    write_dataset({"": dataset}, "coco", tmp_path / "other")
    assert read_dataset(tmp_path / "other").classes == (name,)


def test_only_a_new_folder_is_written(tmp_path):
    dataset = made(tmp_path / "in", {"1.jpg": [("cat", (1, 2, 30, 40))]})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("mine")
    with pytest.raises(SppdetError, match="is not an empty folder"):
        write_dataset({"": dataset}, "voc", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["precious.txt"]


# ---------------------------------------------------------------- the commands


def call(*words) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return stop.value.code or 0


@pytest.fixture
def photos(tmp_path, make_image, make_xml):
    for k in range(20):
        make_image(tmp_path / "photos" / f"{k}.png", 60 + k, 50)
        names = ["cat"] if k % 2 else ["cat", "dog"]
        names = ["owl"] if k % 10 == 3 else names
        make_xml(tmp_path / "photos" / f"{k}.xml", *[(name, 5, 5, 40, 40) for name in names])
    return tmp_path / "photos"


def test_convert(photos, capsys):
    out = photos.parent / "yolo"
    assert call("convert", photos, out, "--to", "yolo") == 0
    said = capsys.readouterr().err
    assert "20 images, 0 of them background, 30 objects" in said.replace("\n", " ")
    assert by_target(read_dataset(out)).keys() == by_target(read_dataset(photos)).keys()
    assert call("convert", photos, out, "--to", "coco") == 2
    assert "is not an empty folder" in capsys.readouterr().err
    assert call("convert", photos, photos / "inner", "--to", "coco") == 2
    assert "lies in the data set" in capsys.readouterr().err
    assert call("convert", out / "data.yaml", photos.parent / "csv", "--to", "csv", "--copy") == 0


def test_split_is_stratified_and_the_same_for_a_seed(photos):
    assert call("split", photos, "--test", "0.5", "--seed", "3") == 0
    out = photos.parent / "photos_split"
    assert splits(out) == ["test", "train"]
    train, test = (read_dataset(out, name) for name in ("train", "test"))
    assert len(train) == len(test) == 10
    for part in (train, test):
        labels = np.concatenate([entry.labels for entry in part.all_annotations()])
        assert np.bincount(labels, minlength=3).tolist() == [9, 5, 1][: len(part.classes)]
    assert call("split", photos, photos.parent / "again", "--test", "0.5", "--seed", "3") == 0
    assert by_target(read_dataset(photos.parent / "again", "test")).keys() == by_target(test).keys()
    assert call("split", photos, photos.parent / "x", "--test", "0.7", "--val", "0.3") == 2


def test_equal_pictures_stay_together(tmp_path, make_image, make_xml):
    for k in range(12):
        make_image(tmp_path / f"{k}.png", 60 + k // 3, 50)
        make_xml(tmp_path / f"{k}.xml", ("cat", 5, 5, 40, 40))
    os.truncate(make_image(tmp_path / "broken.png"), 500)
    make_xml(tmp_path / "broken.xml", ("cat", 5, 5, 40, 40))
    for seed in range(5):
        parts, notes = split_dataset(read_dataset(tmp_path), {"train": 0.5, "test": 0.5}, seed)
        sides = [{Image.open(path).width for path in part.images} for part in parts.values()]
        assert not sides[0] & sides[1]
        assert [len(part) for part in parts.values()] == [6, 6]
        assert ["broken.png" in note for note in notes] == [True]


def test_too_few_images_for_a_part(tmp_path):
    dataset = made(tmp_path / "in", {"1.jpg": [("cat", (1, 2, 30, 40))]})
    with pytest.raises(SppdetError, match="1 image is too few for the part"):
        split_dataset(dataset, {"train": 0.8, "test": 0.2})


def test_a_name_that_is_no_utf_8_changes(tmp_path, make_image, make_xml):
    try:
        make_image(tmp_path / "in" / os.fsdecode(b"\xff.jpg"))
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    make_xml(tmp_path / "in" / os.fsdecode(b"\xff.xml"), ("cat", 11, 21, 40, 60))
    dataset = read_dataset(tmp_path / "in")
    for format in WRITERS:
        notes = write_dataset({"": dataset}, format, tmp_path / format)
        assert "is written as _.jpg" in notes[0]
        assert len(read_dataset(tmp_path / format).annotations(0)) == 1


def test_a_failure_leaves_no_folder(tmp_path, make_image, make_xml, monkeypatch):
    make_image(tmp_path / "in" / "a.jpg")
    make_xml(tmp_path / "in" / "a.xml", ("cat", 11, 21, 40, 60))
    dataset = read_dataset(tmp_path / "in")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(SppdetError, match="No space left"):
        write_dataset({"": dataset}, "voc", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


@pytest.mark.parametrize("shares", [(0.8, 0.2), (0.6, 0.2, 0.2), (0.5, 0.5), (0.9, 0.1)])
@pytest.mark.parametrize("classes", [1, 2, 7, 20])
def test_parts_have_their_shares_of_the_images_with_many_rare_classes(
    tmp_path, make_xml, classes, shares
):
    """A class of one image goes to the largest part, but not all of these classes do."""
    for number in range(20):
        colour = Image.new("RGB", (30, 30), (number, 5, 9))
        colour.save(tmp_path / f"{number}.png")
        label = f"c{number % classes}"
        make_xml(tmp_path / f"{number}.xml", (label, 1, 1, 20, 20), size=(30, 30))
    dataset = read_dataset(tmp_path)
    wanted = dict(zip(("train", "val", "test"), shares, strict=False))
    parts, _ = split_dataset(dataset, wanted, seed=1)
    for name, share in wanted.items():
        assert abs(len(parts[name]) - 20 * share) <= 1
