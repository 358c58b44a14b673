"""Training as on a GPU, whose paths run on the CPU too, against training on the CPU."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sppdet.boxes import iou
from sppdet.datasets import read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.detector import Detector
from sppdet.features.rcnn import RcnnRegionFeatures
from sppdet.features.regions import RegionExtractor
from sppdet.features.spp import SppRegionFeatures
from sppdet.images import Rgb, read_image
from sppdet.runtime.timing import Clock
from sppdet.settings import DetectorSettings, RcnnSettings, SppSettings, TrainSettings
from sppdet.training import images as images_module
from sppdet.training import photograph
from sppdet.training.device_store import DeviceStore
from sppdet.training.train import TrainResult, train
from sppdet.trunks import load_trunk

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few")
    write_scenes(folder, 8, seed=5, size=(200, 150))
    return folder


def extractor_of(method: str, device: torch.device = CPU) -> RegionExtractor:
    trunk = load_trunk("small", device=device)
    if method == "rcnn":
        return RcnnRegionFeatures(trunk, RcnnSettings(size=67, context=4))
    return SppRegionFeatures(trunk, SppSettings((160,)))


def trained(folder: Path, extractor: RegionExtractor, workers: int = 3, **more: int) -> TrainResult:
    most = 300 if isinstance(extractor, SppRegionFeatures) else 60  # R-CNN pays for each box
    settings = TrainSettings(
        detector=DetectorSettings(max_boxes=most), calibration_images=6, workers=workers, **more
    )
    return train(read_dataset(folder), extractor, settings)


def agree(one: TrainResult, other: TrainResult, within: float) -> None:
    """SVMs and box regression agree to so much of the largest weight."""
    for mine, theirs in (
        (one.detector.scorer, other.detector.scorer),
        (one.detector.regression, other.detector.regression),
    ):
        assert mine is not None
        assert theirs is not None
        for name, tensor in mine.tensors().items():
            if name == "calibration":  # a detection more or less in the folds is seen in it
                continue
            wanted = theirs.tensors()[name].cpu()
            span = float(wanted.abs().max())
            np.testing.assert_allclose(tensor.cpu(), wanted, atol=within * span, err_msg=name)


def find_the_same(one: Detector, other: Detector, folder: Path, within: float) -> None:
    """Each confident detection of ``other`` is one of ``one``, with a score that near."""
    confident = 0
    for path in sorted(folder.glob("*.jpg"))[:4]:
        mine, theirs = (detector.detect(read_image(path)) for detector in (one, other))
        for label, score, box in zip(theirs.labels, theirs.scores, theirs.boxes, strict=True):
            if score > 0.8:
                same = np.flatnonzero(mine.labels == label)
                overlap = iou(box[None], mine.boxes[same])[0]
                assert overlap.max(initial=0) > 0.9
                assert mine.scores[same[overlap.argmax()]] == pytest.approx(score, abs=within)
                confident += 1
    assert confident > 0


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prepared images and examples lie on a device, which is the CPU."""
    monkeypatch.setattr(images_module, "home_of", lambda _: CPU)


@pytest.mark.parametrize("method", ["spp", "rcnn"])
def test_the_way_of_a_gpu_gives_the_detector_of_the_cpu(
    few: Path, method: str, request: pytest.FixtureRequest
) -> None:
    wanted = trained(few, extractor_of(method))
    request.getfixturevalue("as_on_a_gpu")
    found = trained(few, extractor_of(method))
    assert found.examples == wanted.examples
    agree(found, wanted, 1e-3)
    find_the_same(found.detector, wanted.detector, few, 0.01)
    again = trained(few, extractor_of(method), workers=1)
    agree(again, found, 1e-6)


def test_each_image_is_prepared_once(
    few: Path, as_on_a_gpu: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SPPDET_CACHE", str(tmp_path))
    read: list[Path] = []
    prepared: list[int] = []
    whole = SppRegionFeatures.prepare

    def counting(self: SppRegionFeatures, *arguments: object, **named: object) -> object:
        prepared.append(1)
        return whole(self, *arguments, **named)  # type: ignore[arg-type]

    def reading(path: Path) -> object:
        read.append(path)
        return read_image(path)

    monkeypatch.setattr(SppRegionFeatures, "prepare", counting)
    monkeypatch.setattr(photograph, "read_image", reading)
    result = trained(few, extractor_of("spp"))
    assert len(prepared) == 16
    assert sorted(read) == sorted(read_dataset(few).images)
    assert not (tmp_path / "regions").exists()
    result.images.clear()


def test_what_does_not_fit_is_prepared_again_and_the_same(few: Path, as_on_a_gpu: None) -> None:
    kept = trained(few, extractor_of("spp"))
    none = trained(few, extractor_of("spp"), store_bytes=1)
    agree(none, kept, 1e-6)


def test_the_store_keeps_what_fits() -> None:
    store: DeviceStore[str] = DeviceStore(10)
    store.put(1, "one", 6, 5)
    store.put(2, "two", 6, 5)
    store.put(3, "three", 4, 5)
    store.put(4, "four", 0, 1 << 40)
    assert [store.get(key) for key in (1, 2, 3, 4)] == ["one", None, "three", None]
    store.clear()
    assert store.get(1) is None


@pytest.mark.gpu
def test_a_gpu_learns_from_the_same_maps_what_the_cpu_learns(
    few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, on_cpu = trained(few, extractor_of("spp")), extractor_of("spp")
    extractor = extractor_of("spp", torch.device("cuda"))

    def maps(image: Rgb, clock: Clock) -> list[torch.Tensor]:
        return [one.to(extractor.trunk.device) for one in on_cpu.maps(image, clock)]

    monkeypatch.setattr(extractor, "maps", maps)
    found = trained(few, extractor)
    # Examples on the margin may or may not be found hard once more.
    assert sum(found.examples.values()) == pytest.approx(sum(wanted.examples.values()), rel=0.02)
    agree(found, wanted, 5e-3)
    find_the_same(found.detector, wanted.detector, few, 0.05)


@pytest.mark.gpu
@pytest.mark.parametrize("method", ["spp", "rcnn"])
def test_a_training_on_a_gpu_finds_what_one_on_the_cpu_finds(few: Path, method: str) -> None:
    """The network runs in half precision there, so that no number is quite the same."""
    wanted = trained(few, extractor_of(method))
    found = trained(few, extractor_of(method, torch.device("cuda")))
    assert sum(found.examples.values()) == pytest.approx(sum(wanted.examples.values()), rel=0.05)
    find_the_same(found.detector, wanted.detector, few, 0.1)
