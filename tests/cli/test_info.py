"""``sppdet info``: the card of a detector."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sppdet.cli import main
from sppdet.detector import Detector
from sppdet.features.rcnn import RcnnRegionFeatures
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.linear import LinearScorer
from sppdet.settings import RcnnSettings, SppSettings
from sppdet.trunks import Trunk


def call(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)


def test_the_card_of_a_training(
    model_file: Path, detector: Detector, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("info", model_file, "--json", tmp_path / "card.json") == 0
    shown = capsys.readouterr()
    text = shown.out + shown.err
    card = json.loads((tmp_path / "card.json").read_text())
    folds = card["card"]["folds"]
    assert 0.5 < folds["map_11"] <= 1
    assert f"{folds['map_11']:.3f} (11 points)" in text
    assert card["card"]["data"]["images"] == 80
    for name, threshold in zip(detector.classes, detector.thresholds, strict=True):
        assert name in text
        assert card["thresholds"][name] == threshold
        assert folds["classes"][name]["threshold"] == pytest.approx(threshold, abs=1e-4)
        assert folds["classes"][name]["objects"] > 0


@pytest.mark.parametrize(
    ("make", "words", "values"),
    [
        (
            lambda trunk: SppRegionFeatures(trunk, SppSettings((320, 480))),
            "features: SPP-net, scales 320,480 px, longer side at most 2000 px; pyramid levels "
            "1,2,3,6 (50 bins), max pooling; window mapping paper",
            {"levels": [1, 2, 3, 6], "pooling": "max", "mapping": "paper", "scales": [320, 480]},
        ),
        (
            lambda trunk: SppRegionFeatures(
                trunk, SppSettings((400,), 900, (1, 4), True, "average", "code")
            ),
            "features: SPP-net, scales 400 px, longer side at most 900 px; pyramid levels 1,4 (17 "
            "bins), average pooling, each level scaled to norm 1; window mapping code",
            {"levels": [1, 4], "pooling": "average", "mapping": "code", "scales": [400]},
        ),
        (
            lambda trunk: RcnnRegionFeatures(trunk, RcnnSettings(160, 12, "tight", (1, 2))),
            "features: R-CNN, tight crops of 160 px, context 12 px; pyramid levels 1,2 (5 bins), "
            "max pooling",
            {"levels": [1, 2], "pooling": "max", "size": 160, "context": 12, "mode": "tight"},
        ),
    ],
)
def test_the_settings_of_the_features(
    make: Callable[[Trunk], SppRegionFeatures | RcnnRegionFeatures],
    words: str,
    values: dict,
    detector: Detector,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A figure of a model says little without its pyramid, its pooling and its windows."""
    extractor = make(detector.extractor.trunk)
    weight, fits = torch.zeros(1, extractor.dimension), np.ones((1, 2), np.float32)
    scorer = LinearScorer(weight, torch.zeros(1), fits)
    Detector(extractor, scorer, ("apple",)).save(tmp_path / "one.safetensors")
    assert call("info", tmp_path / "one.safetensors", "--json", tmp_path / "one.json") == 0
    shown = capsys.readouterr()
    assert words in (shown.out + shown.err).splitlines()
    features = json.loads((tmp_path / "one.json").read_text())["features"]
    assert values.items() <= features.items()
    assert ("mapping" in features) == (features["method"] == "spp")


def test_a_detector_without_a_card(
    detector: Detector, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = Detector(detector.extractor, detector.scorer, detector.classes)
    plain.save(tmp_path / "plain.safetensors")
    assert call("info", tmp_path / "plain.safetensors") == 0
    shown = capsys.readouterr()
    assert "no figures of folds are stored" in shown.out + shown.err


@pytest.mark.parametrize("content", [None, b"no model"])
def test_what_is_no_detector_is_one_line(
    tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other"
    if content is not None:
        path.write_bytes(content)
    assert call("info", path) == 2
    error = capsys.readouterr().err
    assert str(path) in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "card", [{"data": 3}, {"data": {}}, {"folds": {"classes": 1}}, {"folds": 1}, {"folds": []}]
)
def test_a_card_that_makes_no_sense_is_one_line(
    card: dict, detector: Detector, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = Detector(detector.extractor, detector.scorer, detector.classes, card=card)
    odd.save(tmp_path / "odd.safetensors")
    code = call("info", tmp_path / "odd.safetensors")
    said = capsys.readouterr().err
    assert code == 2
    assert "its card is not one that training writes" in said
