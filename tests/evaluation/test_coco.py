import contextlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sppdet.datasets import read_dataset
from sppdet.detections import Detections
from sppdet.evaluation.coco import FIGURES, evaluate_coco
from sppdet.evaluation.export import export
from sppdet.evaluation.results import read_results
from sppdet.evaluation.voc import evaluate_voc

sys.path.insert(0, str(Path(__file__).parent))
from slow_voc import overlap


def perturbed(dataset, seed=0):
    """Predictions made from the truth: shaken, some lost, some doubled, some invented."""
    random = np.random.default_rng(seed)
    result = []
    for index in range(len(dataset.images)):
        truth = dataset.annotations(index)
        rows = np.flatnonzero((random.random(len(truth)) < 0.85) & ~truth.crowd)
        rows = np.concatenate([rows, rows[random.random(len(rows)) < 0.15]])
        sides = np.tile(truth.boxes[rows, 2:] - truth.boxes[rows, :2], 2)
        boxes = truth.boxes[rows] + sides * random.normal(0, 0.09, (len(rows), 4))
        labels = truth.labels[rows]
        extra = random.uniform(0, 400, (3, 2))
        boxes = np.concatenate([boxes, np.concatenate([extra, extra + 80], axis=1)])
        labels = np.append(labels, random.integers(0, len(dataset.classes), 3))
        scores = np.append(random.beta(3, 1, len(rows)), random.beta(1, 3, 3))
        result.append(Detections(boxes, labels, scores, dataset.classes))
    return result


def direct(annotation_file, result_file):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotation_file))
        judge = COCOeval(truth, truth.loadRes(str(result_file)), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge


@pytest.fixture(scope="module")
def coco128(shared_data):
    return read_dataset(shared_data / "coco128")


def test_equals_pycocotools_called_directly(coco128, tmp_path):
    found = perturbed(coco128)
    file = tmp_path / "results.json"
    export(file, "coco", coco128, found)
    wanted = direct(coco128.annotation_file, file).stats
    for figures in (
        evaluate_coco(coco128, found),
        evaluate_coco(coco128, [], read_results(file, coco128).records),
    ):
        for name, value in zip(FIGURES, wanted, strict=True):
            assert figures[name] == pytest.approx(value, abs=1e-12)
    assert 0.3 < wanted[0] < 0.9


def test_area_ap_is_near_ap50_of_pycocotools(coco128, tmp_path):
    """What is left is explained by the two tests that follow."""
    found = perturbed(coco128)
    file = tmp_path / "results.json"
    export(file, "coco", coco128, found)
    ap50 = direct(coco128.annotation_file, file).stats[1]
    own = evaluate_voc(found, coco128.all_annotations(), coco128.classes).map_area
    assert own == pytest.approx(ap50, abs=0.02)


def test_where_the_rest_comes_from(coco128):
    """Sampling pycocotools' own curve at all points instead of 101 moves it to our figure."""
    found = perturbed(coco128)
    result = evaluate_voc(found, coco128.all_annotations(), coco128.classes)
    coco = evaluate_coco(coco128, found)
    sampled = []
    for entry in result.classes:
        if entry.truths == 0:
            continue
        best = np.append(np.maximum.accumulate(entry.precision[::-1])[::-1], 0)
        points = np.searchsorted(entry.recall_curve, np.linspace(0, 1, 101), side="left")
        sampled.append(best[points].mean())
    assert abs(np.mean(sampled) - coco["AP50"]) < abs(result.map_area - coco["AP50"])
    assert np.mean(sampled) == pytest.approx(coco["AP50"], abs=0.002)


def matched_as_coco(dataset, found, label):
    """(score, hit) of every detection that counts: each takes the best truth still free."""
    table = []
    for entry, truth in zip(found, dataset.all_annotations(), strict=True):
        own = np.flatnonzero(truth.labels == label)
        free = {int(k) for k in own if not truth.crowd[k]}
        for row in np.flatnonzero(entry.labels == label):
            box = entry.boxes[row].astype(float)
            overlaps = {k: overlap(box, truth.boxes[k].astype(float)) for k in free}
            best = max(overlaps, key=overlaps.get, default=None)
            if best is not None and overlaps[best] >= 0.5:
                free.remove(best)
                table.append((entry.scores[row], True))
                continue
            crowds = [truth.boxes[k].astype(float) for k in own if truth.crowd[k]]
            if not any(overlap(box, crowd, of_first=True) >= 0.5 for crowd in crowds):
                table.append((entry.scores[row], False))
    return sorted(table, key=lambda pair: -pair[0])


@pytest.mark.parametrize("seed", range(3))
def test_matching_and_101_points_are_the_whole_difference(coco128, seed):
    """Our AP with COCO's matching and its 101 points equals pycocotools' AP50."""
    found = perturbed(coco128, seed)
    values = []
    for label in range(len(coco128.classes)):
        counts = [a.labels[~a.crowd] == label for a in coco128.all_annotations()]
        truths = int(np.concatenate(counts).sum())
        if truths == 0:
            continue
        hits = np.array([hit for _, hit in matched_as_coco(coco128, found, label)], bool)
        reached = np.cumsum(hits)
        precision = reached / np.arange(1, len(hits) + 1)
        best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0)
        values.append(best[np.searchsorted(reached / truths, np.linspace(0, 1, 101))].mean())
    assert np.mean(values) == pytest.approx(evaluate_coco(coco128, found)["AP50"], abs=1e-9)


def test_no_detections_give_zeros(coco128):
    nothing = [Detections([], [], [], coco128.classes) for _ in coco128.images]
    figures = evaluate_coco(coco128, nothing)
    assert figures["AP"] == figures["AR_100"] == 0
    assert figures["classes"]["person"] == {"AP": 0, "AP50": 0}


def test_voc_data_without_flaws_get_the_same_ap50_both_ways(shared_data):
    dataset = read_dataset(shared_data / "fruit", "test")
    found = perturbed(dataset)
    figures = evaluate_coco(dataset, found)
    own = evaluate_voc(found, dataset.all_annotations(), dataset.classes)
    assert figures["AP50"] == pytest.approx(own.map_area, abs=0.02)
    assert figures["AP"] < figures["AP50"]


def test_a_difficult_box_is_neither_found_nor_missed(make_folder):
    dataset = read_dataset(make_folder({"a": [("cat", 1, 1, 50, 50), ("cat", 60, 60, 90, 90, 1)]}))
    found = [Detections([[60, 60, 90, 90], [0, 0, 50, 50]], [0, 0], [0.9, 0.8], dataset.classes)]
    assert evaluate_coco(dataset, found)["AP"] == pytest.approx(1)
    assert json.dumps(evaluate_coco(dataset, found))
