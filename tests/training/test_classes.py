"""Fewer, renamed and joined classes: what stays is the same bit for bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sppdet.cli import main
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.connected import LayeredSvms, SoftmaxScorer
from sppdet.heads.layers import Layers
from sppdet.heads.linear import LinearScorer
from sppdet.heads.regression import BoxRegression
from sppdet.settings import DetectorSettings, SelectionSettings, SppSettings
from sppdet.training.classes import merge_detectors, remove_classes, rename_class
from sppdet.trunks import load_trunk

IMAGE = np.random.default_rng(0).integers(0, 255, (90, 140, 3)).astype(np.uint8)
BOXES = np.array([[5, 5, 60, 70], [20, 10, 130, 80], [70, 3, 138, 50]], np.float32)
SETTINGS = DetectorSettings(max_boxes=77)


def folds(classes: tuple[str, ...], seed: int) -> dict[str, Any]:
    one = {"objects": 30, "ap_area": 0.5, "threshold": 0.3, "f1": 0.6}
    figures = {name: {**one, "ap_11": 0.1 * (k + seed)} for k, name in enumerate(classes)}
    means = {"map_11": float(np.mean([v["ap_11"] for v in figures.values()])), "map_area": 0.5}
    return {"folds": 3, "images": 9, "iou": 0.5, **means, "classes": figures}


def made(
    classes: tuple[str, ...],
    seed: int = 0,
    regression: bool = True,
    scales: tuple[int, ...] = (128,),
    settings: DetectorSettings = SETTINGS,
    trunk: str = "small",
) -> Detector:
    extractor = SppRegionFeatures(load_trunk(trunk), SppSettings(scales, levels=(1, 2)))
    random, count = torch.Generator().manual_seed(seed), len(classes)
    scorer = LinearScorer(
        torch.randn(count, extractor.dimension, generator=random) * 0.1,
        torch.randn(count, generator=random),
        np.random.default_rng(seed).random((count, 2)).astype(np.float32) + 0.5,
    )
    weight = torch.randn(4 * count, extractor.dimension, generator=random) * 0.005
    boxes = BoxRegression(weight, torch.randn(4 * count, generator=random) * 0.01)
    thresholds = tuple(0.1 + 0.01 * (seed + k) for k in range(count))
    data = {"name": f"set{seed}", "digest": "0" * 16, "images": 9, "objects": 30}
    card = {"version": "0.2.0", "date": "2026-01-01", "data": data, "folds": folds(classes, seed)}
    own = boxes if regression else None
    return Detector(extractor, scorer, classes, settings, own, thresholds, card)


def parts(detector: Detector, name: str) -> list[bytes]:
    """Everything that belongs to one class, as bytes."""
    label = detector.classes.index(name)
    tensors = {**detector.scorer.tensors()}
    if detector.regression is not None:
        tensors |= detector.regression.tensors()
    rows = [tensors[key][label].numpy().tobytes() for key in sorted(tensors)]
    return [*rows, np.float64(detector.thresholds[label]).tobytes()]


def saved(detector: Detector, path: Path) -> Detector:
    detector.save(path)
    return Detector.load(path, "cpu")


def test_a_merged_detector_has_the_parts_of_both(tmp_path: Path) -> None:
    first, second = made(("cat", "owl"), 1), made(("fox", "elk", "emu"), 2)
    whole = saved(merge_detectors(first, second), tmp_path / "m.safetensors")
    assert whole.classes == ("cat", "owl", "fox", "elk", "emu")
    for one in (first, second):
        for name in one.classes:
            assert parts(whole, name) == parts(one, name)
        found, alone = (d.detect(IMAGE, boxes=BOXES) for d in (whole, one))
        own = found.select(np.isin(found.labels, [whole.classes.index(n) for n in one.classes]))
        assert [whole.classes[k] for k in own.labels] == [one.classes[k] for k in alone.labels]
        np.testing.assert_allclose(own.scores, alone.scores, atol=1e-5)
        np.testing.assert_allclose(own.boxes, alone.boxes, atol=1e-3)


@pytest.mark.parametrize("regressions", [(True, False), (False, True), (False, False)])
def test_a_detector_without_box_regression_moves_no_box(
    regressions: tuple[bool, bool], tmp_path: Path
) -> None:
    first, second = made(("cat",), 1, regressions[0]), made(("fox",), 2, regressions[1])
    whole = saved(merge_detectors(first, second), tmp_path / "m.safetensors")
    assert (whole.regression is None) == (regressions == (False, False))
    for one in (first, second):
        found, alone = (d.detect(IMAGE, boxes=BOXES) for d in (whole, one))
        own = found.select(found.labels == whole.classes.index(one.classes[0]))
        np.testing.assert_allclose(own.boxes, alone.boxes, atol=1e-3)


def test_what_was_joined_can_be_taken_apart(tmp_path: Path) -> None:
    first, second = made(("cat", "owl"), 1), made(("fox", "elk"), 2)
    whole = merge_detectors(first, second)
    again = saved(remove_classes(whole, second.classes), tmp_path / "a.safetensors")
    assert again.classes == first.classes
    assert [parts(again, n) for n in again.classes] == [parts(first, n) for n in first.classes]
    last = saved(remove_classes(whole, ["cat", "owl", "fox"]), tmp_path / "b.safetensors")
    assert last.classes == ("elk",)
    assert parts(last, "elk") == parts(second, "elk")


def test_the_card_says_what_came_when(tmp_path: Path) -> None:
    first, second = made(("cat", "owl"), 1), made(("fox", "elk"), 2)
    before = str(first.card)
    whole = rename_class(merge_detectors(first, second), "fox", "vixen")
    card = saved(remove_classes(whole, ["cat"]), tmp_path / "m.safetensors").card
    assert [one["what"] for one in card["history"]] == ["merged", "renamed", "removed"]
    merged, renamed, removed = card["history"]
    assert merged["data"]["name"] == "set2"
    assert list(merged["folds"]["classes"]) == ["vixen", "elk"]
    assert (renamed["old"], renamed["new"], removed["classes"]) == ("fox", "vixen", ["cat"])
    assert card["folds"]["map_11"] == pytest.approx(0.2)  # of the owl alone
    assert list(card["folds"]["classes"]) == ["owl"]
    assert all(one["date"] and one["version"] for one in card["history"])
    assert str(first.card) == before


def test_a_renamed_class_keeps_its_place(tmp_path: Path) -> None:
    detector = made(("cat", "owl", "fox"))
    other = saved(rename_class(detector, "owl", "a b/../猫"), tmp_path / "m.safetensors")
    assert other.classes == ("cat", "a b/../猫", "fox")
    for key, tensor in detector.scorer.tensors().items():
        assert torch.equal(tensor, other.scorer.tensors()[key])


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda d: remove_classes(d, ["dog"]), "no class 'dog'; it knows cat, owl"),
        (lambda d: remove_classes(d, ["cat", "owl"]), "no class would be left"),
        (lambda d: rename_class(d, "dog", "cow"), "no class 'dog'"),
        (lambda d: rename_class(d, "cat", "owl"), "has a class 'owl' already"),
        (lambda d: rename_class(d, "cat", " "), "is empty"),
        (lambda d: merge_detectors(d, made(("elk", "owl"))), "both have the class owl"),
        (
            lambda d: merge_detectors(d, made(("elk",), scales=(160,))),
            "scales is 128 in one and 160 in the other",
        ),
        (
            lambda d: merge_detectors(d, made(("elk",), settings=DetectorSettings("tiny", 99))),
            "proposals is fast in one and tiny in the other; max_boxes is 77 in one",
        ),
        (
            lambda d: merge_detectors(
                d, made(("elk",), settings=DetectorSettings("fast", 77, SelectionSettings(9)))
            ),
            "agree: max_candidates is 400 in one and 9 in the other; train both",
        ),
        (lambda d: merge_detectors(d, made(("elk",), trunk="lite0")), "trunks are small and lite0"),
    ],
)
def test_what_cannot_be_done_is_one_line(work: Any, words: str) -> None:
    with pytest.raises(SppdetError, match=words):
        work(made(("cat", "owl")))


@pytest.fixture
def layered() -> tuple[Detector, Detector]:
    """Detectors with SVMs on fc7, and with a softmax."""
    base = made(("cat", "owl"))
    size, generator = base.extractor.dimension, torch.Generator().manual_seed(0)
    tensors = {
        "connected.fc6.weight": torch.randn(16, size, generator=generator) * 0.1,
        "connected.fc6.bias": torch.zeros(16),
        "connected.fc7.weight": torch.randn(16, 16, generator=generator),
        "connected.fc7.bias": torch.zeros(16),
    }
    layers = Layers.restore(tensors)
    svms = LinearScorer(torch.randn(2, 16), torch.randn(2), np.ones((2, 2), np.float32))
    scorers = (
        LayeredSvms(layers, svms),
        SoftmaxScorer(layers, torch.randn(3, 16), torch.randn(3)),
    )
    one, other = (Detector(base.extractor, scorer, base.classes) for scorer in scorers)
    return one, other


def test_heads_with_common_layers(layered: tuple[Detector, Detector]) -> None:
    svms, softmax = layered
    assert rename_class(softmax, "cat", "lynx").classes == ("lynx", "owl")
    fewer = remove_classes(svms, ["cat"])
    assert torch.equal(
        fewer.scorer.tensors()["svm.weight"], svms.scorer.tensors()["svm.weight"][1:]
    )
    with pytest.raises(SppdetError, match=r"share layers.*--heads svm"):
        remove_classes(softmax, ["cat"])
    with pytest.raises(SppdetError, match="share layers"):
        merge_detectors(svms, made(("fox",), settings=DetectorSettings()))


def call(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, c, d, e = (tmp_path / f"{name}.safetensors" for name in "abcde")
    made(("cat", "owl"), 1).save(a)
    made(("fox",), 2).save(b)
    assert call("merge", a, b, "--output", c) == 0
    assert call("rename-class", c, "fox", "vixen", "-o", d) == 0
    assert call("remove-class", d, "cat", "owl", "-o", e) == 0
    assert Detector.load(e, "cpu").classes == ("vixen",)
    capsys.readouterr()
    assert call("info", d) == 0
    shown = capsys.readouterr()
    text = shown.out + shown.err
    assert "merged fox, trained on set2 (9 images)" in text
    assert "fox is now called vixen" in text
    assert text.count("on folds of 9 training images") == 2
    for words, message in (
        (["merge", a, "-o", e], "two or more"),
        (["merge", a, a, "-o", e], "both have the class cat"),
        (["remove-class", a, "cat", "-o", a], "is an input"),
        (["rename-class", a, "cow", "elk", "-o", e], "no class 'cow'"),
    ):
        assert call(*words) == 2
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1


def test_removing_a_class_corrects_the_figures_of_every_event() -> None:
    """The mean is that of what stays, and a class that comes again is told once."""
    detector = made(("a", "b", "c"))
    event = {"what": "added", "classes": ["b", "c"], "folds": folds(("b", "c"), 3)}
    detector.card = {**detector.card, "history": [event]}
    left = remove_classes(detector, ["b"])
    figures = left.card["history"][0]["folds"]
    assert list(figures["classes"]) == ["c"]
    assert figures["map_11"] == pytest.approx(folds(("b", "c"), 3)["classes"]["c"]["ap_11"])
    assert list(event["folds"]["classes"]) == ["b", "c"]
    assert remove_classes(left, ["c"]).card["history"][0]["folds"]["classes"] == {}
