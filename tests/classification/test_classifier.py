from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sppdet.classification.checkpoints import load_state, save_state
from sppdet.classification.classifier import Classifier, export_weights, load_classifier
from sppdet.classification.settings import ClassifySettings
from sppdet.classification.training import Training
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


def saved(folder: Path) -> Path:
    settings = ClassifySettings("small", sizes=(32,))
    Training(settings, ("cat", "dog"), CPU).save(folder / "last.safetensors")
    return folder / "last.safetensors"


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ["cat", "dog", "cow"]},
        {"classes": []},
        {"classes": [1, 2]},
        {"classes": 7},
        {"settings": None},
        {"settings": {"network": "zf5-spp"}},
        {"settings": {"network": "nothing"}},
        {"settings": {"network": 3}},
        {"settings": {"levels": [100_000]}},
        {"settings": {"levels": [10**30]}},
        {"settings": {"levels": "abc"}},
        {"settings": {"test_size": 10**9}},
        {"settings": {"dropout": "x"}},
        {"settings": {"augmentation": []}},
        {"settings": {"preprocessing": {"mean": 3}}},
    ],
    ids=str,
)
def test_a_checkpoint_that_makes_no_sense_is_one_line(change: dict, tmp_path: Path) -> None:
    """The checksum is right, as in a file that another program wrote."""
    file = saved(tmp_path)
    groups, about = load_state(file)
    for key, value in change.items():
        about[key] = {**about[key], **value} if isinstance(value, dict) else value
    save_state(file, groups, about)
    for read in (load_classifier, Training.load):
        with pytest.raises(SppdetError) as caught:
            read(file, CPU)
        assert str(caught.value).startswith(f"{file}: ")


def test_tensors_of_another_shape_are_found_before_memory_is_taken(tmp_path: Path) -> None:
    file = saved(tmp_path)
    groups, about = load_state(file)
    name = sorted(groups["model"])[0]
    groups["model"][name] = groups["model"][name][:1]
    save_state(file, groups, about)
    with pytest.raises(SppdetError, match=f"do not fit a small: {name}"):
        load_classifier(file, CPU)
