import cv2
import numpy as np
import pytest
import torch

from sppdet.classification.augment import Augmentation, random_crops, resized_crop, vary_color


def crops(chosen: Augmentation, count: int = 400, size: tuple[int, int] = (64, 40), box=None):
    sizes = np.tile(np.array([size], np.int64), (count, 1))
    boxes = np.full((count, 4), np.nan, np.float32)
    if box is not None:
        boxes[:] = box
    return random_crops(np.random.default_rng(0), sizes, boxes, chosen)


@pytest.mark.parametrize("size", [(64, 64), (64, 40), (1, 1), (1, 50), (3000, 40)])
@pytest.mark.parametrize("box", [None, (10, 5, 30, 35), (60, 38, 90, 90), (0, 0, 0, 0)])
def test_crops_lie_in_the_image(size: tuple[int, int], box: tuple | None) -> None:
    found = crops(Augmentation(0.2, object_crops=0.7), size=size, box=box)
    assert (found[:, :2] >= 0).all()
    assert (found[:, 2:] > found[:, :2]).all()
    assert (found[:, 2:] <= np.array(size)).all()


def test_areas_and_shapes() -> None:
    found = crops(Augmentation(0.25, ratio=4 / 3), size=(400, 400))
    sides = found[:, 2:] - found[:, :2]
    areas = sides.prod(axis=1) / 400**2
    assert areas.min() > 0.24
    assert areas.min() < 0.3
    assert areas.max() > 0.9
    ratios = sides[:, 0] / sides[:, 1]
    assert ratios.min() > 0.74
    assert ratios.max() < 1.35


def test_without_variation_the_whole_image() -> None:
    found = crops(Augmentation(1.0, ratio=1.0))
    assert (found == [0, 0, 64, 40]).all()


def test_object_crops_stay_near_the_object() -> None:
    found = crops(Augmentation(0.4, object_crops=1.0), size=(100, 100), box=(20, 30, 40, 60))
    assert found[:, 0].min() >= 10
    assert found[:, 1].min() >= 15
    assert found[:, 2].max() <= 50
    assert found[:, 3].max() <= 75


def test_the_same_chance_whatever_the_boxes() -> None:
    chosen = Augmentation(0.4, object_crops=0.0)
    assert (crops(chosen) == crops(chosen, box=(1, 1, 9, 9))).all()


def test_resized_crop_is_cut_scaled_and_mirrored() -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    crop = np.array([4, 6, 24, 16])
    same = resized_crop(image, crop, 20, 10, False)
    assert np.array_equal(same, image[6:16, 4:24])
    assert np.array_equal(resized_crop(image, crop, 20, 10, True), same[:, ::-1])
    half = resized_crop(image, crop, 10, 5, False)
    means = same.reshape(5, 2, 10, 2, 3).mean(axis=(1, 3))
    assert np.abs(half - means).max() <= 1
    large = resized_crop(image, crop, 33, 17, False)
    assert np.array_equal(large, cv2.resize(same, (33, 17), interpolation=cv2.INTER_LINEAR))


def test_colours_vary_by_image_and_stay_in_range() -> None:
    batch = torch.full((6, 3, 4, 4), 0.5)
    batch[:, 0] = 0.9
    varied = vary_color(batch, np.random.default_rng(0), 0.4)
    assert varied.min() >= 0
    assert varied.max() <= 1
    assert len({round(float(image.mean()), 5) for image in varied}) == 6
    assert torch.allclose(vary_color(batch, np.random.default_rng(0), 0.0), batch)
