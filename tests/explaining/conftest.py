from pathlib import Path

import pytest

from sppdet.datasets import read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.detector import Detector
from sppdet.features.spp import SppRegionFeatures
from sppdet.settings import DetectorSettings, SppSettings, TrainSettings
from sppdet.training.train import train
from sppdet.trunks import load_trunk


@pytest.fixture(scope="session")
def few_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 small rendered scenes."""
    folder = tmp_path_factory.mktemp("few")
    write_scenes(folder, 24, seed=3, size=(200, 150))
    return folder


@pytest.fixture(scope="session")
def keeping(few_scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Detector:
    """A detector of two scales that keeps training examples."""
    extractor = SppRegionFeatures(load_trunk("small"), SppSettings((160, 240)))
    settings = TrainSettings(
        calibration_images=12, detector=DetectorSettings(max_boxes=400), keep_examples=True
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPPDET_CACHE", str(tmp_path_factory.mktemp("cache")))
        return train(read_dataset(few_scenes), extractor, settings).detector
