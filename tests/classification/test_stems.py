"""The networks of the papers and tutorials by name: each learns from small images."""

from pathlib import Path

import pytest
import torch
from torch import nn

from sppdet.classification.classifier import load_classifier, shapes_of
from sppdet.classification.data import LabelledImages, open_split
from sppdet.classification.networks import build_network
from sppdet.classification.settings import ClassifySettings
from sppdet.classification.stems import FIRST_POOLS
from sppdet.classification.training import Training
from sppdet.errors import SppdetError

CPU = torch.device("cpu")


def few(data: LabelledImages, step: int) -> LabelledImages:
    """Every ``step``-th image."""
    assert data.packed is not None
    chosen = (data.labels[::step], data.boxes[::step], (), data.packed[::step])
    return LabelledImages(data.classes, *chosen)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("lenet5", "own"),
        ("nin", "own"),
        ("alexnet", "cifar"),
        ("vgg16", "cifar"),
        ("googlenet", "cifar"),
        ("resnet18", "cifar"),
        ("densenet121", "cifar"),
        ("inception_v3", "cifar"),
        ("squeezenet1_1", "cifar"),
        ("mobilenet_v2", "cifar"),
        ("shufflenet_v2_x0_5", "cifar"),
    ],
)
def test_a_step_and_a_test(name: str, stem: str, square_folder: Path, tmp_path: Path) -> None:
    train, test = (
        few(open_split(square_folder, "train"), 8),
        few(open_split(square_folder, "test"), 9),
    )
    settings = ClassifySettings(name, stem=stem, batch_size=6, rate=1e-3, test_size=32)
    training = Training(settings, train.classes, CPU)
    before = {key: tensor.clone() for key, tensor in training.network.named_parameters()}
    epoch = training.run_epoch(train, test)
    changed = [k for k, t in training.network.named_parameters() if not torch.equal(t, before[k])]
    assert len(changed) > 0.5 * len(before)
    assert 0 < epoch.test_loss < 50
    assert 0 <= epoch.test_accuracy <= 1
    if name in ("lenet5", "resnet18"):
        training.save(tmp_path / "last.safetensors")
        classifier = load_classifier(tmp_path / "last.safetensors", CPU)
        scores = classifier.network(torch.zeros(1, 3, 32, 32))
        assert torch.equal(scores, training.network.eval()(torch.zeros(1, 3, 32, 32)))


def test_the_stem_keeps_the_size() -> None:
    network = build_network("resnet18", 3, stem="cifar").eval()
    assert network.conv1(torch.rand(1, 3, 32, 32)).shape == (1, 64, 32, 32)
    assert isinstance(network.maxpool, nn.Identity)
    assert build_network("resnet18", 3).conv1.stride == (2, 2)


@pytest.mark.parametrize("family", FIRST_POOLS)
def test_every_family_has_a_stem_for_small_images(family: str) -> None:
    name = {
        "densenet": "densenet121",
        "googlenet": "googlenet",
        "inception_v3": "inception_v3",
        "resnet": "resnet34",
        "resnext": "resnext50_32x4d",
        "wide_resnet": "wide_resnet50_2",
        "shufflenet": "shufflenet_v2_x1_0",
        "alexnet": "alexnet",
        "convnext": "convnext_tiny",
        "efficientnet": "efficientnet_b0",
        "mnasnet": "mnasnet0_5",
        "mobilenet": "mobilenet_v3_small",
        "regnet": "regnet_y_400mf",
        "squeezenet": "squeezenet1_0",
        "vgg": "vgg11_bn",
    }[family]
    network = shapes_of(ClassifySettings(name, stem="cifar"), 5).eval()
    assert network(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, 5)


@pytest.mark.parametrize(
    ("name", "message"),
    [("vit_b_16", "--stem cifar: is not known for vit_b_16"), ("spp5", "--stem cifar: is for")],
)
def test_networks_without_such_a_stem(name: str, message: str) -> None:
    with torch.device("meta"), pytest.raises(SppdetError, match=message):
        build_network(name, 5, stem="cifar")
