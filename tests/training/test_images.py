"""Training images and their mirrored selves, with the trunk that ships."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sppdet.boxes import flip
from sppdet.datasets import read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.errors import SppdetWarning
from sppdet.features.spp import SppRegionFeatures
from sppdet.images import read_image
from sppdet.proposals import propose
from sppdet.settings import DetectorSettings, SppSettings, TrainSettings
from sppdet.training.images import PreparedImage, TrainingImages, View, views_of
from sppdet.training.roles import assign_roles, training_boxes
from sppdet.trunks import load_trunk

COUNT = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder, COUNT, seed=3, size=(210, 150))
    return folder


@pytest.fixture(scope="module")
def extractor() -> SppRegionFeatures:
    return SppRegionFeatures(load_trunk("small"), SppSettings((160,)))


def images(
    folder: Path, extractor: SppRegionFeatures, workers: int = 1, store_bytes: int = 1 << 30
) -> TrainingImages:
    settings = TrainSettings(
        detector=DetectorSettings(max_boxes=200), workers=workers, store_bytes=store_bytes
    )
    return TrainingImages(read_dataset(folder), extractor, settings, lambda *_: None)


def views(folder: Path, extractor: SppRegionFeatures, **settings: int) -> list[PreparedImage]:
    """First all images, then all in the mirror."""
    wanted = [View(index, mirrored) for mirrored in (False, True) for index in range(COUNT)]
    found = images(folder, extractor, **settings).each("views", wanted, lambda view: view)
    return [view for _, view in found if view is not None]


def test_a_mirrored_image_is_the_image_mirrored(folder: Path, extractor: SppRegionFeatures) -> None:
    """Against the slow way: mirror the pixels and all boxes, and prepare that."""
    dataset = read_dataset(folder)
    seen = views(folder, extractor)
    for index, path in enumerate(dataset.images):
        image, annotations = read_image(path), dataset.annotations(index)
        mirrored = np.ascontiguousarray(np.fliplr(image))
        proposals = propose(image, "fast", 200)
        boxes = flip(training_boxes(annotations, proposals), image.shape[1])
        expected = extractor.prepare(mirrored, boxes)
        view = seen[COUNT + index]
        assert view.view == View(index, True)
        assert view.number == COUNT + index
        np.testing.assert_array_equal(view.boxes, boxes)
        np.testing.assert_array_equal(view.regions.keys, expected.keys)
        every = np.arange(expected.count)
        ours, theirs = view.regions.features(every), expected.features(every)
        # Maps are kept in half precision.
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-3, atol=1e-3)
        annotations = replace(annotations, boxes=flip(annotations.boxes, image.shape[1]))
        np.testing.assert_array_equal(view.annotations.boxes, annotations.boxes)
        roles = assign_roles(annotations, boxes, len(dataset.classes), 0.3)
        np.testing.assert_array_equal(view.roles.negative, roles.negative)


def test_what_a_box_is_does_not_change_in_the_mirror(
    folder: Path, extractor: SppRegionFeatures
) -> None:
    seen = views(folder, extractor)
    for plain, mirrored in zip(seen[:COUNT], seen[COUNT:], strict=True):
        assert len(plain.annotations) > 0
        np.testing.assert_allclose(mirrored.roles.best_iou, plain.roles.best_iou, atol=1e-4)
        features = [view.regions.features(view.regions.keys) for view in (plain, mirrored)]
        assert not np.allclose(features[0].numpy(), features[1].numpy(), atol=0.1)


@pytest.mark.parametrize("settings", [{"workers": 3}, {"store_bytes": 0}])
def test_neither_workers_nor_the_store_change_a_view(
    folder: Path, extractor: SppRegionFeatures, settings: dict[str, int]
) -> None:
    for one, other in zip(
        views(folder, extractor), views(folder, extractor, **settings), strict=True
    ):
        assert one.view == other.view
        every = np.arange(one.regions.count)
        np.testing.assert_array_equal(
            one.regions.features(every).numpy(), other.regions.features(every).numpy()
        )


def test_an_unreadable_image_is_told_once_for_both_views(
    tmp_path: Path, extractor: SppRegionFeatures
) -> None:
    write_scenes(tmp_path, COUNT, seed=3, size=(210, 150))
    broken = sorted(tmp_path.glob("*.jpg"))[1]
    broken.write_bytes(broken.read_bytes()[:500])
    loaded = images(tmp_path, extractor)
    wanted = views_of(range(COUNT), mirror=True)
    found = [view for view, image in loaded.each("views", wanted, lambda v: v) if image]
    assert found == [View(0), View(0, True), View(2), View(2, True)]
    assert len(loaded.failures) == 1
    assert broken.name in loaded.failures[0]


def test_an_image_that_vanishes_between_passes_is_told_once(
    tmp_path: Path, extractor: SppRegionFeatures
) -> None:
    write_scenes(tmp_path, COUNT, seed=3, size=(210, 150))
    loaded = images(tmp_path, extractor)
    wanted = views_of(range(COUNT), mirror=True)
    list(loaded.each("first", wanted, lambda view: view))
    gone = sorted(tmp_path.glob("*.jpg"))[1]
    gone.unlink()
    for stage in ("second", "third"):
        found = [view for view, image in loaded.each(stage, wanted, lambda v: v) if image]
        assert len(found) == 2 * COUNT - 2
    assert [gone.name in line for line in loaded.failures] == [True]


def test_what_an_earlier_run_prepared_is_said(tmp_path: Path, extractor: SppRegionFeatures) -> None:
    write_scenes(tmp_path, COUNT, seed=4, size=(210, 150))
    wanted = views_of(range(COUNT), mirror=True)
    list(images(tmp_path, extractor).each("first", wanted[:4], lambda view: view))
    again = images(tmp_path, extractor)
    with pytest.warns(SppdetWarning, match="4 of 6 views were already prepared by an earlier run"):
        list(again.each("first", wanted, lambda view: view))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(again.each("second", wanted, lambda view: view))  # said once


def test_given_proposals_take_the_place_of_the_search(
    folder: Path, extractor: SppRegionFeatures
) -> None:
    dataset = read_dataset(folder)
    own = {path: np.float32([[3, 5, 60, 70], [9, 9, 99, 99]]) for path in dataset.images}
    settings = TrainSettings(detector=DetectorSettings(max_boxes=1), workers=1)
    prepared = TrainingImages(dataset, extractor, settings, lambda *_: None, own)
    for view, image in prepared.each("views", views_of([0], mirror=True), lambda one: one):
        assert image is not None
        kept = own[dataset.images[0]][:1]
        boxes = flip(kept, image.size[0]) if view.mirrored else kept
        annotations = image.annotations
        np.testing.assert_array_equal(image.boxes, training_boxes(annotations, boxes))
    prepared.clear()
