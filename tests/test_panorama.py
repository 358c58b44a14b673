from itertools import pairwise

import numpy as np
import pytest

from sppdet.detections import Detections
from sppdet.detector import Detector
from sppdet.images import read_image
from sppdet.panorama import MOST_PARTS, detect_in_parts, is_panorama, parts_of


@pytest.mark.parametrize(
    "size", [(1001, 100), (4000, 150), (30, 3000), (3000, 15), (1, 11), (10_000, 399)]
)
def test_parts_cover_the_image_and_overlap_by_the_short_side(size: tuple[int, int]) -> None:
    short, long = min(size), max(size)
    axis = 0 if size[0] > size[1] else 1
    parts = parts_of(*size)
    spans = [(part[axis], part[axis + 2]) for part in parts]
    assert spans[0][0] == 0
    assert spans[-1][1] == long
    assert all(end - begin == 4 * short for begin, end in spans)
    for (_, end), (begin, _) in pairwise(spans):
        assert end - begin >= short - 1
    assert all(part[1 - axis] == 0 and part[3 - axis] == short for part in parts)


def test_an_object_that_two_parts_show_is_found_once() -> None:
    image = np.zeros((100, 1100, 3), np.uint8)
    image[20:60, 310:360] = 200

    def bright(part: np.ndarray) -> Detections:
        rows, columns = np.nonzero(part[:, :, 0])
        if not len(rows):
            return Detections.none(("a",))
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        return Detections([box], [0], [0.5], ("a",), {"total": 1.0})

    assert is_panorama(image)
    found = detect_in_parts(image, bright, ("a",), 0.3)
    assert found.boxes.tolist() == [[310, 20, 360, 60]]
    assert found.seconds == {"total": 2.0}


@pytest.mark.slow
@pytest.mark.parametrize("turned", [False, True])
def test_a_panorama_is_not_empty(detector: Detector, scenes, turned: bool) -> None:
    scene = read_image(sorted((scenes / "test").glob("*.jpg"))[0])
    panorama = np.concatenate([scene] * 20, axis=0 if turned else 1)
    assert is_panorama(panorama)
    one, found = detector.detect(scene, 0.5), detector.detect(panorama, 0.5)
    assert len(found) >= 10 * len(one) > 0
    assert (found.boxes[:, 2:] <= panorama.shape[1::-1]).all()


@pytest.mark.parametrize("size", [(65_535, 1), (5000, 1), (3, 40_000), (30_000, 100)])
def test_a_line_of_pixels_has_few_parts_that_cover_it(size: tuple[int, int]) -> None:
    parts = parts_of(*size)
    assert len(parts) <= MOST_PARTS
    along = 0 if size[0] > size[1] else 1
    reached = 0
    for part in parts:
        assert part[along] <= reached
        reached = part[along + 2]
    assert reached == max(size)
