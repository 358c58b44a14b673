import sys
from pathlib import Path

import numpy as np
import pytest

from sppdet.evaluation.intervals import bootstrap, compare, compare_classes
from sppdet.evaluation.voc import evaluate_voc

sys.path.insert(0, str(Path(__file__).parent))
from test_voc import CLASSES, random_case


def slow_samples(found, annotations, samples, seed):
    """The same draws, but with the drawn images really laid side by side and evaluated."""
    random = np.random.default_rng(seed)
    count = len(found)
    weights = random.multinomial(count, np.full(count, 1 / count), size=samples)
    for row in weights:
        chosen = np.repeat(np.arange(count), row)
        yield evaluate_voc([found[i] for i in chosen], [annotations[i] for i in chosen], CLASSES)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equals_evaluating_drawn_images(seed):
    found, annotations = random_case(seed, images=30, levels=10**6)
    intervals = bootstrap(evaluate_voc(found, annotations, CLASSES), 30, samples=60, seed=seed)
    drawn = list(slow_samples(found, annotations, 60, seed))
    for measure in ("map_11", "map_area"):
        low, high = np.percentile([getattr(result, measure) for result in drawn], [2.5, 97.5])
        assert intervals[measure].low == pytest.approx(low, abs=1e-9)
        assert intervals[measure].high == pytest.approx(high, abs=1e-9)
    own = [result.classes[1].ap_area for result in drawn]
    own = [value for value in own if value is not None]
    assert intervals["dog"].high == pytest.approx(np.percentile(own, 97.5), abs=1e-9)


def test_the_interval_covers_the_figure_and_narrows_with_images():
    widths = []
    for images in (20, 320):
        found, annotations = random_case(0, images=images)
        result = evaluate_voc(found, annotations, CLASSES)
        interval = bootstrap(result, images, 500)["map_area"]
        assert interval.low < result.map_area < interval.high
        widths.append(interval.high - interval.low)
    assert widths[1] < widths[0] / 2


def test_comparison_with_itself_and_with_a_worse_one():
    found, annotations = random_case(3, images=100)
    result = evaluate_voc(found, annotations, CLASSES)
    same = compare(result, result, 100, 200)["map_area"]
    assert (same.difference, same.low, same.high, same.better) == (0, 0, 0, 0.5)
    assert "do not show" in same.verdict()
    half = [f.select(slice(None, None, 2)) for f in found]
    worse = evaluate_voc(half, annotations, CLASSES)
    change = compare(result, worse, 100, 200)["map_area"]
    assert change.difference == pytest.approx(worse.map_area - result.map_area)
    assert change.low <= change.difference <= change.high < 0
    assert change.better < 0.025
    assert change.verdict() == "A is better than B"
    assert compare(worse, result, 100, 200)["map_11"].verdict() == "B is better than A"


def test_nothing_found():
    found, annotations = random_case(0)
    nothing = [f.select(slice(0, 0)) for f in found]
    interval = bootstrap(evaluate_voc(nothing, annotations, CLASSES), len(found), 50)["map_area"]
    assert (interval.low, interval.high) == (0, 0)


def test_differences_of_classes_are_those_of_the_same_drawn_images():
    found, annotations = random_case(5, images=25, levels=10**6)
    half = [f.select(slice(None, None, 2)) for f in found]
    a, b = (evaluate_voc(one, annotations, CLASSES) for one in (found, half))
    means, classes = compare_classes(a, b, 25, samples=40, seed=3)
    assert means == compare(a, b, 25, samples=40, seed=3)
    drawn = [list(slow_samples(one, annotations, 40, 3)) for one in (found, half)]
    for k, (one, other) in enumerate(zip(a.classes, b.classes, strict=True)):
        if not one.truths:
            assert one.name not in classes
            continue
        pairs = [(x.classes[k].ap_area, y.classes[k].ap_area) for x, y in zip(*drawn, strict=True)]
        changes = [y - x for x, y in pairs if x is not None]
        low, high = np.percentile(changes, [2.5, 97.5])
        change = classes[one.name]
        assert change.difference == pytest.approx(other.ap_area - one.ap_area)
        assert (change.low, change.high) == pytest.approx((low, high), abs=1e-9)
