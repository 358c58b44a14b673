import numpy as np
import pytest

from sppdet.datasets import read_dataset, splits
from sppdet.datasets.yolo import read_classes
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


@pytest.mark.parametrize(
    "text",
    [
        "train: x\nnames: [cat, 'big dog']\nnc: 2",
        "names:\n  0: cat  # small\n  1: big dog\nnc: 2",
        "nc: 2\nnames:\n- cat\n- big dog\n",
        'names:\n  - cat\n  - "big dog"\nval: y',
        "names: {0: cat, 1: big dog}",
    ],
)
def test_names_of_a_yaml_file(tmp_path, text):
    write(tmp_path / "data.yaml", text)
    assert read_classes(tmp_path / "data.yaml") == ["cat", "big dog"]


def test_missing_class_file_and_names(tmp_path, make_image):
    make_image(tmp_path / "a.jpg")
    write(tmp_path / "a.txt", LINE)
    with pytest.raises(SppdetError, match="need a class file"):
        read_dataset(tmp_path, format="yolo")
    write(tmp_path / "classes.txt", "\n")
    with pytest.raises(SppdetError, match="names no class"):
        read_dataset(tmp_path)
    write(tmp_path / "classes.txt", "cat\ndog\n")
    assert read_dataset(tmp_path, classes=["dog"]).annotations(0).labels.tolist() == [0]
    with pytest.raises(SppdetError, match="does not name the class emu"):
        read_dataset(tmp_path, classes=["emu"])
