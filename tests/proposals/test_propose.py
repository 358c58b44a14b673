import numpy as np
import pytest
import torch
from PIL import Image

from sppdet.errors import SppdetError
from sppdet.proposals import METHODS, _distinct, propose, resize_for_search

STRANGE_SHAPES = [(1, 1), (3000, 40), (40, 3000), (2, 700), (700, 1), (5, 5), (17, 33)]


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """Coloured rectangles and a disc on noise, 360 x 480."""
    rng = np.random.default_rng(2)
    image = rng.integers(90, 110, (360, 480, 3), np.uint8)
    for x1, y1, x2, y2, colour in [
        (40, 50, 160, 170, (220, 30, 30)),
        (250, 80, 330, 300, (20, 200, 60)),
        (360, 200, 450, 280, (40, 40, 230)),
    ]:
        image[y1:y2, x1:x2] = colour + rng.integers(0, 12, (y2 - y1, x2 - x1, 3))
    return image


@pytest.mark.parametrize("method", METHODS)
def test_finds_the_rectangles(scene, method):
    boxes = propose(scene, method, max_boxes=10_000)
    for truth in ([40, 50, 160, 170], [250, 80, 330, 300], [360, 200, 450, 280]):
        assert np.abs(boxes - truth).max(axis=1).min() <= (5 if method == "finest" else 4)


@pytest.mark.parametrize("method", METHODS)
def test_result_is_valid_distinct_and_a_prefix(scene, method):
    boxes = propose(scene, method)
    assert boxes.dtype == np.float32
    assert boxes.shape[1] == 4
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2] <= 480).all()
    assert (boxes[:, 3] <= 360).all()
    smallest = METHODS[method].minimum_side * 480 / METHODS[method].side
    assert (boxes[:, 2:] - boxes[:, :2]).min() >= smallest - 1e-3
    assert len(np.unique(boxes, axis=0)) == len(boxes)
    if method == "opencv-quality":
        return  # seconds per search, and cut like opencv-fast
    np.testing.assert_array_equal(propose(scene, method, max_boxes=7), boxes[:7])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", STRANGE_SHAPES)
def test_strange_shapes(method, shape):
    image = np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
    boxes = propose(image, method)
    assert boxes.ndim == 2
    assert boxes.shape[1] == 4
    assert boxes.dtype == np.float32
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert (boxes <= [shape[1], shape[0]] * 2).all()


@pytest.mark.parametrize("method", METHODS)
def test_constant_image_gives_the_whole_image(method):
    boxes = propose(np.full((120, 200, 3), 77, np.uint8), method)
    np.testing.assert_array_equal(boxes, [[0, 0, 200, 120]])


def test_view_of_an_array(scene):
    np.testing.assert_array_equal(propose(scene[:, ::-1]), propose(scene[:, ::-1].copy()))


def test_unknown_method_names_the_known_ones(scene):
    with pytest.raises(SppdetError, match="opencv-fast"):
        propose(scene, "slow")


@pytest.mark.parametrize("method", [None, 3, ("fast",)])
def test_method_of_another_type(scene, method):
    with pytest.raises(TypeError, match=r"method.*opencv-fast"):
        propose(scene, method)


def test_forms_of_an_image(scene, tmp_path):
    expected = propose(scene, max_boxes=50)
    Image.fromarray(scene).save(tmp_path / "scene.png")
    for form in (tmp_path / "scene.png", Image.fromarray(scene), torch.from_numpy(scene)):
        np.testing.assert_array_equal(propose(form, max_boxes=50), expected)


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (np.zeros((0, 10, 3), np.uint8), ValueError),
        (np.zeros((10, 10, 3)), TypeError),
        ("nowhere.png", SppdetError),
    ],
)
def test_not_an_image(image, error):
    with pytest.raises(error):
        propose(image)


@pytest.mark.parametrize(
    ("number", "error"),
    [(0, ValueError), (-1, ValueError), (1.0, TypeError), (True, TypeError), (None, TypeError)],
)
def test_wrong_number_of_boxes(scene, number, error):
    with pytest.raises(error, match="max_boxes"):
        propose(scene, max_boxes=number)


def test_number_of_boxes_as_a_numpy_integer(scene):
    assert len(propose(scene, max_boxes=np.uint8(3))) == 3


def test_small_images_are_enlarged_at_most_four_times():
    assert resize_for_search(np.zeros((10, 20, 3), np.uint8), 500).shape == (40, 80, 3)
    assert resize_for_search(np.zeros((300, 250, 3), np.uint8), 500).shape == (500, 417, 3)
    assert resize_for_search(np.zeros((3000, 40, 3), np.uint8), 500).shape == (500, 7, 3)


@pytest.mark.parametrize("count", [0, 1, 6, 300])
def test_distinct_boxes_in_their_order(count: int) -> None:
    boxes = np.random.default_rng(count).integers(-1, 3, (count, 4)).astype("f4")
    boxes[boxes < 0] = -0.0  # the same box as one with 0
    _, first = np.unique(boxes, axis=0, return_index=True)
    np.testing.assert_array_equal(_distinct(boxes), boxes[np.sort(first)])
