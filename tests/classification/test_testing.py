from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sppdet.classification.batches import normalized, whole_image
from sppdet.classification.data import open_split
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
