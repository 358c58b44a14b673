"""The estimate before a training."""

import time
from pathlib import Path

import pytest

from sppdet.datasets import read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.features.spp import SppRegionFeatures
from sppdet.settings import SppSettings, TrainSettings
from sppdet.training.estimate import Estimate
from sppdet.training.train import TrainResult, train
from sppdet.trunks import load_trunk


@pytest.mark.parametrize(
    ("seconds", "disk", "said"),
    [
        (61, 0, "about 1 minute, 0 MB of disk"),
        (2400, 11.04e9, "about 40 minutes, 11.0 GB of disk"),
        (5999, 999e6, "about 100 minutes, 999 MB of disk"),
        (7200, 1e9, "about 2.0 hours, 1.0 GB of disk"),
    ],
)
def test_the_line(seconds: float, disk: float, said: str) -> None:
    assert str(Estimate(seconds, int(disk))) == said


def trained(
    folder: Path, told: list[Estimate] | None, **changes: object
) -> tuple[TrainResult, float]:
    """A training, and its seconds after the estimate."""
    start = [time.perf_counter()]

    def tell(expected: Estimate) -> None:
        assert told is not None
        told.append(expected)
        start.append(time.perf_counter())

    settings = TrainSettings(**changes)  # type: ignore[arg-type]
    extractor = SppRegionFeatures(load_trunk("small"), SppSettings((160,)))
    callback = tell if told is not None else None
    result = train(read_dataset(folder), extractor, settings, estimated=callback)
    return result, time.perf_counter() - start[-1]


@pytest.mark.slow
def test_it_is_about_right_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time within a factor of 3, as other work may share the machine; the disk within 30 %."""
    monkeypatch.setenv("SPPDET_CACHE", str(tmp_path / "cache"))
    write_scenes(tmp_path / "scenes", 30, seed=3, size=(160, 120))
    told: list[Estimate] = []
    result, seconds = trained(tmp_path / "scenes", told, mirror=False, calibration_images=10)
    assert len(told) == 1
    assert seconds / 3 < told[0].seconds < seconds * 3
    assert result.images.stored_bytes == pytest.approx(told[0].disk, rel=0.3)
    result.images.clear()
    result.detector.save(tmp_path / "a")
    again, _ = trained(tmp_path / "scenes", None, mirror=False, calibration_images=10)
    again.detector.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.slow
def test_the_disk_is_bounded_and_few_images_get_no_estimate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPPDET_CACHE", str(tmp_path / "cache"))
    write_scenes(tmp_path / "few", 8, seed=3, size=(160, 120))
    told: list[Estimate] = []
    bound = 1_500_000
    result, _ = trained(tmp_path / "few", told, store_bytes=bound)
    assert told == []
    held = sum(one.stat().st_size for one in (tmp_path / "cache" / "regions").iterdir())
    assert 0 < held <= 1.05 * bound
    assert result.images.stored_bytes <= bound
    result.images.clear()
    assert not list((tmp_path / "cache" / "regions").iterdir())
