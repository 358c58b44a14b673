"""End to end on rendered scenes; the parts are tested in tests/training."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sppdet.datasets import read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.evaluation.evaluate import evaluate
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.connected import Connected, ConnectedSvms, SoftmaxScorer
from sppdet.heads.layers import LayeredRegions, Layers
from sppdet.heads.linear import LinearSvms
from sppdet.settings import ConnectedSettings, SppSettings, TrainSettings
from sppdet.training.train import TrainResult, train
from sppdet.trunks import build_trunk, load_trunk


def random_layers(inputs: int = 12, units: int = 6) -> Layers:
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random).half().float()

    return Layers((draw(units, inputs), draw(units, units)), (draw(units), draw(units)))


def test_the_layers_are_two_rectified_products() -> None:
    layers = random_layers()
    features = torch.randn(5, 12)
    hidden = (features @ layers.weights[0].T + layers.biases[0]).clamp_min(0)
    expected = (hidden @ layers.weights[1].T + layers.biases[1]).clamp_min(0)
    assert torch.allclose(layers(features), expected, atol=1e-5)
    assert (layers.inputs, layers.length) == (12, 6)


def test_the_file_keeps_the_layers_as_they_are() -> None:
    layers = random_layers()
    again = Layers.restore(layers.tensors())
    features = torch.randn(5, 12)
    assert torch.equal(again(features), layers(features))
    with pytest.raises(KeyError):
        Layers.restore({})
    wrong = {**layers.tensors(), "connected.fc7.bias": torch.zeros(7)}
    with pytest.raises(ValueError, match=r"fully connected layers have the shapes"):
        Layers.restore(wrong)


def test_regions_through_layers() -> None:
    trunk = build_trunk("small", None)
    extractor = SppRegionFeatures(trunk, SppSettings((96,), levels=(1,)))
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3)).astype(np.uint8)
    regions = extractor.prepare(image, np.float32([[0, 0, 60, 60], [30, 20, 120, 90]]))
    layers = random_layers(extractor.dimension)
    layered = LayeredRegions(regions, layers)
    assert (layered.count, layered.keys.tolist()) == (regions.count, regions.keys.tolist())
    expected = layers(regions.features(regions.keys))
    assert torch.equal(layered.features(regions.keys), expected)
    assert set(layered.to_arrays()) == set(regions.to_arrays())


def test_a_score_is_the_logarithm_of_the_softmax() -> None:
    layers = random_layers()
    scorer = SoftmaxScorer(layers, torch.randn(4, 6), torch.tensor([0.0, -torch.inf, 0.1, 0.2]))
    features = torch.randn(7, 12)
    scores = scorer.score(features)
    logits = layers(features) @ scorer.weight.T + scorer.bias
    assert torch.allclose(scores.exp(), logits.softmax(dim=1)[:, :3], atol=1e-6)
    assert torch.isinf(scores[:, 1]).all()
    found = scorer.probabilities(scores[:, 0].numpy(), np.zeros(7, np.int64))
    assert np.allclose(found, scores[:, 0].exp())
    assert scorer.classes == 3
    assert Connected().calibrate(scorer, []) is scorer


def test_wrong_tensors_are_refused() -> None:
    scorer = SoftmaxScorer(random_layers(), torch.zeros(3, 6), torch.zeros(3))
    with pytest.raises(ValueError, match=r"softmax on 6 values"):
        Connected().restore({**scorer.tensors(), "softmax.bias": torch.zeros(4)})
    with pytest.raises(ValueError, match=r"SVMs are for 5 values, not 6"):
        ConnectedSvms().restore({
            **scorer.layers.tensors(),
            "svm.weight": torch.zeros(2, 5),
            "svm.bias": torch.zeros(2),
            "calibration": torch.zeros(2, 2),
        })  # fmt: skip


# ---------------------------------------------------------------- trained

FEW = ConnectedSettings(units=256, components=256, epochs=6)
RECIPES = {"connected": Connected(FEW), "connected-svm": ConnectedSvms(Connected(FEW))}


@pytest.fixture(scope="module")
def trained(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, TrainResult]:
    patch = pytest.MonkeyPatch()
    patch.setenv("SPPDET_CACHE", str(tmp_path_factory.mktemp("cache")))
    extractor = SppRegionFeatures(load_trunk("small"), SppSettings((240,)))
    dataset = read_dataset(scenes, "train")
    settings = TrainSettings(calibration_images=20)
    try:
        return {
            name: train(dataset, extractor, settings, heads=recipe)
            for name, recipe in RECIPES.items()
        }
    finally:
        patch.undo()


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_fruit_is_found(trained: dict[str, TrainResult], scenes: Path, name: str) -> None:
    result = trained[name]
    dataset = read_dataset(scenes, "test", classes=result.detector.classes)
    assert (evaluate(result.detector, dataset).map_11 or 0) > 0.7
    assert result.failures == []
    assert min(result.examples.values()) > 50
    assert f"{name} heads, box regression" in repr(result.detector)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_saved_detector_finds_the_same(
    trained: dict[str, TrainResult], scenes: Path, tmp_path: Path, name: str
) -> None:
    detector = trained[name].detector
    detector.save(tmp_path / "m")
    again = Detector.load(tmp_path / "m", "cpu")
    image = read_dataset(scenes, "test").images[0]
    before, after = (one.detect(image) for one in (detector, again))
    assert np.array_equal(before.boxes, after.boxes)
    assert np.array_equal(before.scores, after.scores)
    assert len(before) > 0
    with pytest.raises(SppdetError, match=f"its heads are '{name}'"):
        Detector.load(tmp_path / "m", "cpu", heads=LinearSvms())


@pytest.mark.slow
def test_the_softmax_moves_boxes_by_its_own_regression(
    trained: dict[str, TrainResult], scenes: Path
) -> None:
    detector = trained["connected"].detector
    assert detector.regression is not None
    assert detector.regression.layers is not None
    dataset = read_dataset(scenes, "test", classes=detector.classes)
    with_regression = evaluate(detector, dataset).map_11 or 0
    bare = Detector(detector.extractor, detector.scorer, detector.classes, detector.settings)
    assert with_regression > (evaluate(bare, dataset).map_11 or 0) - 0.02


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_equal_seeds_give_equal_detectors_whatever_the_workers(tmp_path: Path, name: str) -> None:
    write_scenes(tmp_path / "few", 8, seed=5, size=(200, 150))
    few = read_dataset(tmp_path / "few")
    small = ConnectedSettings(units=32, components=64, epochs=2)
    connected = Connected(small)
    recipe = connected if name == "connected" else ConnectedSvms(connected)
    features = SppRegionFeatures(load_trunk("small"), SppSettings((120,), levels=(1, 2)))
    files = []
    for workers, seed in ((1, 0), (3, 0), (1, 1)):
        settings = TrainSettings(workers=workers, seed=seed, calibration_images=6)
        path = tmp_path / f"{workers}-{seed}"
        train(few, features, settings, heads=recipe).detector.save(path)
        files.append(path.read_bytes())
    assert files[0] == files[1]
    assert files[0] != files[2]
