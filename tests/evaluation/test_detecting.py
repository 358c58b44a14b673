import json

import numpy as np
import pytest
import torch

from sppdet.cli import run
from sppdet.datasets import read_dataset
from sppdet.detector import Detector
from sppdet.evaluation.detecting import detect_all
from sppdet.evaluation.voc import evaluate_voc
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.linear import LinearScorer
from sppdet.images import read_image
from sppdet.settings import SppSettings
from sppdet.trunks import build_trunk

BOXES = {"a": [("cat", 11, 11, 50, 50)], "b": [("cat", 1, 1, 60, 60)], "c": [("owl", 9, 9, 60, 60)]}


@pytest.fixture
def detector():
    """An untrained detector of cats and dogs."""
    extractor = SppRegionFeatures(build_trunk("small", None), SppSettings((128,), levels=(1, 2)))
    weight = torch.randn(2, extractor.dimension, generator=torch.Generator().manual_seed(0)) * 0.1
    fits = np.array([[2.0, 0.5], [1.0, -0.5]], np.float32)
    return Detector(extractor, LinearScorer(weight, torch.zeros(2), fits), ("cat", "dog"))


@pytest.mark.parametrize("workers", [1, 3])
def test_every_image_in_order_and_past_a_bad_one(detector, make_folder, workers):
    dataset = read_dataset(make_folder(BOXES))
    dataset.images[1].write_text("no image")
    steps = []
    found, failures = detect_all(detector, dataset.images, workers, lambda: steps.append(1))
    assert len(found) == len(steps) == 3
    assert len(found[1]) == 0
    assert len(failures) == 1
    assert "b.png" in failures[0]
    for k in (0, 2):
        alone = detector.detect(read_image(dataset.images[k]))
        assert len(alone) > 0
        np.testing.assert_array_equal(found[k].boxes, alone.boxes)
        np.testing.assert_array_equal(found[k].scores, alone.scores)


def test_the_command_matches_classes_by_name(detector, make_folder, tmp_path, capsys):
    data, model, file = make_folder(BOXES), tmp_path / "m.safetensors", tmp_path / "ap.json"
    detector.save(model)
    with pytest.raises(SystemExit) as ended:
        run("evaluate", [str(data), "--model", str(model), "--json", str(file), "--device", "cpu"])
    assert ended.value.code == 0
    error = capsys.readouterr().err
    assert "the model does not know owl: AP 0" in error
    assert "the data have no dog: left out" in error
    content = json.loads(file.read_text())
    dataset = read_dataset(data)
    found, _ = detect_all(detector, dataset.images)
    wanted = evaluate_voc(found, dataset.all_annotations(), dataset.classes)
    assert content["classes"] == wanted.to_json()["classes"]
    assert content["classes"]["owl"]["ap_area"] == 0


def test_no_common_class_and_unreadable_images(detector, make_folder, tmp_path, capsys):
    model = tmp_path / "m.safetensors"
    detector.save(model)
    other = make_folder({"a": [("emu", 1, 1, 50, 50)]}, "other")
    with pytest.raises(SystemExit) as ended:
        run("evaluate", [str(other), "--model", str(model)])
    assert ended.value.code == 2
    assert "finds cat, dog, but the data have emu; no class is the same" in capsys.readouterr().err
    data = make_folder(BOXES)
    (data / "c.png").write_text("no image")
    with pytest.raises(SystemExit) as ended:
        run("evaluate", [str(data), "--model", str(model)])
    assert ended.value.code == 1
    assert "1 of 3 failed" in capsys.readouterr().err
