from pathlib import Path

import numpy as np
import pytest
import torch

from sppdet.classification.augment import Augmentation
from sppdet.classification.batches import test_batches as whole_batches
from sppdet.classification.batches import training_batches, whole_image
from sppdet.classification.data import open_split
from sppdet.trunks.weights import Preprocessing

PLAIN = Preprocessing("RGB", 255.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
STILL = Augmentation(1.0, ratio=1.0, flip=0.0)


def test_an_epoch_is_every_image_once(square_folder: Path) -> None:
    data = open_split(square_folder, "train")
    batches = list(training_batches(data, [20, 20, 20], 16, STILL, PLAIN, (0, 0)))
    indices = torch.cat([batch.indices for batch in batches]).tolist()
    assert sorted(indices) == list(range(48))
    assert indices != sorted(indices)
    for batch in batches:
        for image, label, index in zip(batch.images, batch.labels, batch.indices, strict=True):
            assert np.allclose(image.permute(1, 2, 0).numpy(), data.read(int(index)), atol=1e-3)
            assert label == data.labels[index]


@pytest.mark.parametrize("folder", ["square_folder", "varied_folder"])
def test_equal_seeds_equal_batches(folder: str, request: pytest.FixtureRequest) -> None:
    data = open_split(request.getfixturevalue(folder), "train")
    chosen = Augmentation(0.3, object_crops=0.5, color=0.3)

    def epoch(seed: int) -> list[torch.Tensor]:
        batches = training_batches(data, [16, 24], 12, chosen, Preprocessing(), (seed, 3))
        return [batch.images for batch in batches]

    first, again, other = epoch(0), epoch(0), epoch(1)
    assert [tuple(images.shape) for images in first] == [(12, 3, 16, 16), (12, 3, 24, 24)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_flips_and_channel_order(square_folder: Path) -> None:
    data = open_split(square_folder, "train")
    flipped = Augmentation(1.0, ratio=1.0, flip=1.0)
    reversed_order = Preprocessing("BGR", 255.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    batch = next(training_batches(data, [20], 8, flipped, reversed_order, (0,)))
    for image, index in zip(batch.images, batch.indices, strict=True):
        expected = data.read(int(index))[:, ::-1, ::-1]
        assert np.allclose(image.permute(1, 2, 0).numpy(), expected, atol=1e-3)


def test_whole_images_keep_their_shape() -> None:
    image = np.zeros((30, 61, 3), np.uint8)
    assert whole_image(image, None) is image
    assert whole_image(image, 30) is image
    assert whole_image(image, 15).shape == (15, 30, 3)
    assert whole_image(np.zeros((1, 300, 3), np.uint8), 2).shape == (2, 600, 3)


def test_images_of_varied_shapes_are_all_tested(varied_folder: Path) -> None:
    data = open_split(varied_folder, "test")
    batches = list(whole_batches(data, 20, 7, PLAIN))
    assert sorted(torch.cat([b.indices for b in batches]).tolist()) == list(range(18))
    for batch in batches:
        assert min(batch.images.shape[2:]) == 20
        for image, label, index in zip(batch.images, batch.labels, batch.indices, strict=True):
            expected = whole_image(data.read(int(index)), 20)
            assert np.allclose(image.permute(1, 2, 0).numpy(), expected, atol=1e-3)
            assert label == data.labels[index]
