"""What the first pass takes of an image, with the trunk that ships."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sppdet.boxes import iou
from sppdet.datasets import read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.features.spp import SppRegionFeatures
from sppdet.settings import DetectorSettings, MiningSettings, SppSettings, TrainSettings
from sppdet.training.first_examples import Quotas, first_examples, quotas_of
from sppdet.training.images import PreparedImage, TrainingImages, View
from sppdet.trunks import load_trunk

ALL = Quotas(
    positives=10_000,
    negatives=100_000,
    regressed=10_000,
    images=1,
    images_with=np.array([1, 1, 1]),
    positive_iou=0.7,
    regression_iou=0.5,
    seed=0,
)
"""Quotas that leave nothing out."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedImage:
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder, 6, seed=3, size=(210, 150))
    extractor = SppRegionFeatures(load_trunk("small"), SppSettings((160,)))
    settings = TrainSettings(detector=DetectorSettings(max_boxes=400), workers=1)
    images = TrainingImages(read_dataset(folder), extractor, settings, lambda *_: None)
    for _, view in images.each("views", [View(1)], lambda view: view):
        assert view is not None
        return view
    raise AssertionError


def of_rows(prepared: PreparedImage, rows: np.ndarray) -> np.ndarray:
    """The slow way to the features of these boxes, in half precision, each distinct one once."""
    keys = sorted({int(prepared.regions.keys[row]) for row in rows})
    features = [prepared.regions.features(np.array([key]))[0].half().numpy() for key in keys]
    return np.array(features, np.float16).reshape(len(keys), 12_800)


def test_without_a_limit_all_examples_are_taken(prepared: PreparedImage) -> None:
    taken = first_examples(prepared, ALL)
    annotations = prepared.annotations
    assert len(annotations) >= 2
    for label in range(3):
        truths = annotations.boxes[annotations.labels == label]
        best = iou(prepared.boxes, truths).max(axis=1, initial=0)
        fitting = np.flatnonzero(best > 0.7)
        np.testing.assert_array_equal(
            taken.positives[label].features.numpy(), of_rows(prepared, fitting)
        )
        proposals = np.arange(len(annotations), len(prepared.boxes))
        far = np.setdiff1d(
            prepared.regions.keys[proposals[best[proposals] < 0.3]], prepared.regions.keys[fitting]
        )
        assert len(taken.negatives[label]) == len(far) > 0
        features, boxes, targets = taken.regression[label]
        rows = np.flatnonzero(best > 0.5)
        np.testing.assert_array_equal(boxes, prepared.boxes[rows])
        assert len(features) == len(rows) == len(targets)
        for box, target in zip(boxes, targets, strict=True):
            np.testing.assert_allclose(
                iou(box[None], target[None])[0, 0], iou(box[None], truths).max(), rtol=1e-5
            )


def test_an_image_gives_its_share(prepared: PreparedImage) -> None:
    quotas = replace(
        ALL, positives=30, negatives=80, regressed=20, images=10, images_with=np.full(3, 10)
    )
    taken = first_examples(prepared, quotas)
    for label in range(3):
        assert len(taken.positives[label]) <= 3
        assert len(taken.negatives[label]) == 8
        assert len(taken.regression[label][0]) <= 2


def test_a_truth_is_always_taken(prepared: PreparedImage) -> None:
    quotas = replace(ALL, positives=1, images=100, images_with=np.full(3, 100))
    taken = first_examples(prepared, quotas)
    labels = prepared.annotations.labels
    for label in np.unique(labels):
        (example,) = taken.positives[label].features.numpy()
        truths = of_rows(prepared, np.flatnonzero(labels == label))
        assert (truths == example).all(axis=1).any()


def test_no_regression(prepared: PreparedImage) -> None:
    taken = first_examples(prepared, replace(ALL, regression_iou=None))
    assert all(len(features) == 0 for features, _, _ in taken.regression)


def test_the_seed_repeats(prepared: PreparedImage) -> None:
    few = replace(ALL, negatives=20)
    a, b, c = (first_examples(prepared, replace(few, seed=seed)) for seed in (4, 4, 5))
    assert torch.equal(a.negatives[0].features, b.negatives[0].features)
    assert not torch.equal(a.negatives[0].features, c.negatives[0].features)


@pytest.mark.parametrize(
    ("dimension", "positives", "negatives", "regressed"),
    [
        (1_000, 1500, 1000, 2500),  # there is room for all: 89,478
        (40_000, 1500, 1000, 2236),
        (100_000, 894, 447, 894),
        (10_000_000, 50, 25, 50),
    ],
)
def test_half_of_the_room_is_left_to_hard_negatives(
    tmp_path: Path, dimension: int, positives: int, negatives: int, regressed: int
) -> None:
    """512 MB hold 268,435,456 numbers in half precision, a third of them for each class."""
    write_scenes(tmp_path, 4, seed=3, size=(210, 150))
    dataset = read_dataset(tmp_path)
    assert len(dataset.classes) == 3
    quotas = quotas_of(dataset, dimension, TrainSettings(mining=MiningSettings(memory=512 << 20)))
    assert (quotas.positives, quotas.negatives, quotas.regressed) == (
        positives,
        negatives,
        regressed,
    )
