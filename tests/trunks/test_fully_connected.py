import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from sppdet.boxes import as_boxes
from sppdet.detector import Detector, LinearHeads
from sppdet.errors import SppdetError
from sppdet.features.rcnn import RcnnRegionFeatures
from sppdet.features.scoring import linear_scores
from sppdet.features.spp import SppRegionFeatures
from sppdet.runtime.timing import Clock
from sppdet.settings import DetectorSettings, RcnnSettings, SppSettings
from sppdet.trunks import build_trunk, load_trunk, pool5_level
from sppdet.trunks.weights import Preprocessing, Weights

BUILDERS = {"alexnet": torchvision.models.alexnet, "vgg16": torchvision.models.vgg16}
UP_TO = {"alexnet": {"pool5": 0, "fc6": 3, "fc7": 6}, "vgg16": {"pool5": 0, "fc6": 2, "fc7": 5}}


def whole(name: str) -> nn.Module:
    """The classifier itself, without the dropout (it is in evaluation mode)."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return BUILDERS[name](num_classes=2).eval()


@pytest.mark.parametrize(
    ("name", "layer"),
    [("alexnet", "pool5"), ("alexnet", "fc6"), ("alexnet", "fc7"), ("vgg16", "fc6")],
)
def test_rcnn_gives_what_the_whole_network_gives(name: str, layer: str) -> None:
    """A box of the crop's size without context is copied, so that the classifier can be asked."""
    network = whole(name)
    weights = Weights(network.state_dict(), Preprocessing(), "a test")
    chosen = "pooled" if layer == "pool5" else layer
    trunk = build_trunk(name, weights, layer=chosen)  # type: ignore[arg-type]
    settings = RcnnSettings(224, 0, levels=(pool5_level(name),), layer=chosen)  # type: ignore[arg-type]
    extractor = RcnnRegionFeatures(trunk, settings)
    image = np.random.default_rng(0).integers(0, 255, (240, 250, 3)).astype(np.uint8)
    regions = extractor.prepare(image, as_boxes([[10, 5, 234, 229]]))
    found = regions.features(regions.keys)[0]
    with torch.inference_mode():
        crop = trunk.normalized(image[5:229, 10:234])
        values = network.avgpool(network.features(crop))
        if layer == "pool5":
            expected = values.flatten(2).transpose(1, 2).flatten()
        else:
            expected = network.classifier[: UP_TO[name][layer]](values.flatten(1))[0]
    assert found.shape == (extractor.dimension,)
    torch.testing.assert_close(found, expected, rtol=5e-3, atol=1e-3)


def test_spp_gives_the_same_for_a_window_that_is_the_whole_map() -> None:
    trunk = load_trunk("alexnet", "random", layer="fc7")
    image = np.random.default_rng(0).integers(0, 255, (224, 224, 3)).astype(np.uint8)
    box = as_boxes([[0, 0, 224, 224]])
    spp = SppRegionFeatures(trunk, SppSettings((224,), levels=(6,), layer="fc7"))
    rcnn = RcnnRegionFeatures(trunk, RcnnSettings(224, 0, levels=(6,), layer="fc7"))
    clock = Clock()
    windows = spp.prepare(image, box)
    assert windows.windows[0, 1:].tolist() == [0, 0, 13, 13]
    found = windows.features(np.array([0]), clock)
    assert found.shape == (1, 4096)
    assert list(clock.seconds) == ["pooling", "fully connected"]
    expected = rcnn.prepare(image, box).features(np.array([0]))
    torch.testing.assert_close(found, expected, rtol=5e-3, atol=1e-3)


@pytest.mark.parametrize("method", ["spp", "rcnn"])
def test_a_detector_on_fc6_survives_its_file(method: str, tmp_path) -> None:
    trunk = load_trunk("alexnet", "random", layer="fc6")
    extractor = (
        SppRegionFeatures(trunk, SppSettings((160,), levels=(6,), layer="fc6"))
        if method == "spp"
        else RcnnRegionFeatures(trunk, RcnnSettings(levels=(6,), layer="fc6"))
    )
    heads = LinearHeads(torch.randn(1, 4096), torch.zeros(1), np.float32([[1, 0]]))
    detector = Detector(extractor, heads, ("a",), DetectorSettings(max_boxes=10))
    detector.save(tmp_path / "m.safetensors")
    again = Detector.load(tmp_path / "m.safetensors", "cpu")
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    boxes = as_boxes([[10, 10, 80, 70], [50, 20, 150, 110]])
    regions = again.extractor.prepare(image, boxes)
    expected = linear_scores(
        extractor.prepare(image, boxes), np.arange(2), heads.svm_weight, heads.svm_bias
    )
    found = linear_scores(regions, np.arange(2), again.heads.svm_weight, again.heads.svm_bias)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_trunk_without_such_layers_is_refused() -> None:
    with pytest.raises(SppdetError, match=r"small: has no fully connected layers.*alexnet"):
        load_trunk("small", layer="fc7")
