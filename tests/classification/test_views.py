from collections.abc import Callable

import numpy as np
import pytest
import torch

from sppdet.classification.networks import build_network
from sppdet.classification.views import multi_view_scores, view_boxes
from sppdet.errors import SppdetError


def test_nine_views_and_the_whole_image() -> None:
    boxes = view_boxes(40, 30, 20)
    assert len(boxes) == 10
    assert boxes[0].tolist() == [0, 0, 40, 30]
    assert ((boxes[1:, 2:] - boxes[1:, :2]) == 20).all()
    assert boxes[1].tolist() == [10, 5, 30, 25]
    assert len(view_boxes(20, 20, 20)) == 1
    assert len(view_boxes(60, 20, 20)) == 4
    assert view_boxes(60, 10, 20)[1:, [1, 3]].tolist() == [[0, 10]] * 3


def test_views_are_windows_of_the_map(random_network: Callable) -> None:
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


def test_views_need_a_pyramid() -> None:
    for name in ("spp5-flatten", "resnet18"):
        with pytest.raises(SppdetError, match="any size"):
            multi_view_scores(build_network(name, 3), torch.rand(1, 3, 32, 32), 20, False)
