"""Multi-view testing on feature maps (SPP-net paper, section 3.1.5): one map, many windows."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sppdet.classification.parts import FixedFlatten, PyramidClassifier
from sppdet.errors import SppdetError
from sppdet.features.windows import Scale, map_windows
from sppdet.trunks.geometry import map_geometry


@dataclass(frozen=True)
class Views:
    """The parts of an image whose scores are averaged.

    Attributes:
        sides: the image is seen with its shorter side at each of these, in pixels.
        view: side of the square views, in pixels of the resized image; at each of ``sides`` nine of
            them (the middle, the corners, the middles of the edges), where it is larger than a
            view, and the whole image.
        flip: the mirror images are averaged too.
    """

    sides: tuple[int, ...]
    view: int
    flip: bool = True


def view_boxes(width: int, height: int, view: int) -> NDArray[np.float32]:
    """(N, 4) half-open boxes: the whole image, then the different views of ``view`` pixels."""
    lefts = [(width - view) / 2, 0.0, float(width - view)]
    tops = [(height - view) / 2, 0.0, float(height - view)]
    boxes = [(0.0, 0.0, float(width), float(height))]
    if width > view or height > view:
        for top in tops:
            for left in lefts:
                x1, y1 = max(left, 0.0), max(top, 0.0)
                box = (x1, y1, min(x1 + view, float(width)), min(y1 + view, float(height)))
                if box not in boxes:
                    boxes.append(box)
    return np.array(boxes, np.float32)


@torch.inference_mode()
def multi_view_scores(network: nn.Module, images: Tensor, view: int, flip: bool) -> Tensor:
    """Probabilities averaged over the views of one size of a batch of images.

    The convolutions run once per image (and mirror image); each view is a window of their map,
    pooled and classified by itself.

    Args:
        network: one with a pyramid.
        images: (B, 3, H, W), preprocessed.
        view: side of the views in pixels.
        flip: mirror images too.

    Returns:
        (B, classes) probabilities.

    Raises:
        SppdetError: the network has no pooling for windows of any size.
    """
    if not isinstance(network, PyramidClassifier) or isinstance(network.pool, FixedFlatten):
        raise SppdetError("several views need a network whose pooling takes maps of any size")
    network.eval()
    geometry = map_geometry(network.features)
    height, width = images.shape[2:]
    boxes = view_boxes(width, height, view)
    total: Tensor | None = None
    votes = 0
    for batch in (images, images.flip(3)) if flip else (images,):
        maps = network.features(batch)
        scale = Scale(width, height, 1.0, 1.0)
        windows = map_windows(boxes, scale, geometry, *maps.shape[2:])
        for x1, y1, x2, y2 in windows.tolist():
            scores = network.classifier(network.pool(maps[:, :, y1:y2, x1:x2]))
            part = scores.float().softmax(dim=1)
            total = part if total is None else total + part
            votes += 1
    assert total is not None
    return total / votes
