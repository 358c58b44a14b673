"""End to end on rendered scenes, with the trunk that ships."""

from pathlib import Path

import numpy as np
import pytest

from sppdet.datasets import read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.evaluation.voc import evaluate_voc
from sppdet.features.spp import SppRegionFeatures
from sppdet.images import read_image
from sppdet.settings import SppSettings, TrainSettings
from sppdet.training.train import TrainResult, train
from sppdet.trunks import load_trunk

pytestmark = pytest.mark.slow


def extractor() -> SppRegionFeatures:
    return SppRegionFeatures(load_trunk("small"), SppSettings((240,)))


def test_the_whole_chain_learns_to_find_fruit(scenes: Path, detector: Detector) -> None:
    dataset = read_dataset(scenes, "test", classes=detector.classes)
    found = [detector.detect(read_image(path)) for path in dataset.images]
    truth = [dataset.annotations(index) for index in range(len(dataset.images))]
    result = evaluate_voc(found, truth, dataset.classes)
    assert result.map_11 is not None
    assert result.map_11 >= 0.8


def test_probabilities_are_calibrated(scenes: Path, detector: Detector) -> None:
    """Of the detections shown at the default threshold, most are right."""
    dataset = read_dataset(scenes, "test", classes=detector.classes)
    found = [detector.detect(read_image(path), threshold=0.5) for path in dataset.images]
    truth = [dataset.annotations(index) for index in range(len(dataset.images))]
    result = evaluate_voc(found, truth, dataset.classes)
    assert np.mean([c.precision[-1] for c in result.classes]) > 0.7
    assert np.mean([c.recall for c in result.classes]) > 0.5


@pytest.fixture
def few(tmp_path: Path) -> Path:
    write_scenes(tmp_path / "few", 8, seed=5, size=(200, 150))
    return tmp_path / "few"


def small_run(folder: Path, **changes: object) -> TrainResult:
    settings = TrainSettings(calibration_images=6, **changes)  # type: ignore[arg-type]
    return train(read_dataset(folder), extractor(), settings)


def test_equal_seeds_give_equal_detectors_whatever_the_workers(few: Path, tmp_path: Path) -> None:
    for name, workers, seed in (("a", 1, 0), ("b", 3, 0), ("c", 1, 1)):
        small_run(few, workers=workers, seed=seed).detector.save(tmp_path / name)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_an_interrupted_training_goes_on_where_it_was(
    few: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SPPDET_CACHE", str(tmp_path / "cache"))

    def interrupt(stage: str, done: int, _: int) -> None:
        if stage == "features" and done == 14:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(read_dataset(few), extractor(), TrainSettings(workers=1), interrupt)
    prepared = []
    whole = SppRegionFeatures.prepare

    def counting(self: SppRegionFeatures, *arguments: object) -> object:
        prepared.append(1)
        return whole(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SppRegionFeatures, "prepare", counting)
    again = small_run(few, workers=1)
    assert len(prepared) == 2
    again.images.clear()
    assert not list((tmp_path / "cache" / "regions").glob("*"))
    monkeypatch.setenv("SPPDET_CACHE", str(tmp_path / "other"))
    fresh = small_run(few, workers=1)
    again.detector.save(tmp_path / "again")
    fresh.detector.save(tmp_path / "fresh")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "fresh").read_bytes()


def test_mirrored_images_are_examples_too(few: Path) -> None:
    stages: dict[str, int] = {}

    def watch(stage: str, done: int, total: int) -> None:
        assert done <= total
        stages[stage] = total

    settings = TrainSettings(calibration_images=6)
    both = train(read_dataset(few), extractor(), settings, watch)
    assert (stages["features"], stages["mining"], stages["calibration"]) == (16, 16, 6)
    plain = small_run(few, mirror=False)
    assert sum(both.examples.values()) > 1.2 * sum(plain.examples.values())


def test_unreadable_images_are_listed_and_the_rest_is_used(few: Path) -> None:
    (few / "scene_0003.jpg").write_bytes((few / "scene_0003.jpg").read_bytes()[:900])
    result = small_run(few)
    assert len(result.failures) == 1
    assert "scene_0003.jpg" in result.failures[0]
    assert sum(result.examples.values()) > 0


def test_no_image_can_be_read(few: Path) -> None:
    for path in few.glob("*.jpg"):
        path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(SppdetError, match="can be read"):
        small_run(few)


def test_no_objects_at_all(few: Path) -> None:
    dataset = read_dataset(few, classes=("pear",))
    with pytest.raises(SppdetError, match="no image has an annotated object"):
        train(dataset, extractor())


def test_a_class_without_examples_is_never_found(few: Path) -> None:
    dataset = read_dataset(few, classes=("apple", "pear", "orange", "banana"))
    result = train(dataset, extractor(), TrainSettings(calibration_images=6))
    assert result.examples["pear"] == 0
    found = result.detector.detect(read_image(dataset.images[0]))
    assert 1 not in found.labels
    assert len(found) > 0


def test_a_detector_on_lite0_learns_from_few_scenes_and_survives_its_file(
    few: Path, tmp_path: Path
) -> None:
    """It finds the fruit of the photographs that it has learned from, also when it is loaded."""
    dataset = read_dataset(few)
    features = SppRegionFeatures(load_trunk("lite0"), SppSettings((160,)))
    settings = TrainSettings(calibration_images=6, mirror=False)
    trained = train(dataset, features, settings).detector
    trained.save(tmp_path / "d.safetensors")
    detector = Detector.load(tmp_path / "d.safetensors", "cpu")
    assert detector.extractor.trunk.name == "lite0"
    images = [read_image(path) for path in dataset.images]
    found = [detector.detect(image) for image in images]
    np.testing.assert_array_equal(found[0].boxes, trained.detect(images[0]).boxes)
    truth = [dataset.annotations(index) for index in range(len(images))]
    result = evaluate_voc(found, truth, dataset.classes)
    assert result.map_11 is not None
    assert result.map_11 >= 0.7
