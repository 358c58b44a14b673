from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sppdet.classification.classifier import Classifier, export_weights, load_classifier
from sppdet.classification.settings import ClassifySettings
from sppdet.errors import SppdetError
from sppdet.trunks import build_trunk
from sppdet.trunks.weights import Preprocessing, read_weights

CPU = torch.device("cpu")


def test_exported_weights_are_a_classifier_and_a_trunk(
    tmp_path: Path, random_network: Callable
) -> None:
    network, file = random_network("small"), tmp_path / "weights.safetensors"
    settings = ClassifySettings("small", sizes=(32, 48), test_size=64, seed=4)
    export_weights(Classifier(network, ("a", "b", "c"), settings), file, {"top1": "12.3 %"})
    loaded = load_classifier(file, CPU)
    assert loaded.classes == ("a", "b", "c")
    assert loaded.settings == settings
    images = torch.rand(2, 3, 48, 64)
    with torch.inference_mode():
        before, after = network(images), loaded.network(images)
        assert torch.allclose(before, after, rtol=0.02, atol=0.02 * float(before.abs().max()))
        trunk = build_trunk("small", read_weights(file))
        assert torch.equal(trunk.network(images), loaded.network.features(images))
    assert trunk.preprocessing == Preprocessing()
    half = sum(p.numel() for p in network.parameters()) * 2
    assert file.stat().st_size < half + 40_000


def test_weights_too_large_for_half_precision(tmp_path: Path, random_network: Callable) -> None:
    network = random_network()
    with torch.no_grad():
        network.classifier.fc7.weight[0, 0] = 1e6
    classifier = Classifier(network, ("a", "b", "c"), ClassifySettings("spp5"))
    with pytest.raises(SppdetError, match="half precision"):
        export_weights(classifier, tmp_path / "w.safetensors", {})


def test_files_that_are_no_classifiers(tmp_path: Path, shared_data: Path) -> None:
    with pytest.raises(SppdetError, match="no such file"):
        load_classifier(tmp_path / "none", CPU)
    (tmp_path / "x").write_text("hello")
    with pytest.raises(SppdetError, match="is not a classifier"):
        load_classifier(tmp_path / "x", CPU)
    with pytest.raises(SppdetError, match="checkpoint"):
        load_classifier(shared_data / "squeezenet1_0.safetensors", CPU)
