"""``sppdet info``: the card of a detector."""

import json
from pathlib import Path

import pytest

from sppdet.cli import main
from sppdet.detector import Detector


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
