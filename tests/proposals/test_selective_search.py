import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sppdet.proposals.colour import SPACES, convert, smooth
from sppdet.proposals.selective_search import FAST, QUALITY, TINY, SearchSettings, search

PROGRAM = """
import hashlib, numpy as np
from sppdet.proposals import propose
image = np.random.default_rng(5).integers(0, 255, (12, 16, 3), np.uint8)
image = image.repeat(20, 0).repeat(20, 1)
print(hashlib.sha256(propose(image).tobytes()).hexdigest())
"""


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    rng = np.random.default_rng(5)
    tiles = rng.integers(0, 256, (12, 16, 3)).repeat(20, 0).repeat(20, 1)
    return np.clip(tiles + rng.integers(-15, 16, tiles.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("settings", [FAST, QUALITY, TINY])
def test_searches_in_threads_give_the_same(image, settings):
    alone = search(image, settings)
    assert len(alone) > 100
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(lambda _: search(image, settings), range(3)):
            np.testing.assert_array_equal(found, alone)


def test_processes_agree():
    outputs = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    }
    assert len(outputs) == 1
    assert len(outputs.pop().strip()) == 64


@pytest.mark.parametrize("space", SPACES)
def test_every_colour_space_searches(image, space):
    converted = convert(smooth(image), space)
    assert converted.dtype == np.uint8
    assert converted.shape == image.shape
    assert len(search(image, SearchSettings(spaces=(space,)))) > 20


def test_unknown_colour_space(image):
    with pytest.raises(ValueError, match="lab"):
        convert(image, "cmyk")


def test_chromaticity_ignores_brightness():
    image = np.array([[[40, 20, 20], [80, 40, 40], [0, 0, 0]]], np.uint8)
    converted = convert(image, "rgi")
    np.testing.assert_array_equal(converted[0, 0, :2], converted[0, 1, :2])
    assert converted[0, 0, 2] < converted[0, 1, 2]
    np.testing.assert_array_equal(converted[0, 2], 0)


def test_more_similarities_give_more_boxes(image):
    few = search(image, SearchSettings(similarities=((1, 1, 1, 1),)))
    many = search(image, FAST)
    assert {tuple(box) for box in few} < {tuple(box) for box in many}
