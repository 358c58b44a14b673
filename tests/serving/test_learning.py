"""The training in the background: incremental, honest, and handed over as a file."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sppdet.boxes import as_boxes, iou
from sppdet.detector import Detector
from sppdet.serving.ahead import LEAST, Ahead
from sppdet.serving.learning.exchange import Learned, put, take
from sppdet.serving.learning.folding import Honest, fold
from sppdet.serving.learning.learner import FEWEST, Learner
from sppdet.serving.learning.lessons import Lesson
from sppdet.serving.neighbours import SHOWN, LabelledObjects
from sppdet.serving.prepared import PreparedPhotos
from sppdet.serving.uncertainty import uncertainty
from sppdet.training.unseen import FOLDS


def lesson(scenes: Any, name: str, keep: int | None = None, annotated: bool = True) -> Lesson:
    objects = [(one["label"], tuple(one["box"]), False) for one in scenes.truths[name][:keep]]
    return Lesson(scenes.folder / name, objects, annotated, [])


def lessons(scenes: Any, count: int) -> dict[int, Lesson]:
    return {k: lesson(scenes, name) for k, name in enumerate(sorted(scenes.truths)[:count])}


@pytest.fixture
def learner(scenes12: Any, photos: PreparedPhotos) -> Learner:
    return Learner(photos, scenes12.classes)


@torch.inference_mode()
def test_a_changed_photograph_gives_new_examples_and_no_other_does(
    learner: Learner, scenes12: Any
) -> None:
    learner.change(lessons(scenes12, 8))
    assert learner.learn()
    assert learner.examples is not None
    own = learner.examples[0]
    before = {k: own.regions[own.images == k] for k in range(8)}
    positives = int((own.signs > 0).sum())
    name = sorted(scenes12.truths)[7]
    learner.change({7: Lesson(scenes12.folder / name, [], True, [])})
    assert learner.learn()
    own = learner.examples[0]
    assert not ((own.images == 7) & (own.signs > 0)).any()
    for k in range(7):  # easy negatives may have gone, hard ones may have come
        now = own.regions[(own.images == k) & (own.signs > 0)]
        assert set(now) <= set(before[k])
    assert int((own.signs > 0).sum()) <= positives
    rows = own.take(np.arange(len(own))).float()
    assert np.allclose(own.gram, (rows @ rows.T).numpy(), rtol=2e-2, atol=0.5)
    learner.change({7: Lesson(scenes12.folder / name, [], False, [])})
    learner.learn()
    assert 7 not in learner.examples[0].images


@torch.inference_mode()
def test_a_rejected_box_becomes_a_negative(learner: Learner, scenes12: Any) -> None:
    learner.change(lessons(scenes12, 5))
    learner.learn()
    name = sorted(scenes12.truths)[6]
    truth = scenes12.truths[name][0]  # it scores high, so that it is no easy negative
    label = scenes12.classes.index(truth["label"])
    rejected = [(truth["label"], tuple(truth["box"]))]
    learner.change({6: Lesson(scenes12.folder / name, [], False, rejected)})
    learner.learn()
    assert learner.examples is not None
    of_class = [int((learner.examples[k].images == 6).sum()) for k in range(len(scenes12.classes))]
    assert of_class[label] == 1
    assert sum(of_class) == 1
    own = learner.examples[label]
    own.keep(own.images != 6)  # as if it had been easy
    learner.learn()
    assert 6 in own.images


@torch.inference_mode()
def test_the_photograph_in_work_is_no_background_yet(learner: Learner, scenes12: Any) -> None:
    learner.change(lessons(scenes12, 6))
    learner.learn(in_work=5)
    assert learner.examples is not None
    everything = [learner.examples[k] for k in range(len(scenes12.classes))]
    assert not any(((one.images == 5) & (one.signs < 0)).any() for one in everything)
    assert any(((one.images == 5) & (one.signs > 0)).any() for one in everything)
    learner.change({})
    learner.learn(in_work=0)
    everything = [learner.examples[k] for k in range(len(scenes12.classes))]
    assert any(((one.images == 5) & (one.signs < 0)).any() for one in everything)


@torch.inference_mode()
def test_nothing_is_learned_from_too_few_objects(learner: Learner, scenes12: Any) -> None:
    name = sorted(scenes12.truths)[0]
    learner.change({0: lesson(scenes12, name, keep=1)})
    assert len(learner.lessons[0].objects) < FEWEST
    assert not learner.learn()


@torch.inference_mode()
def test_folds_calibrate_and_tell_only_what_they_know(
    learner: Learner, scenes12: Any, tmp_path: Path
) -> None:
    learner.change(lessons(scenes12, 12))
    assert learner.learn()
    steps = list(fold(learner))
    honest = steps[-1]
    assert isinstance(honest, Honest)
    assert all(step is None for step in steps[:-1])
    assert learner.regression is not None
    assert learner.calibration is not None
    content = honest.to_json()
    counts = dict(zip(scenes12.classes, learner.objects().tolist(), strict=True))
    enough = {name for name, count in counts.items() if count >= 10}
    assert set(content["classes"] if content else ()) == enough
    assert honest.enough == (len(enough) == sum(count > 0 for count in counts.values()))
    kept = learner.card["folds"]["classes"]  # type: ignore[index]
    for one in honest.result.classes:
        assert 0 <= one.scores.min() <= one.scores.max() <= 1
        shown = one.scores >= honest.thresholds[one.name]
        f1 = 2 * (one.hits & shown).sum() / (shown.sum() + one.truths)
        assert f1 == pytest.approx(kept[one.name]["f1"], abs=1e-4)
        assert one.ap_11 == pytest.approx(kept[one.name]["ap_11"], abs=1e-6)
    detector = learner.detector()
    put(tmp_path / "learned.safetensors", Learned(detector, learner.folds))
    taken = take(tmp_path / "learned.safetensors", learner.photos)
    same = taken.detector
    assert len(taken.folds) == len(learner.folds) == FOLDS
    for given, own in zip(taken.folds, learner.folds, strict=True):
        assert torch.equal(given.weight, own.weight)
        assert torch.equal(given.bias.isnan(), own.bias.isnan())
    path = scenes12.folder / sorted(scenes12.truths)[0]
    one, other = detector.detect(path), same.detect(path)
    assert one.boxes.tolist() == other.boxes.tolist()
    assert one.scores.tolist() == other.scores.tolist()


NOT = float("nan")


@pytest.mark.parametrize(
    ("likely", "of_folds", "expected"),
    [
        ([], None, 0.0),
        ([0.5], None, 0.25),
        ([0.5, 1.0, 0.1], None, 0.34),
        ([0.5], [[0.5], [0.5], [0.5]], 0.25),
        ([0.5], [[0.0], [0.0], [1.0]], 0.25 + 2 / 9),
        ([1.0], [[0.6], [NOT], [0.4]], 0.01),  # a fold without the class
        ([1.0], [[NOT], [NOT], [NOT]], 0.0),
        ([0.5] * 12, [[0.0] * 10, [1.0] * 10], 10 * 0.5),  # the likeliest ten
    ],
)
def test_uncertainty_is_variance_and_disagreement(
    likely: list[float], of_folds: list[list[float]] | None, expected: float
) -> None:
    folds = None if of_folds is None else np.array(of_folds, np.float32)
    assert uncertainty(np.array(likely, np.float32), folds) == pytest.approx(expected, abs=1e-6)


@torch.inference_mode()
def test_folds_that_disagree_make_a_photograph_teach_more(
    learner: Learner, scenes12: Any, photos: PreparedPhotos
) -> None:
    learner.change(lessons(scenes12, 8))
    assert learner.learn()
    detector = learner.detector()
    images = [scenes12.folder / name for name in sorted(scenes12.truths)]
    ahead = Ahead(images, photos)
    scorer = learner.scorer
    assert scorer is not None
    against = replace(scorer, weight=-scorer.weight, bias=-scorer.bias)
    found = []
    for generation, folds in enumerate([(), (scorer, scorer), (scorer, against)], 1):
        ahead.use(generation, Learned(detector, folds))
        found.append(ahead.suggestion(10))
    assert found[0].boxes == found[2].boxes
    assert found[0].uncertainty == pytest.approx(found[1].uncertainty)
    assert found[2].uncertainty > found[1].uncertainty + 0.01


@torch.inference_mode()
def test_the_first_suggestions_do_not_wait_for_a_search_of_the_other_photographs(
    learner: Learner, scenes12: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sppdet.serving.learning.learner.MINED", 3)
    given = lessons(scenes12, 10)
    learner.change(given)
    assert learner.learn()
    seen: list[int] = []
    view = learner.view
    monkeypatch.setattr(learner, "view", lambda index: seen.append(index) or view(index))
    learner.change({4: given[4]})
    assert learner.learn()
    assert set(seen) == {4}
    seen.clear()
    steps = fold(learner)
    next(steps)
    assert len(set(seen)) == len(seen) == 3
    assert 4 not in seen
    before = set(seen)
    seen.clear()
    next(fold(learner))
    assert not before & set(seen)  # the ones that were searched longest ago come first


@torch.inference_mode()
def test_choices_are_the_proposals_scored_and_moved(
    learner: Learner, scenes12: Any, photos: PreparedPhotos
) -> None:
    learner.change(lessons(scenes12, 8))
    assert learner.learn()
    path = scenes12.folder / sorted(scenes12.truths)[10]
    ahead = Ahead([path], photos)
    assert ahead.choices(0) is None
    ahead.use(1, Learned(learner.detector()))
    raw = ahead.choices(0)
    assert raw is not None
    assert raw.boxes.tolist() == photos.proposals(path).tolist()
    for _ in fold(learner):
        pass
    assert learner.regression is not None
    detector = learner.detector()
    ahead.use(2, Learned(detector))
    moved = ahead.choices(0)
    assert moved is not None
    rows = np.flatnonzero(moved.scores >= LEAST)
    others = np.flatnonzero(moved.scores < LEAST)
    assert len(rows)
    assert moved.boxes[others].tolist() == raw.boxes[others].tolist()
    photo = photos.get(path)
    regions = photo.regions(photos.extractor, photo.proposals)
    best = int(np.argmax(moved.scores))
    features = regions.features(regions.keys[[best]])
    score = detector.scorer.score(features).numpy()[0]
    likely = [
        float(detector.scorer.probabilities(score[[label]], np.array([label]))[0])
        for label in range(len(scenes12.classes))
    ]
    assert moved.scores[best] == pytest.approx(max(likely), abs=1e-3)
    label = np.array([int(np.argmax(likely))])
    wanted = learner.regression.move(regions, photo.proposals, label, np.array([best]), photo.size)
    assert moved.boxes[best] == pytest.approx(wanted[0], abs=0.1)


def until(condition: Any, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.2)


def test_labels_become_suggestions_a_model_and_a_report(running: Any, scenes12: Any) -> None:
    client = running.client
    running.trainer.start()
    running.ahead.start()
    for label in scenes12.classes:
        client.post("/api/classes", json={"name": label})
    names = sorted(scenes12.truths)
    for index in range(10):
        running.put(index, scenes12.truths[names[index]])
    until(lambda: client.get("/api/status").json()["generation"] >= 1)
    status = client.get("/api/status").json()
    assert status["labelled"] == 10
    assert status["objects"] == sum(len(scenes12.truths[name]) for name in names[:10])
    assert status["seconds"] > 0
    until(lambda: not client.get("/api/status").json()["training"])
    found = client.get("/api/photos/11/suggestions").json()
    assert found["generation"] >= 1
    truths = as_boxes([one["box"] for one in scenes12.truths[names[11]]])
    boxes = as_boxes([one["box"] for one in found["boxes"]])
    assert (iou(truths, boxes).max(axis=1, initial=0) > 0.5).any()
    scores = client.get("/api/photos/11/proposals").json()
    assert len(scores["scores"]) == len(scores["boxes"])
    assert 0 <= min(scores["scores"]) <= max(scores["scores"]) <= 1
    saved = client.post("/api/model", json={"file": "fruit"}).json()["file"]
    assert Path(saved) == scenes12.folder.resolve() / "fruit.safetensors"
    assert Detector.load(saved).classes == tuple(scenes12.classes)
    picture = (scenes12.folder / names[11]).read_bytes()
    tried = client.post("/api/try", content=picture)
    assert tried.json()["classes"] == scenes12.classes
    assert client.post("/api/try", content=b"no picture").status_code == 400
    until(lambda: client.get("/api/report").status_code == 200)
    assert "Labelled photographs" in client.get("/api/report").text
    assert running.ahead.uncertainty().keys() >= {10, 11}
    assert client.get("/api/folder").json()["explains"]
    given = {"label": scenes12.classes[0], "box": scenes12.truths[names[11]][0]["box"]}
    why = client.post("/api/photos/11/explain", json=given).json()
    assert len(why["parts"]) == sum(level * level for level in why["levels"])
    assert why["score"] == pytest.approx(why["bias"] + sum(why["parts"]), abs=1e-4)
    assert 0 <= why["window"][0] < why["window"][2] <= why["map"][1]
    near = why["neighbours"]
    assert why["compared"] == sum(len(scenes12.truths[name]) for name in names[:10])
    assert [one["positive"] for one in near] == [one["label"] == given["label"] for one in near]
    assert all(0 < one["similarity"] <= 1 for one in near)
    assert near[0]["box"] in [one["box"] for one in scenes12.truths[names[near[0]["photo"]]]]
    for wrong in ({**given, "label": "nobody"}, {**given, "box": [9, 9, 1, 1]}, {"box": "all"}):
        answer = client.post("/api/photos/11/explain", json=wrong)
        assert (answer.status_code, set(answer.json())) == (400, {"error"})


def cosines(running: Any, scenes: Any, photos: PreparedPhotos, feature: torch.Tensor) -> dict:
    """Of all labelled objects, the slow and obvious way: photograph and place, similarity."""
    found = {}
    for index, name in enumerate(sorted(scenes.truths)):
        photo = photos.get(scenes.folder / name)
        for place, one in enumerate(scenes.truths[name]):
            regions = photo.regions(photos.extractor, as_boxes([one["box"]]))
            other = regions.features(regions.keys)[0]
            cosine = torch.dot(feature, other) / (feature.norm() * other.norm())
            found[index, place] = float(cosine)
    return found


def test_the_nearest_objects_are_those_of_the_slow_search(
    running: Any, scenes12: Any, photos: PreparedPhotos, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = sorted(scenes12.truths)
    for label in scenes12.classes:
        running.client.post("/api/classes", json={"name": label})
    for index, name in enumerate(names):
        running.put(index, scenes12.truths[name])
    objects = LabelledObjects(running.session, photos)
    own = scenes12.truths[names[4]][0]
    photo = photos.get(scenes12.folder / names[4])
    regions = photo.regions(photos.extractor, as_boxes([own["box"]]))
    with torch.inference_mode():
        everything = cosines(running, scenes12, photos, regions.features(regions.keys)[0])
        found = objects.nearest(4, own["label"], own["box"])
    wanted = []
    for same in (True, False):
        kind = [
            (index, place)
            for index, place in everything
            if (scenes12.truths[names[index]][place]["label"] == own["label"]) is same
            and (index, place) != (4, 0)
        ]
        wanted += sorted(kind, key=lambda one: -everything[one])[:SHOWN]
    similar = [one["similarity"] for one in found["neighbours"]]
    assert similar == pytest.approx([everything[one] for one in wanted], abs=2e-3)
    assert found["compared"] == len(everything) - 1
    running.put(7, [])  # its objects are gone
    left = objects.nearest(4, own["label"], own["box"])
    assert left["compared"] == found["compared"] - len(scenes12.truths[names[7]])
    assert 7 not in [one["photo"] for one in left["neighbours"]]
    fresh = LabelledObjects(running.session, photos)
    monkeypatch.setattr("sppdet.serving.neighbours.PATIENCE", -1.0)
    assert fresh.nearest(4, own["label"], own["box"]) == {"neighbours": [], "compared": 0}
