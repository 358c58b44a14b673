import shutil

import pytest
from PIL import Image

from sppdet.cli import main
from sppdet.datasets.base import Dataset, RawObject, Record
from sppdet.datasets.doubts import doubts, shared_files


def dataset(counts: dict[str, int], images: int, tmp_path) -> Dataset:
    objects = [RawObject(n, (0, 0, 9, 9)) for n, count in counts.items() for _ in range(count)]
    path = tmp_path / "a.jpg"
    records = [Record(path, path, (20, 20), objects if not k else []) for k in range(images)]
    return Dataset(tmp_path, "folder", None, records)


@pytest.mark.parametrize(
    ("counts", "images", "words"),
    [
        ({"cat": 10, "dog": 99}, 20, []),
        ({"cat": 10}, 19, ["there are 19 images"]),
        ({"cat": 9, "dog": 1}, 20, ["cat 9, dog 1"]),
        ({"raccoon": 44, "racoon": 1}, 20, ["racoon 1", "raccoon (44 objects) and racoon (1)"]),
        ({"Traffic Light": 30, "traffic_light": 30}, 20, ["may be one"]),
        ({"car": 99, "cat": 10}, 20, []),
        ({"class1": 99, "class2": 10}, 20, []),
        ({"carton": 60, "cartoon": 50}, 20, []),
    ],
)
def test_doubts(counts: dict[str, int], images: int, words: list[str], tmp_path) -> None:
    lines = doubts(dataset(counts, images, tmp_path))
    assert len(lines) == len(words)
    for line, word in zip(lines, words, strict=True):
        assert word in line


def test_equal_files_of_two_splits(tmp_path) -> None:
    for name, content in (("a", b"12"), ("b", b"34"), ("c", b"34"), ("d", b"345")):
        (tmp_path / name).write_bytes(content)
    one, other = [tmp_path / "a", tmp_path / "b"], [tmp_path / n for n in ("c", "d", "none")]
    assert shared_files(one, other) == [(tmp_path / "b", tmp_path / "c")]


@pytest.fixture
def splits(tmp_path, make_image, make_xml):
    for name in ("Train", "val"):
        make_image(tmp_path / "set" / name / "a.png")
        make_xml(tmp_path / "set" / name / "a.xml", ("cat", 5, 5, 60, 60))
    return tmp_path / "set"


def said(capsys, *words) -> str:
    with pytest.raises(SystemExit):
        main([str(word) for word in words])
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


def test_data_check_says_it(splits, capsys) -> None:
    text = said(capsys, "data", "check", splits)
    assert "doubt: there are 2 images" in text
    assert "doubt: classes with fewer than 10 objects are learned badly: cat 2" in text
    assert "in another folder; is that another split?" in text


def test_a_cut_photograph_is_a_problem_and_not_unreadable(splits, capsys) -> None:
    Image.effect_noise((200, 150), 40).convert("RGB").save(splits / "val" / "b.jpg")
    file = splits / "val" / "b.jpg"
    file.write_bytes(file.read_bytes()[:-20])
    text = said(capsys, "data", "check", splits)
    assert "0 unreadable" in text
    assert "b.jpg: lacks its last bytes" in text


@pytest.mark.slow
def test_train_says_it_and_chooses_its_split(splits, tmp_path, capsys) -> None:
    common = ("--output", tmp_path / "m", "--scales", 64)
    text = said(capsys, "train", splits, *common)
    assert "1 photograph of val is in Train too, such as a.png" in text
    assert "1 image, 1 class" in text
    assert "trains on val" in said(capsys, "train", splits, *common, "--split", "val")
    shutil.move(splits / "Train", splits / "summer")
    assert "name the one to train on with --split" in said(capsys, "train", splits, *common)
