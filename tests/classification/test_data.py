from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sppdet.classification.data import open_split
from sppdet.errors import SppdetError


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
    with pytest.raises(SppdetError, match=r"0\.png"):
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
