import cv2
import numpy as np
import pytest
import torch

from sppdet.classification.augment import (
    Augmentation,
    cut_out,
    draw,
    random_crops,
    resized_crop,
    shifted,
    vary_color,
)


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
    factors = torch.from_numpy(draw(np.random.default_rng(0), 6, Augmentation(color=0.4)).colors)
    varied = vary_color(batch, factors)
    assert varied.min() >= 0
    assert varied.max() <= 1
    assert len({round(float(image.mean()), 5) for image in varied}) == 6
    assert torch.allclose(vary_color(batch, torch.ones(3, 6)), batch)


def test_a_shift_is_a_crop_of_the_image_padded_by_reflection() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    padded = np.pad(image, ((4, 4), (4, 4), (0, 0)), mode="reflect")
    for right in range(-4, 5):
        for down in range(-4, 5):
            expected = padded[4 - down : 13 - down, 4 - right : 16 - right]
            assert np.array_equal(shifted(image, np.array([right, down])), expected)
    assert np.array_equal(shifted(image[:1, :1], np.array([3, -5])), image[:1, :1])


def test_squares_are_erased() -> None:
    batch = torch.ones(3, 3, 10, 20)
    cut = cut_out(batch, torch.tensor([[0.5, 0.0, 0.99], [0.5, 0.0, 0.99]]), 4)
    assert (cut[0, :, 3:7, 8:12] == 0).all()
    assert [int((image[0] == 0).sum()) for image in cut] == [16, 4, 9]
    assert (cut[1, :, :2, :2] == 0).all()
    assert (cut[2, :, 7:, 17:] == 0).all()


@pytest.mark.parametrize("more", [{}, {"shift": 3}, {"color": 0.2}, {"cutout": 5}])
def test_what_is_not_varied_draws_nothing(more: dict) -> None:
    rng = np.random.default_rng(4)
    found = draw(rng, 50, Augmentation(**more))
    assert np.array_equal(found.crops, draw(np.random.default_rng(4), 50, Augmentation()).crops)
    assert np.abs(found.shifts).max() == more.get("shift", 0)
    plain = np.random.default_rng(4)
    plain.random(7 * 50)
    assert (rng.random() == plain.random()) == (not more)
