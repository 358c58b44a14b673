from pathlib import Path

import numpy as np
import pytest

from sppdet.datasets import read_dataset
from sppdet.datasets.scene_objects import make_patch
from sppdet.datasets.scenes import CLASSES, render_scene, write_scenes
from sppdet.images import read_image


@pytest.mark.parametrize("seed", range(6))
def test_scenes_are_valid(seed: int) -> None:
    scene = render_scene(seed, (320, 240))
    assert scene.image.shape == (240, 320, 3)
    assert scene.image.dtype == np.uint8
    assert len(scene.boxes) == len(scene.names) == len(scene.difficult)
    assert set(scene.names) <= set(CLASSES)
    assert (scene.boxes[:, :2] >= 0).all()
    assert (scene.boxes[:, 2:] <= (320, 240)).all()
    assert (scene.boxes[:, 2:] - scene.boxes[:, :2] >= 5).all()


def test_equal_seeds_give_equal_scenes() -> None:
    a, b, other = render_scene(3), render_scene(3), render_scene(4)
    np.testing.assert_array_equal(a.image, b.image)
    np.testing.assert_array_equal(a.boxes, b.boxes)
    assert not np.array_equal(a.image, other.image)


def test_a_box_is_tight_around_a_fruit_alone() -> None:
    """Where the picture with a fruit differs from the ground, there is the fruit or its shadow."""
    checked = 0
    for seed in range(40):
        scene = render_scene(seed, (200, 150), fruit=(1, 1), clutter=(0, 0))
        if scene.names != ("orange",):
            continue
        x1, y1, x2, y2 = scene.boxes[0].astype(int)
        inside = scene.image[(y1 + y2) // 2, x1:x2].astype(int)
        orange = (inside[:, 0] > inside[:, 2] + 60).mean()
        assert orange > 0.9
        checked += 1
    assert checked >= 3


def test_written_scenes_are_a_data_set(tmp_path: Path) -> None:
    paths = write_scenes(tmp_path, 3, seed=1, size=(200, 150))
    dataset = read_dataset(tmp_path)
    assert list(dataset.images) == paths
    assert not dataset.problems
    for index in range(3):
        scene = render_scene(100_000 + index, (200, 150))
        truth = dataset.annotations(index)
        np.testing.assert_array_equal(truth.boxes, scene.boxes)
        assert tuple(dataset.classes[label] for label in truth.labels) == scene.names
        np.testing.assert_array_equal(truth.difficult, scene.difficult)
        difference = read_image(paths[index]).astype(int) - scene.image
        assert np.abs(difference).mean() < 4  # JPEG


def test_objects_of_other_names_take_the_place_of_fruit() -> None:
    names = ("mug-1", "mug-5", "apple", "book-9")
    scene = render_scene(3, (400, 300), clutter=(0, 3), objects=names, sides=(0.2, 0.3))
    assert set(scene.names) <= set(names)
    assert len(scene.names) >= 3
    x1, y1, x2, y2 = render_scene(1, (80, 60), clutter=(0, 0), objects=("ball-5",)).boxes[0]
    assert (x2 - x1) > 8
    assert (y2 - y1) > 8
    empty = render_scene(1, (80, 60), clutter=(2, 2), objects=())
    assert empty.names == ()


def test_a_tint_gives_its_colour() -> None:
    """Tint 5 of 12 is green, tint 9 blue."""
    for name, channel in (("ball-5", 1), ("mug-9", 2), ("apple-1", 0)):
        colour, _, mask, _ = make_patch(name, 60, np.random.default_rng(0))
        assert colour[mask > 0.5].mean(axis=0).argmax() == channel
