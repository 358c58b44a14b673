import os
import signal
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from sppdet.datasets import read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.detector import Detector
from sppdet.features.spp import SppRegionFeatures
from sppdet.settings import SppSettings, TrainSettings
from sppdet.training.train import train
from sppdet.trunks import load_trunk

# A shell in the background starts its children with Ctrl-C ignored; the tests of Ctrl-C send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same cases on every run, so that a red run says something about the change that it tests;
# HYPOTHESIS_PROFILE=random looks for new ones.
settings.register_profile("same", derandomize=True)
settings.register_profile("random", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked ``gpu`` are skipped where there is no GPU."""
    if torch.cuda.is_available():
        return
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: SPPDET_DATA, or ../shared/data beside the checkout."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SPPDET_DATA", default))
    if not folder.is_dir():
        pytest.skip("the real data sets are not here (set SPPDET_DATA)")
    return folder


@pytest.fixture(autouse=True)
def _private_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("SPPDET_CACHE", str(tmp_path_factory.getbasetemp() / "sppdet-cache"))


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of rendered scenes with the splits train (80) and test (25)."""
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder / "train", 80, seed=0, size=(320, 240))
    write_scenes(folder / "test", 25, seed=1, size=(320, 240))
    return folder


@pytest.fixture(scope="session")
def detector(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Detector:
    """A detector trained on the scenes, with the trunk that ships."""
    patch = pytest.MonkeyPatch()
    patch.setenv("SPPDET_CACHE", str(tmp_path_factory.mktemp("cache")))
    extractor = SppRegionFeatures(load_trunk("small"), SppSettings((320,)))
    try:
        settings = TrainSettings(calibration_images=30)
        return train(read_dataset(scenes, "train"), extractor, settings).detector
    finally:
        patch.undo()


@pytest.fixture(scope="session")
def model_file(detector: Detector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of that detector."""
    path = tmp_path_factory.mktemp("model") / "fruit.safetensors"
    detector.save(path)
    return path
