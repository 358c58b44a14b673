from pathlib import Path

import numpy as np
import pytest
import torch

from sppdet.datasets import read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.detector import Detector
from sppdet.evaluation.evaluate import evaluate
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.examples import Chosen, Examples
from sppdet.images import read_image
from sppdet.settings import SppSettings, TrainSettings
from sppdet.training.train import train
from sppdet.trunks import load_trunk


@pytest.fixture(scope="module")
def softmax(example):
    return example("softmax_heads")


def some_examples(labels: list[int], classes: int = 2) -> Examples:
    """Regions whose features say which label they have; K is the background."""
    random, examples = np.random.default_rng(0), Examples(12, classes, scale=3.0)
    for number, label in enumerate(labels):
        features = torch.from_numpy(random.normal(0, 0.3, (1, 12))).half()
        features[0, label] += 2
        roles = np.full((1, classes), -1, np.int8)
        if label < classes:
            roles[0, label] = 1
        one = Chosen(features, roles, np.array([number]), number)
        for known in range(classes):
            examples[known].add([(int(roles[0, known]), one)], 3.0)
    return examples


def test_probabilities_of_classes_and_background_sum_to_one(softmax) -> None:
    labels = [0, 1, 2] * 12
    examples = some_examples(labels)
    scorer = softmax.Softmax(cost=0.1).fit(examples)
    features = examples.joint().features.float() / 3
    scores = scorer.score(features)
    assert scores.shape == (36, 2)
    every = torch.addmm(scorer.bias, features, scorer.weight.T).softmax(dim=1)
    np.testing.assert_allclose(scores.exp(), every[:, :2], rtol=1e-4)
    assert every.argmax(dim=1).tolist() == labels
    likely = scorer.probabilities(scores[:, 0].numpy(), np.zeros(36, np.int64))
    np.testing.assert_allclose(likely, every[:, 0], rtol=1e-4)


@pytest.mark.parametrize("labels", [[0, 2] * 9, [1, 0] * 9])
def test_two_labels(softmax, labels: list[int]) -> None:
    examples = some_examples(labels)
    scorer = softmax.Softmax(cost=0.1).fit(examples)
    features = examples.joint().features.float() / 3
    every = torch.addmm(scorer.bias, features, scorer.weight.T).softmax(dim=1)
    assert every.argmax(dim=1).tolist() == labels
    if 2 in labels:
        assert torch.isinf(scorer.score(features)[:, 1]).all()


def test_one_label_is_never_found(softmax) -> None:
    scorer = softmax.Softmax().fit(some_examples([2] * 5))
    assert not torch.isfinite(scorer.score(torch.zeros(3, 12))).any()


@pytest.mark.slow
def test_it_trains_saves_loads_and_finds(softmax, tmp_path: Path) -> None:
    write_scenes(tmp_path / "train", 30, seed=0, size=(240, 180))
    write_scenes(tmp_path / "test", 12, seed=1, size=(240, 180))
    dataset = read_dataset(tmp_path, "test")
    settings = TrainSettings(calibration_images=9)
    extractor = SppRegionFeatures(load_trunk("small"), SppSettings((240,), levels=(1, 2)))
    detector = train(
        read_dataset(tmp_path, "train"), extractor, settings, heads=softmax.Softmax()
    ).detector
    figures = evaluate(detector, dataset)
    assert (figures.map_11 or 0) > 0.6
    detector.save(tmp_path / "softmax.safetensors")
    again = Detector.load(tmp_path / "softmax.safetensors", heads=softmax.Softmax())
    image = read_image(dataset.images[0])
    found, expected = again.detect(image), detector.detect(image)
    assert len(found) > 0
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert found.scores.max() <= 1
