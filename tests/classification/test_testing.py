import json
from pathlib import Path

import numpy as np
import pytest
import torch

from sppdet.classification.batches import normalized, whole_image
from sppdet.classification.classifier import Classifier, export_weights, load_classifier
from sppdet.classification.data import open_split
from sppdet.classification.networks import build_network
from sppdet.classification.settings import ClassifySettings, command_line
from sppdet.classification.testing import evaluate
from sppdet.classification.views import Views, multi_view_scores, view_boxes
from sppdet.errors import SppdetError
from sppdet.trunks import make_trunk
from sppdet.trunks.weights import Preprocessing, read_weights

CPU = torch.device("cpu")


def random_network(name: str = "spp5", classes: int = 3) -> torch.nn.Module:
    """With statistics and scales that are not the initial ones, so that every tensor counts."""
    network = build_network(name, classes)
    generator = torch.Generator().manual_seed(1)
    for tensor in network.state_dict().values():
        if tensor.ndim == 1 and tensor.is_floating_point():
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    return network.eval()


@pytest.mark.parametrize("side", [None, 24])
def test_figures_against_one_image_at_a_time(varied_folder: Path, side: int | None) -> None:
    data, network = open_split(varied_folder, "test"), random_network(classes=3)
    result = evaluate(network, data, Preprocessing(), side, CPU, batch_size=5)
    right, loss = 0, 0.0
    with torch.inference_mode():
        for index in range(len(data)):
            pixels = torch.from_numpy(whole_image(data.read(index), side).copy())
            batch = normalized(pixels.permute(2, 0, 1)[None] / 255, Preprocessing())
            part = network(batch)[0].softmax(0)
            right += int(part.argmax() == data.labels[index])
            loss -= float(part[data.labels[index]].log())
    assert result.images == 18
    assert result.top1 == pytest.approx(right / 18)
    assert result.top5 == 1.0
    assert result.loss == pytest.approx(loss / 18, rel=1e-4)


def test_nine_views_and_the_whole_image() -> None:
    boxes = view_boxes(40, 30, 20)
    assert len(boxes) == 10
    assert boxes[0].tolist() == [0, 0, 40, 30]
    assert ((boxes[1:, 2:] - boxes[1:, :2]) == 20).all()
    assert boxes[1].tolist() == [10, 5, 30, 25]
    assert len(view_boxes(20, 20, 20)) == 1
    assert len(view_boxes(60, 20, 20)) == 4
    assert view_boxes(60, 10, 20)[1:, [1, 3]].tolist() == [[0, 10]] * 3


def test_views_are_windows_of_the_map() -> None:
    """Against the definition: cells whose centres lie strictly inside the view, flips too."""
    network = random_network()
    images = torch.randn(2, 3, 40, 32, generator=torch.Generator().manual_seed(0))
    result = multi_view_scores(network, images, view=20, flip=True)
    centers_y = np.arange(10) * 4 + 1.5 + 0.5
    centers_x = np.arange(8) * 4 + 1.5 + 0.5
    votes = []
    with torch.inference_mode():
        for batch in (images, images.flip(3)):
            maps = network.features(batch)
            for x1, y1, x2, y2 in view_boxes(32, 40, 20):
                rows = np.flatnonzero((centers_y > y1) & (centers_y < y2))
                columns = np.flatnonzero((centers_x > x1) & (centers_x < x2))
                part = maps[:, :, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
                votes.append(network.classifier(network.pool(part)).softmax(1))
    assert len(votes) == 20
    assert torch.allclose(result, torch.stack(votes).mean(0), atol=1e-6)


def test_several_sides_vote(varied_folder: Path) -> None:
    data, network = open_split(varied_folder, "test"), random_network()
    both = evaluate(network, data, Preprocessing(), None, CPU, 4, Views((20, 28), 20))
    assert 0 <= both.top1 <= 1
    assert np.isfinite(both.loss)
    one = evaluate(network, data, Preprocessing(), None, CPU, 4, Views((20,), 20))
    assert both.loss != one.loss


def test_views_need_a_pyramid() -> None:
    for name in ("spp5-flatten", "resnet18"):
        with pytest.raises(SppdetError, match="any size"):
            multi_view_scores(build_network(name, 3), torch.rand(1, 3, 32, 32), 20, False)


def test_exported_weights_are_a_classifier_and_a_trunk(tmp_path: Path) -> None:
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
        trunk = make_trunk("small", read_weights(file))
        assert torch.equal(trunk.network(images), loaded.network.features(images))
    assert trunk.preprocessing == Preprocessing()
    half = sum(p.numel() for p in network.parameters()) * 2
    assert file.stat().st_size < half + 40_000


def test_weights_too_large_for_half_precision(tmp_path: Path) -> None:
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
    with pytest.raises(SppdetError, match="is no classifier"):
        load_classifier(tmp_path / "x", CPU)
    with pytest.raises(SppdetError, match="checkpoint"):
        load_classifier(shared_data / "squeezenet1_0.safetensors", CPU)


def test_settings_survive_json_and_name_their_command() -> None:
    settings = ClassifySettings("spp5", levels=(1, 2), sizes=(24, 32), average=0.9, seed=2)
    assert ClassifySettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    assert command_line(settings, "D", "R") == (
        "python tools/classify.py train D --network spp5 --output R --levels 1,2 --epochs 20 "
        "--sizes 24,32 --average 0.9 --seed 2"
    )
