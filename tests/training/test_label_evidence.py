from pathlib import Path

import numpy as np
import pytest

from sppdet.boxes import iou
from sppdet.datasets import read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.features.spp import SppRegionFeatures
from sppdet.settings import DetectorSettings, SppSettings, TrainSettings
from sppdet.training.label_evidence import LEAST, look_at_labels
from sppdet.training.train import train
from sppdet.trunks import load_trunk

pytestmark = pytest.mark.slow


def test_every_readable_image_is_looked_at(tmp_path: Path) -> None:
    write_scenes(tmp_path, 13, seed=0, size=(160, 120))
    (tmp_path / "scene_0004.jpg").write_bytes(b"torn")
    dataset = read_dataset(tmp_path)
    chosen = DetectorSettings(max_boxes=200)
    settings = TrainSettings(detector=chosen, workers=1, calibration_images=6)  # fewer than images
    extractor = SppRegionFeatures(load_trunk("small"), SppSettings((160,)))
    told: list[tuple[str, int, int]] = []
    result = train(dataset, extractor, settings, lambda *one: told.append(one))
    evidence = look_at_labels(result)
    assert [one.image for one in evidence] == [k for k in range(13) if k != 4]
    assert told[-1] == ("suspects", 12, 12)
    for one in evidence:
        annotations = dataset.annotations(one.image)
        np.testing.assert_array_equal(one.annotations.boxes, annotations.boxes)
        assert one.own.shape == (len(annotations), 3)
        assert np.isfinite(one.own).all()
        assert (one.found.scores >= LEAST).all()
        fits = iou(one.unlabelled.boxes, annotations.boxes).max(axis=1, initial=0)
        assert (fits < 0.8).all()  # below LABELLED before the vote, which moves boxes a little
    own = np.concatenate([one.own for one in evidence])
    labels = np.concatenate([one.annotations.labels for one in evidence])
    assert own[np.arange(len(own)), labels].mean() > own.mean()
