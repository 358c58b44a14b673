import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from sppdet.errors import SppdetError
from sppdet.proposals import propose
from sppdet.proposals.opencv import _own_order, opencv_search

PROGRAM = """
import hashlib, numpy as np
from sppdet.proposals.opencv import opencv_search
image = np.random.default_rng(5).integers(0, 255, (12, 16, 3), np.uint8)
image = image.repeat(10, 0).repeat(10, 1)
print(hashlib.sha256(opencv_search(image).tobytes()).hexdigest())
"""


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    tiles = np.random.default_rng(5).integers(0, 255, (12, 16, 3), np.uint8)
    return tiles.repeat(10, 0).repeat(10, 1)


def test_repeats_within_a_process(image):
    first = opencv_search(image)
    assert len(first) > 50
    np.testing.assert_array_equal(first, opencv_search(image))


def test_repeats_across_threads(image):
    expected = opencv_search(image)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(opencv_search, [image] * 8):
            np.testing.assert_array_equal(found, expected)


def test_repeats_across_processes():
    runs = [
        subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout != ""


def test_own_order_depends_on_the_boxes_alone(image):
    boxes = opencv_search(image)
    shuffled = boxes[np.random.default_rng(0).permutation(len(boxes))]
    np.testing.assert_array_equal(_own_order(boxes), _own_order(shuffled))
    assert sorted(map(tuple, _own_order(boxes))) == sorted(map(tuple, boxes))


def test_missing_module_says_how_to_mend_it(image, monkeypatch):
    monkeypatch.delattr(cv2, "ximgproc")
    with pytest.raises(SppdetError, match="pip install opencv-contrib-python"):
        propose(image, "opencv-fast")
