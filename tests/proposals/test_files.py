"""Proposals to files and back, from other programs' files too."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, savemat

from sppdet.errors import SppdetError
from sppdet.proposals.files import SUFFIXES, read_proposals, write_proposals

BOXES = np.float32([[1, 2, 30.5, 40], [0, 0, 5, 5.25]])


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Images of 60 x 40 pixels."""
    paths = [tmp_path / name for name in ("x/b.jpg", "y/a.jpg")]
    for path in paths:
        path.parent.mkdir()
        Image.new("RGB", (60, 40)).save(path)
    return paths


def cell(*values: Any) -> np.ndarray:
    array = np.empty((1, len(values)), object)
    for index, value in enumerate(values):
        array[0, index] = value
    return array


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("names", [("y/a.jpg", "x/b.jpg"), ("a.jpg", "b.jpg"), ("a", "b")])
def test_what_is_written_is_read(
    suffix: str, names: tuple[str, str], images: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / f"p{suffix}"
    write_proposals(path, {names[0]: BOXES, names[1]: BOXES[:1], "other.jpg": BOXES})
    read = read_proposals(path, images)
    assert [len(one) for one in read] == [1, 2]
    assert read[1].dtype == np.float32
    np.testing.assert_allclose(read[1], BOXES, atol=1e-5)
    write_proposals(path, {})  # it may be written over


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_image_without_boxes(suffix: str, images: list[Path], tmp_path: Path) -> None:
    path = tmp_path / f"p{suffix}"
    write_proposals(path, {"a.jpg": BOXES, "b.jpg": BOXES[:0]})
    assert [len(one) for one in read_proposals(path, images, allow_empty=True)] == [0, 2]
    with pytest.raises(SppdetError, match="empty"):
        read_proposals(path, images)


def test_mat_is_what_the_papers_code_reads(tmp_path: Path) -> None:
    write_proposals(tmp_path / "p.mat", {"a": BOXES})
    content = loadmat(tmp_path / "p.mat")
    assert content["boxes"].shape == (1, 1)
    assert content["boxes"][0, 0].tolist() == [[3, 2, 40, 30.5], [1, 1, 5.25, 5]]
    assert content["images"][0, 0].tolist() == ["a"]


def test_mat_of_others(images: list[Path], tmp_path: Path) -> None:
    """MATLAB counts from 1, includes both corners, and says neither."""
    path = tmp_path / "p.mat"
    own = np.array([[1.0, 1, 40, 60], [11, 21, 20, 50]])
    savemat(path, {"boxes": cell(own, own.astype(np.uint16)), "images": cell("a", "b")})
    first, second = read_proposals(path, images, "yxyx", 1)
    assert first.tolist() == second.tolist() == [[0, 0, 60, 40], [20, 10, 50, 20]]
    with pytest.raises(SppdetError, match="--box-order xyxy or yxyx"):
        read_proposals(path, images)
    with pytest.raises(SppdetError, match="--box-base 0 or 1"):
        read_proposals(path, images, "yxyx")
    with pytest.raises(SppdetError, match="--box-order"):  # 60 pixels are more than the height
        read_proposals(path, images, "xyxy", 1)
    own[0, :2] = 0
    savemat(path, {"boxes": cell(own, own), "images": cell("a", "b")})
    with pytest.raises(SppdetError, match="--box-base"):  # a 0 where pixels count from 1
        read_proposals(path, images, "yxyx", 1)
    with pytest.raises(SppdetError, match="must be"):
        read_proposals(path, images, "xywh", 0)


def test_what_the_file_states_wins_over_nothing(images: list[Path], tmp_path: Path) -> None:
    write_proposals(tmp_path / "p.mat", {"a": BOXES, "b": BOXES})
    assert len(read_proposals(tmp_path / "p.mat", images, "yxyx", 1)) == 2
    with pytest.raises(SppdetError, match="states the order yxyx"):
        read_proposals(tmp_path / "p.mat", images, "xyxy")
    with pytest.raises(SppdetError, match="states the base 1"):
        read_proposals(tmp_path / "p.mat", images, base=0)


def test_other_layouts(images: list[Path], tmp_path: Path) -> None:
    plain = dict.fromkeys(("a.jpg", "b.jpg"), BOXES)
    np.savez(tmp_path / "p.npz", **plain)
    (tmp_path / "p.csv").write_text("image,y1,x1,y2,x2\na,2,1,40,30.5\nb,2,1,40,30.5\n")
    (tmp_path / "p.json").write_text(json.dumps({k: v.tolist() for k, v in plain.items()}))
    np.testing.assert_array_equal(read_proposals(tmp_path / "p.npz", images)[0], BOXES)
    np.testing.assert_array_equal(read_proposals(tmp_path / "p.csv", images)[0], BOXES[:1])
    np.testing.assert_array_equal(read_proposals(tmp_path / "p.json", images)[0], BOXES)
    moved = read_proposals(tmp_path / "p.csv", images, base=1)[0]
    assert moved.tolist() == [[0, 1, 30.5, 40]]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[1, 2]",
        "{}",
        '{"a.jpg": 3}',
        '{"a.jpg": [[1, 2, 3]]}',
        '{"a.jpg": [[1, 2, 3, 4], [1, 2]]}',
        '{"a.jpg": [1, 2, 3, 4]}',
        '{"a.jpg": []}',
        '{"a.jpg": [[5, 5, 5, 9]]}',
        '{"a.jpg": [["x", 1, 2, 3]]}',
        '{"a.jpg": [[0, 0, NaN, 3]]}',
        '{"a.jpg": [[0, 0, 1e30, 3]]}',
        pytest.param(f'{{"a.jpg": [[0, 0, 1{"0" * 400}, 3]]}}', id="400 digits"),
        pytest.param("[" * 100_000, id="nested"),
        '{"a.jpg": [[0, 0, 70, 30]]}',
        '{"a.jpg": [[-3, 0, 7, 30]]}',
        '{"boxes": {"b.jpg": [[0, 0, 7, 30]]}}',
        '{"base": 2, "boxes": {"a.jpg": [[0, 0, 7, 30]]}}',
    ],
)
def test_bad_files_are_named(tmp_path: Path, images: list[Path], content: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(content)
    with pytest.raises(SppdetError, match=r"p\.json"):
        read_proposals(path, [images[1]])


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".pkl"])
@pytest.mark.parametrize("content", [None, b"", b"\x80\x04\x95 no such file"])
def test_other_files_are_one_line(
    suffix: str, content: bytes | None, images: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / f"p{suffix}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SppdetError, match=rf"p\{suffix}"):
        read_proposals(path, images)


def test_pickles_are_not_read(images: list[Path], tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", images=cell("a"), counts=[1], boxes=BOXES)
    with pytest.raises(SppdetError, match="is not a file of proposals"):
        read_proposals(tmp_path / "p.npz", images)


BOX = [1, 2, 30, 40]
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 60, "height": 40}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": BOX}],
    "categories": [{"id": 1, "name": "apple"}],
}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (COCO, "but COCO JSON, the labels of a data set"),
        ([{"image_id": 1, "category_id": 1, "bbox": BOX, "score": 0.5}], "(it is COCO results)"),
        (
            [{"image": "a.jpg", "annotations": []}],
            "(it is CreateML JSON, the labels of a data set)",
        ),
        ([BOX], "(it is a list)"),
        (3, "(it is no more than 3)"),
        ({"shapes": [], "imagePath": "a.jpg"}, "but LabelMe JSON, the labels of a data set"),
        ({"map_11": 0.5, "classes": {}, "about": {}}, "but figures of sppdet evaluate"),
        ({"image": "a.jpg", "classes": ["apple"], "detections": []}, "but detections of sppdet"),
        ({"image": "a.jpg", "boxes": [BOX]}, "but a file in which 'image' is not a list of boxes"),
        ({"rows": [[1, "x"]], "notes": []}, "but a file in which 'rows' is not a list of boxes"),
        ({"boxes": {"c.jpg": {"box": BOX}}}, "but a file in which 'c.jpg' is not a list of boxes"),
    ],
)
def test_a_json_of_another_kind_is_told(
    content: Any, what: str, images: list[Path], tmp_path: Path
) -> None:
    """What it lacks for an image says nothing of a file that has no boxes of any image."""
    path = tmp_path / "p.json"
    path.write_text(json.dumps(content))
    with pytest.raises(SppdetError) as raised:
        read_proposals(path, images)
    assert f"p.json: is not a file of proposals {what}; give a file that sppdet" in str(
        raised.value
    )


def test_arrays_of_another_kind_are_told(images: list[Path], tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", weight=np.zeros((3, 5)), count=np.float32(3))
    with pytest.raises(SppdetError, match="but a file in which 'count' is not a list of boxes"):
        read_proposals(tmp_path / "p.npz", images)
    np.savez(tmp_path / "p.npz", weight=np.zeros((3, 5)), bias=np.zeros(3))
    with pytest.raises(SppdetError, match="but a file in which 'weight' is not a list of boxes"):
        read_proposals(tmp_path / "p.npz", images)
    savemat(tmp_path / "p.mat", {"weight": np.zeros((3, 5))})
    with pytest.raises(SppdetError, match="it has no boxes and images"):
        read_proposals(tmp_path / "p.mat", images)


def test_an_image_that_the_file_lacks(images: list[Path], tmp_path: Path) -> None:
    write_proposals(tmp_path / "p.npz", {"a.jpg": BOXES})
    with pytest.raises(SppdetError, match=r"no boxes for b\.jpg"):
        read_proposals(tmp_path / "p.npz", images)
    with pytest.raises(SppdetError, match=r"\.pkl: proposals are written"):
        write_proposals(tmp_path / "p.pkl", {})


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_another_folder_with_the_same_names(
    suffix: str, images: list[Path], tmp_path: Path
) -> None:
    """Whatever the order, an image gets the boxes of its own path."""
    path = tmp_path / f"p{suffix}"
    own, other = {"x/b.jpg": BOXES}, {"z/b.jpg": BOXES[:1]}
    for content in (own | other, other | own):
        write_proposals(path, content)
        assert [len(boxes) for boxes in read_proposals(path, images[:1])] == [len(BOXES)]
    write_proposals(path, {"w/b.jpg": BOXES, "z/b.jpg": BOXES})
    with pytest.raises(SppdetError, match=r": w/b.jpg and z/b.jpg may both be the image b\.jpg"):
        read_proposals(path, images[:1])
