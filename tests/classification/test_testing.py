from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sppdet.classification.batches import normalized, whole_image
from sppdet.classification.data import open_split
from sppdet.classification.device_batches import ResidentImages
from sppdet.classification.testing import evaluate
from sppdet.classification.views import Views
from sppdet.trunks.weights import Preprocessing

CPU = torch.device("cpu")


@pytest.mark.parametrize("side", [None, 24])
def test_figures_against_one_image_at_a_time(
    varied_folder: Path, side: int | None, random_network: Callable
) -> None:
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


def test_several_sides_vote(varied_folder: Path, random_network: Callable) -> None:
    data, network = open_split(varied_folder, "test"), random_network()
    both = evaluate(network, data, Preprocessing(), None, CPU, 4, Views((20, 28), 20))
    assert 0 <= both.top1 <= 1
    assert np.isfinite(both.loss)
    one = evaluate(network, data, Preprocessing(), None, CPU, 4, Views((20,), 20))
    assert both.loss != one.loss


def test_resident_images_give_the_same_figures(
    square_folder: Path, random_network: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, network = open_split(square_folder, "test"), random_network(classes=3)
    monkeypatch.setattr("sppdet.classification.testing.LARGEST_BATCH", 5 * 20 * 20)
    for side, views in ((None, None), (20, None), (None, Views((20,), 20)), (20, Views((20,), 16))):
        steps: list[tuple[int, int]] = []
        expected = evaluate(network, data, Preprocessing(), side, CPU, 7, views)
        resident = ResidentImages(data, CPU)
        found = evaluate(
            network,
            data,
            Preprocessing(),
            side,
            CPU,
            7,
            views,
            lambda done, total, steps=steps: steps.append((done, total)),
            resident,
        )
        assert found.images == expected.images
        assert (found.top1, found.top5) == (expected.top1, expected.top5)
        assert found.loss == pytest.approx(expected.loss, rel=1e-5)
        assert [done for done, _ in steps] == [5, 10, 15, 18]


def test_scaled_images_do_not_come_from_the_device(
    square_folder: Path, random_network: Callable
) -> None:
    data, network = open_split(square_folder, "test"), random_network(classes=3)
    resident = ResidentImages(data, CPU)
    expected = evaluate(network, data, Preprocessing(), 26, CPU)
    assert evaluate(network, data, Preprocessing(), 26, CPU, resident=resident) == expected
