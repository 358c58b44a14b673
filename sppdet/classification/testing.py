"""Accuracy of a network on whole images of any size, with one view or several."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import nll_loss

from sppdet.classification.batches import Normalizer, test_batches
from sppdet.classification.data import LabelledImages
from sppdet.classification.device_batches import ResidentImages, can_stay
from sppdet.classification.image_sizes import scores_of
from sppdet.classification.views import Views, multi_view_scores
from sppdet.errors import SppdetError
from sppdet.trunks.weights import Preprocessing

LARGEST_BATCH = 1 << 20
"""Pixels of a batch of images that are on the device already: 1,024 of 32 x 32."""


@dataclass(frozen=True)
class TestResult:
    """Figures over one split: parts of 1, and the mean cross entropy in nats."""

    __test__ = False  # not a test of pytest's

    images: int
    top1: float
    top5: float
    loss: float

    def to_dict(self) -> dict[str, float]:
        """As plain values for JSON."""
        return asdict(self)


@torch.inference_mode()
def evaluate(
    network: nn.Module,
    data: LabelledImages,
    preprocessing: Preprocessing,
    side: int | None,
    device: torch.device,
    batch_size: int = 200,
    views: Views | None = None,
    listener: Callable[[int, int], None] | None = None,
    resident: ResidentImages | None = None,
) -> TestResult:
    """Test on all images.

    Images of equal size that fit into a GPU's memory and need no scaling are tested in large
    batches there, without waiting for it before the end.

    Args:
        network: the class with the highest score is tested.
        data: the images; their classes are in the order of the network's scores.
        preprocessing: what the network expects.
        side: the shorter side of the whole images, in pixels; None: unscaled.
        device: where the network lives.
        batch_size: the most images of equal shape in one batch.
        views: several views per image in place of one.
        listener: called with (views done, views) after each batch.
        resident: the images, if they are on the device already.

    Images that cannot be read are left out; ``data.skipped`` names them.

    Raises:
        SppdetError: none can be read.
    """
    network.eval()
    sides: Sequence[int | None] = views.sides if views else (side,)
    if all(_unscaled(data, each) for each in sides) and (resident or can_stay(data, device)):
        resident = resident or ResidentImages(data, device)
        scores = _resident_scores(network, resident, preprocessing, len(sides), views, listener)
        seen = torch.ones(len(data), dtype=torch.bool)
    else:
        scores = torch.zeros(len(data), len(data.classes))
        seen = torch.zeros(len(data), dtype=torch.bool)
        done = 0
        for each in sides:
            for batch in test_batches(data, each, batch_size, preprocessing):
                part = _probabilities(network, batch.images.to(device), views).cpu()
                scores[batch.indices] += part / len(sides)
                seen[batch.indices] = True
                done += len(part)
                if listener:
                    listener(done, len(data) * len(sides))
    if not seen.any():
        raise SppdetError("none of the test images can be read")
    scores, labels = scores[seen], torch.from_numpy(data.labels)[seen]
    best = scores.topk(min(5, scores.shape[1]), dim=1).indices == labels[:, None]
    return TestResult(
        images=len(labels),
        top1=float(best[:, 0].double().mean()),
        top5=float(best.any(dim=1).double().mean()),
        loss=float(nll_loss(scores.clamp_min(1e-12).log(), labels)),
    )


def _unscaled(data: LabelledImages, side: int | None) -> bool:
    return data.packed is not None and side in (None, min(data.packed.shape[1:3]))


def _resident_scores(
    network: nn.Module,
    images: ResidentImages,
    preprocessing: Preprocessing,
    times: int,
    views: Views | None,
    listener: Callable[[int, int], None] | None,
) -> Tensor:
    """(N, classes) probabilities on the CPU; all ``times`` sides are the images' own."""
    count, height, _, width = images.pixels.shape
    size = max(LARGEST_BATCH // (height * width), 1)
    normalizer = Normalizer(preprocessing, images.pixels.device)
    parts = []
    for start in range(0, count, size):
        stop = min(start + size, count)
        parts.append(_probabilities(network, images.whole(start, stop, normalizer), views))
        if listener:
            listener(stop * times, count * times)
    return torch.cat(parts).cpu()


def _probabilities(network: nn.Module, images: Tensor, views: Views | None) -> Tensor:
    if views:
        return multi_view_scores(network, images, views.view, views.flip)
    return scores_of(network, images).float().softmax(dim=1)
