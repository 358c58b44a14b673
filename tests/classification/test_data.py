import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sppdet.classification.batches import test_batches
from sppdet.classification.data import open_split
from sppdet.errors import SppdetError
from sppdet.trunks.weights import Preprocessing

test_batches.__test__ = False  # type: ignore[attr-defined]


def test_folders_are_classes(square_folder: Path) -> None:
    data = open_split(square_folder, "train")
    assert data.classes == ("blue", "green", "red")
    assert data.labels.tolist() == [0] * 16 + [1] * 16 + [2] * 16
    assert data.packed is not None
    for index in (0, 20, 47):
        assert np.array_equal(data.read(index), np.asarray(Image.open(data.paths[index])))


def test_boxes_become_half_open(square_folder: Path) -> None:
    data = open_split(square_folder, "test")
    assert data.boxes.tolist() == [[2, 3, 17, 16]] * 18


def test_the_second_reading_comes_from_the_cache(square_folder: Path) -> None:
    first = open_split(square_folder, "train")
    second = open_split(square_folder, "train")
    assert np.array_equal(first.packed, second.packed)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "train" / "a" / "0.png"
    file.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8), (1, 2, 3)).save(file)
    assert open_split(tmp_path, "train").read(0)[0, 0].tolist() == [1, 2, 3]
    Image.new("RGB", (8, 8), (201, 2, 3)).save(file)
    assert open_split(tmp_path, "train").read(0)[0, 0].tolist() == [201, 2, 3]


def test_varied_sizes_are_read_one_by_one(varied_folder: Path) -> None:
    data = open_split(varied_folder, "train")
    assert data.packed is None
    assert len({data.read(i).shape for i in range(len(data))}) > 10


def test_val_is_a_test_split(tmp_path: Path) -> None:
    (tmp_path / "val" / "a").mkdir(parents=True)
    Image.new("L", (8, 8), 9).save(tmp_path / "val" / "a" / "x.JPEG")
    assert open_split(tmp_path, "test").packed.shape == (1, 8, 8, 3)


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(SppdetError, match="no such folder"):
        open_split(tmp_path / "none", "train")
    with pytest.raises(SppdetError, match="has no folder train"):
        open_split(tmp_path, "train")
    (tmp_path / "train" / "a").mkdir(parents=True)
    with pytest.raises(SppdetError, match="no images"):
        open_split(tmp_path, "train")
    (tmp_path / "train" / "a" / "0.png").write_text("no picture")
    with pytest.raises(SppdetError, match=r"0\.png.*none of 1 image can be read"):
        open_split(tmp_path, "train")
    Image.new("RGB", (8, 8)).save(tmp_path / "train" / "a" / "0.png")
    (tmp_path / "boxes.csv").write_text("train/a/0.png,1,2,x,4\n")
    with pytest.raises(SppdetError, match="line 1"):
        open_split(tmp_path, "train")


def test_cifar10_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever keeps the download from happening becomes one line that says what to do."""
    import torchvision.datasets

    def refuse(*args: object, **options: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", refuse)
    with pytest.raises(SppdetError, match="train/CLASS/IMAGE"):
        open_split("cifar10", "train")


def test_another_folder_of_equal_names_sizes_and_times_has_its_own_pixels(tmp_path: Path) -> None:
    for number, colour in ((0, 10), (1, 200)):
        file = tmp_path / str(number) / "train" / "a" / "0.bmp"
        file.parent.mkdir(parents=True)
        Image.new("RGB", (8, 8), (colour, 2, 3)).save(file)
        os.utime(file, (1e9, 1e9))
        data = open_split(tmp_path / str(number), "train")
        assert data.read(0)[0, 0].tolist() == [colour, 2, 3]


def test_a_cache_that_cannot_be_written_costs_time_only(
    square_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = open_split(square_folder, "train").packed
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPPDET_CACHE", str(tmp_path / "file"))
    np.testing.assert_array_equal(open_split(square_folder, "train").packed, expected)


@pytest.mark.parametrize("varied", [False, True])
@pytest.mark.parametrize("broken", [0, 1, 4])
def test_an_unreadable_image_is_left_out(tmp_path: Path, varied: bool, broken: int) -> None:
    """Packed or read when needed, and from the cache too."""
    folder = tmp_path / "train" / "a"
    folder.mkdir(parents=True)
    for number in range(5):
        size = (8, 8 + number) if varied else (8, 8)
        Image.new("RGB", size, (number, 0, 0)).save(folder / f"{number}.png")
    (folder / f"{broken}.png").write_text("no picture")
    expected = [number for number in range(5) if number != broken]
    for _ in range(2):
        data = open_split(tmp_path, "train")
        batches = list(test_batches(data, 8, 2, Preprocessing(mean=(0, 0, 0), std=(1, 1, 1))))
        seen = sorted(round(float(v) * 255) for b in batches for v in b.images[:, 0, 0, 0])
        assert seen == expected
        (line,) = data.skipped.values()
        assert f"{broken}.png" in line
        assert varied == (len(data) == 5)


def test_hidden_files_and_folders_are_no_images_and_no_classes(tmp_path: Path) -> None:
    for name in (
        "a/0.png",
        ".ipynb_checkpoints/0.png",
        "a/.hidden/1.png",
        "a/._0.png",
        "__MACOSX/a.png",
    ):
        (tmp_path / "train" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "train" / name)
    data = open_split(tmp_path, "train")
    assert data.classes == ("a",)
    assert len(data) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"path,xmin\nx", "line 2 is not path"),
        (b"a,1,2,nan,4\n", "line 1 is not path"),
        (b"a,1,2,1e300,4\n", "line 1 is not path"),
        (b"a,1,2,3,4\n\0", "line 2"),
        (b'"' + b"x" * 200_000, "line 1"),
    ],
)
def test_a_damaged_table_of_boxes_is_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "train" / "a").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "train" / "a" / "0.png")
    (tmp_path / "boxes.csv").write_bytes(content)
    with pytest.raises(SppdetError, match=message):
        open_split(tmp_path, "train")


def test_a_table_in_latin_1_with_a_mark(tmp_path: Path) -> None:
    (tmp_path / "train" / "é").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "train" / "é" / "0.png")
    (tmp_path / "boxes.csv").write_bytes("train/é/0.png,1,2,3,4\n".encode("cp1252"))
    assert open_split(tmp_path, "train").boxes.tolist() == [[1, 2, 4, 5]]
