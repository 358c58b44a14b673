import numpy as np
import pytest
import torch

import sppdet
from sppdet.datasets import read_dataset
from sppdet.detections import Detections
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.evaluation.detecting import detect_all
from sppdet.evaluation.evaluate import evaluate
from sppdet.evaluation.voc import evaluate_voc

pytestmark = pytest.mark.slow

IMAGES = {
    "a": [("cat", 11, 11, 50, 50)],
    "b": [("cat", 1, 1, 60, 60), ("owl", 5, 5, 40, 40)],
    "c": [],
}


def found(*boxes: tuple[int, list[float], float]) -> Detections:
    labels, places, scores = zip(*boxes, strict=True) if boxes else ((), (), ())
    return Detections(np.array(places, "f4").reshape(-1, 4), labels, scores, ("cat", "owl"))


def test_of_detections(make_folder):
    dataset = read_dataset(make_folder(IMAGES))
    detections = [
        found((0, [10, 10, 50, 50], 0.9)),
        found((0, [0, 0, 60, 60], 0.6), (1, [6, 6, 40, 40], 0.4)),
        found((0, [5, 5, 20, 20], 0.8)),
    ]
    result = evaluate(detections, dataset)
    # Cats: true positive, false positive, true positive; the precision at full recall is 2 / 3.
    assert result.classes[0].ap_area == pytest.approx((1 + 2 / 3) / 2)
    assert result.map_area == pytest.approx(((1 + 2 / 3) / 2 + 1) / 2)
    assert evaluate(detections, dataset, iou=1.0).map_area < result.map_area
    assert sppdet.evaluate is evaluate


@pytest.mark.parametrize("workers", [1, 2])
def test_of_a_detector(detector: Detector, scenes, workers: int):
    dataset = read_dataset(scenes, "test", classes=detector.classes)
    threads, steps = torch.get_num_threads(), []
    result = evaluate(detector, dataset, workers=workers, progress=lambda: steps.append(1))
    detections, _ = detect_all(detector, dataset.images)
    wanted = evaluate_voc(detections, dataset.all_annotations(), dataset.classes)
    assert result.to_json() == wanted.to_json()
    assert len(steps) == len(dataset)
    assert torch.get_num_threads() == threads


def test_an_unreadable_image_is_a_warning(detector: Detector, make_folder):
    name = detector.classes[0]
    dataset = read_dataset(make_folder({"a": [(name, 5, 5, 50, 50)], "b": []}))
    dataset.images[1].write_text("no image")
    with pytest.warns(UserWarning, match=r"1 of 2 images .*b\.png"):
        assert evaluate(detector, dataset).classes[0].truths == 1


def test_what_cannot_be_evaluated(detector: Detector, make_folder):
    dataset = read_dataset(make_folder({"a": [("emu", 5, 5, 50, 50)]}))
    with pytest.raises(SppdetError, match="no class is the same"):
        evaluate(detector, dataset)
    with pytest.raises(ValueError, match="2 entries of detections for 1 image"):
        evaluate([found(), found()], dataset)
    with pytest.raises(ValueError, match="iou"):
        evaluate([found()], dataset, iou=0)
    with pytest.raises(ValueError, match="workers"):
        evaluate(detector, dataset, workers=0)
    with pytest.raises(TypeError, match="read_dataset"):
        evaluate([found()], dataset.path)
    with pytest.raises(SppdetError, match="no annotated object"):
        evaluate([found()], read_dataset(make_folder({"a": []}, "bare")))
