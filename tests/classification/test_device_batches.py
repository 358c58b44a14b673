from pathlib import Path

import numpy as np
import pytest
import torch

from sppdet.classification.augment import Augmentation, resized_crop, shifted
from sppdet.classification.batches import Normalizer, training_batches
from sppdet.classification.data import LabelledImages, open_split
from sppdet.classification.device_batches import (
    EpochBatches,
    ResidentImages,
    can_stay,
    crops_and_colors,
)
from sppdet.trunks.weights import Preprocessing

CPU = torch.device("cpu")
GREY_LEVELS = 1
"""How far floating point may be from OpenCV's fixed point."""

PLAIN = Preprocessing("RGB", 255.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
VARIED = Augmentation(0.3, object_crops=0.5, color=0.3, shift=2, cutout=5)


def images_of(height: int, width: int, count: int = 4) -> LabelledImages:
    pixels = np.random.default_rng(1).integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    boxes = np.full((count, 4), np.nan, np.float32)
    return LabelledImages(("a", "b"), np.arange(count) % 2, boxes, (), pixels)


@pytest.mark.parametrize("size", [(32, 32), (40, 23), (7, 64)])
@pytest.mark.parametrize("side", [1, 5, 16, 24, 32, 50])
def test_crops_against_opencv(size: tuple[int, int], side: int) -> None:
    """Enlarged, shrunk in both directions (areas), in one (linear), and as they are."""
    height, width = size
    data = images_of(height, width, 60)
    rng = np.random.default_rng(side)
    corners = np.sort(rng.random((60, 2, 2)) * [[width], [height]], axis=2).astype(np.int64)
    left, top, right, bottom = (
        corners[:, 0, 0],
        corners[:, 1, 0],
        corners[:, 0, 1],
        corners[:, 1, 1],
    )
    crops = np.stack([left, top, right + 1, bottom + 1], axis=1).clip(0, [width, height] * 2)
    crops[0], crops[1] = (0, 0, width, height), (width - 1, height - 1, width, height)
    flips = rng.random(60) < 0.5
    shifts = rng.integers(-3, 4, (2, 60))
    numbers = np.stack(
        [*crops[:, :2].T, *(crops[:, 2:] - crops[:, :2]).T, flips, *shifts, *np.ones((3, 60))]
    )
    found = crops_and_colors(
        ResidentImages(data, CPU).pixels,
        torch.arange(60),
        torch.from_numpy(numbers).float(),
        side,
        Augmentation(shift=3),
    )
    levels = (found * 255).permute(0, 2, 3, 1).round().numpy()
    for index, crop in enumerate(crops):
        expected = resized_crop(data.read(index), crop, side, side, bool(flips[index]))
        difference = levels[index] - shifted(expected, shifts[:, index])
        assert np.abs(difference).max() <= GREY_LEVELS, crop


def test_unscaled_crops_are_exact() -> None:
    data = images_of(20, 30)
    numbers = np.zeros((10, 4), np.float32)
    numbers[:5] = np.array([[3, 0, 14, 7], [2, 4, 0, 1], [16] * 4, [16] * 4, [0, 1, 0, 1]])
    pixels = ResidentImages(data, CPU).pixels
    found = crops_and_colors(pixels, torch.arange(4), torch.from_numpy(numbers), 16, Augmentation())
    for image, original, (x, y, _, _, flip) in zip(found, data.packed, numbers[:5].T, strict=True):
        part = original[int(y) : int(y) + 16, int(x) : int(x) + 16]
        expected = part[:, ::-1] if flip else part
        assert np.array_equal((image * 255).permute(1, 2, 0).round().numpy(), expected)


@pytest.mark.parametrize("chosen", [VARIED, Augmentation(), Augmentation(1.0, 1.0, shift=4)])
def test_an_epoch_is_that_of_the_host(square_folder: Path, chosen: Augmentation) -> None:
    data = open_split(square_folder, "train")
    sides = [16, 24, 20]
    batches = EpochBatches(ResidentImages(data, CPU), 3, 16, chosen, PLAIN)
    for seed in ((0, 3), (5, 1)):
        batches.begin(seed, np.array([[0.1, 0.5], [0.2, 0.6], [0.3, 0.7]]))
        host = training_batches(data, sides, 16, chosen, PLAIN, seed)
        for step, (side, expected) in enumerate(zip(sides, host, strict=True)):
            batch, schedule = batches.take(side)
            assert torch.equal(batch.indices, expected.indices)
            assert torch.equal(batch.labels, expected.labels)
            assert batch.images.is_contiguous(memory_format=torch.channels_last)
            # Colours stretch the difference of a level, by 1.3 three times at most.
            bound = GREY_LEVELS * (1.3**3 if chosen.color else 1) + 1e-3
            assert (batch.images - expected.images).abs().max() <= bound
            assert schedule.tolist() == pytest.approx([0.1 + step / 10, 0.5 + step / 10])


def test_a_part_of_each_batch(square_folder: Path) -> None:
    """The parts of several processes are together the batch of one."""
    data = open_split(square_folder, "train")
    resident = ResidentImages(data, CPU)
    whole = EpochBatches(resident, 3, 16, VARIED, PLAIN)
    parts = [EpochBatches(resident, 3, 16, VARIED, PLAIN, slice(k, k + 8)) for k in (0, 8)]
    hosts = [
        training_batches(data, [24] * 3, 16, VARIED, PLAIN, (1, 2), slice(k, k + 8)) for k in (0, 8)
    ]
    single = training_batches(data, [24] * 3, 16, VARIED, PLAIN, (1, 2))
    for batches in (whole, *parts):
        batches.begin((1, 2), np.zeros((3, 2)))
    for expected, *host in zip(single, *hosts, strict=True):
        assert torch.equal(torch.cat([batch.images for batch in host]), expected.images)
        together = torch.cat([batches.take(24)[0].images for batches in parts])
        assert torch.allclose(together, whole.take(24)[0].images, atol=1e-3)


@pytest.mark.parametrize("preprocessing", [PLAIN, Preprocessing("BGR")])
def test_whole_images(preprocessing: Preprocessing) -> None:
    data = images_of(9, 12)
    normalizer = Normalizer(preprocessing, CPU)
    found = ResidentImages(data, CPU).whole(1, 3, normalizer)
    pixels = torch.from_numpy(data.packed[1:3]).permute(0, 3, 1, 2).float() / 255
    assert torch.equal(found, normalizer(pixels))


def test_a_cpu_keeps_nothing() -> None:
    assert not can_stay(images_of(9, 12), CPU)
