"""A new class is learned, and the old ones are the same bit for bit."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch

from sppdet.cli import main
from sppdet.datasets import read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.evaluation.evaluate import evaluate
from sppdet.features.spp import SppRegionFeatures
from sppdet.settings import SppSettings, TrainSettings
from sppdet.training.add_class import add_classes, new_classes
from sppdet.training.train import train
from sppdet.trunks import load_trunk

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    write_scenes(folder, 30, seed=7, size=(240, 180))
    return folder


@pytest.fixture(scope="module")
def old(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a detector that knows all classes of the photographs but the last."""
    dataset = read_dataset(photos)
    extractor = SppRegionFeatures(load_trunk("small"), SppSettings((240,)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPPDET_CACHE", str(tmp_path_factory.mktemp("cache")))
        settings = TrainSettings(calibration_images=9)
        known = dataset.of_classes(dataset.classes[:-1])
        detector = train(known, extractor, settings).detector
    path = tmp_path_factory.mktemp("old") / "old.safetensors"
    detector.save(path)
    return path


def test_the_new_class_is_learned_and_the_old_ones_stay(
    photos: Path, old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new.safetensors"
    with pytest.raises(SystemExit) as stop:
        main(["add-class", str(old), str(photos), "--output", str(new), "--workers", "1"])
    assert not stop.value.code
    before, after = Detector.load(old, "cpu"), Detector.load(new, "cpu")
    dataset = read_dataset(photos)
    assert after.classes == dataset.classes
    assert after.settings == before.settings
    count = len(before.classes)
    assert after.thresholds[:count] == before.thresholds
    first, second = (safetensors.torch.load_file(path) for path in (old, new))
    assert first.keys() == second.keys()
    for key, tensor in first.items():
        whole = second[key] if key.startswith("trunk.") else second[key][:count]
        assert tensor.numpy().tobytes() == whole.numpy().tobytes(), key
    result = evaluate(after, dataset)
    assert (result.classes[-1].ap_area or 0) > 0.5  # on what it has learned from: it has learned
    (added,) = after.card["history"]
    assert added["what"] == "added"
    assert added["classes"] == [dataset.classes[-1]]
    assert added["data"]["images"] == 30
    assert {key: after.card[key] for key in before.card} == before.card
    assert f"added {dataset.classes[-1]}" in capsys.readouterr().err


def test_no_new_class_is_an_error_of_one_line(photos: Path, old: Path) -> None:
    detector, dataset = Detector.load(old, "cpu"), read_dataset(photos)
    known = dataset.of_classes(detector.classes)
    with pytest.raises(SppdetError, match=r"has no new class: it has .*, and the detector knows"):
        add_classes(detector, known)
    assert new_classes(detector, dataset) == dataset.classes[-1:]
    empty = dataset.of_classes(("unicorn",))
    with pytest.raises(SppdetError, match="it has no object"):
        new_classes(detector, empty)


def test_a_part_of_the_classes(photos: Path) -> None:
    dataset = read_dataset(photos)
    order = dataset.classes[::-1][:2]
    part = dataset.of_classes(order)
    assert part.classes == order
    assert part.images == dataset.images
    for whole, one in zip(dataset.all_annotations(), part.all_annotations(), strict=True):
        names = [dataset.classes[label] for label in whole.labels]
        wanted = [name for name in names if name in order]
        assert [order[label] for label in one.labels] == wanted
        keep = np.isin(names, order) if names else np.zeros(0, bool)
        np.testing.assert_array_equal(one.boxes, whole.boxes[keep])
