import sys
from pathlib import Path

import numpy as np
import pytest

from sppdet.detections import Detections
from sppdet.evaluation.errors import KINDS, analyse, operating_point
from sppdet.evaluation.voc import evaluate_voc

sys.path.insert(0, str(Path(__file__).parent))
from slow_voc import overlap
from test_voc import CLASSES, random_case, truths

GROUPS = [("cat", "dog")]
BOX = [0, 0, 40, 40]
CASES = {
    "duplicate": ([BOX, BOX], [0, 0]),
    "localisation": ([BOX, [20, 0, 60, 40]], [0, 0]),
    "similar class": ([BOX, BOX], [0, 1]),
    "other class": ([BOX, [10, 0, 50, 40]], [0, 2]),
    "background": ([BOX, [70, 70, 90, 90]], [0, 0]),
}


@pytest.mark.parametrize("kind", CASES)
def test_every_kind(kind):
    boxes, labels = CASES[kind]
    found = [Detections(boxes, labels, [0.9, 0.8], CLASSES)]
    errors = analyse(evaluate_voc(found, [truths([BOX], [0])], CLASSES), GROUPS)
    assert errors.kind.tolist() == [-1, KINDS.index(kind)]


@pytest.mark.parametrize("seed", range(4))
def test_kinds_equal_a_plain_loop(seed):
    found, annotations = random_case(seed, images=20)
    result = evaluate_voc(found, annotations, CLASSES)
    kind = analyse(result, GROUPS).kind
    match = result.matching
    for row in np.flatnonzero(match.outcome == 0):
        entry = annotations[match.found.images[row]]
        label = match.found.labels[row]
        own = similar = other = 0.0
        for box, name, crowd in zip(entry.boxes, entry.labels, entry.crowd, strict=True):
            value = overlap(match.found.boxes[row], box.astype(float))
            if name == label and not crowd:
                own = max(own, value)
            if name == label or {name, label} == {0, 1}:
                similar = max(similar, value)
            other = max(other, value)
        wanted = "background"
        wanted = "other class" if other >= 0.1 else wanted
        wanted = "similar class" if similar >= 0.1 else wanted
        wanted = "localisation" if own >= 0.1 else wanted
        wanted = "duplicate" if own >= 0.5 else wanted
        assert KINDS[kind[row]] == wanted
    assert (kind[match.outcome != 0] == -1).all()


def test_gains_say_where_ap_is_lost():
    """Half of the objects are found behind a background mistake; the others are badly placed."""
    found = [Detections([[70, 70, 90, 90], BOX], [0, 0], [0.9, 0.8], CLASSES)]
    found += [Detections([[25, 0, 65, 40]], [0], [0.7], CLASSES)]
    annotations = [truths([BOX], [0]), truths([BOX], [0])]
    result = evaluate_voc(found, annotations, CLASSES)
    assert result.map_area == pytest.approx(0.5 * 0.5)
    gains = analyse(result).gains
    assert gains["background"] == pytest.approx(0.5 - 0.25)
    assert gains["localisation"] == pytest.approx(0.5 * 2 / 3 + 0.5 * 2 / 3 - 0.25)
    assert gains["missed"] == pytest.approx(0.5 - 0.25)
    assert gains["duplicate"] == gains["other class"] == gains["similar class"] == 0


def test_top_counts_as_many_detections_as_truths():
    boxes = [[70, 70, 90, 90], BOX, BOX]
    found = [Detections(boxes, [0, 0, 0], [0.9, 0.8, 0.7], CLASSES)]
    annotations = [truths([BOX, [50, 0, 90, 40]], [0, 0])]
    top = analyse(evaluate_voc(found, annotations, CLASSES)).top["cat"]
    assert top == {**dict.fromkeys(KINDS, 0), "background": 1}


@pytest.mark.parametrize("seed", range(4))
def test_operating_point_equals_trying_every_threshold(seed):
    found, annotations = random_case(seed, levels=10)
    for entry in evaluate_voc(found, annotations, CLASSES).classes:
        best = 0.0
        for score in entry.scores:
            kept = entry.hits[entry.scores >= score]
            best = max(best, 2 * kept.sum() / (len(kept) + entry.truths))
        point = operating_point(entry)
        assert point["f1"] == pytest.approx(best)
        kept = entry.hits[entry.scores >= point["score"]]
        assert kept.mean() == pytest.approx(point["precision"])


def test_no_operating_point_without_hits():
    found = [Detections([[70, 70, 90, 90]], [0], [0.9], CLASSES)]
    result = evaluate_voc(found, [truths([BOX], [0])], CLASSES)
    assert [operating_point(entry) for entry in result.classes] == [None] * 3
