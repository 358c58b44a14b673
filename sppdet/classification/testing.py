"""Accuracy of a network on whole images of any size."""

from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sppdet.classification.batches import test_batches
from sppdet.classification.data import LabelledImages
from sppdet.trunks.weights import Preprocessing


@dataclass(frozen=True)
class TestResult:
    """Figures over one split: parts of 1, and the mean cross entropy in nats."""

    __test__ = False  # not a test of pytest's

    images: int
    top1: float
    top5: float
    loss: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


@torch.inference_mode()
def evaluate(
    network: nn.Module,
    data: LabelledImages,
    preprocessing: Preprocessing,
    side: int | None,
    device: torch.device,
    batch_size: int = 200,
) -> TestResult:
    """Test on all images, each whole, its shorter side at ``side`` pixels (None: as it is)."""
    network.eval()
    right1 = right5 = 0
    loss = 0.0
    for batch in test_batches(data, side, batch_size, preprocessing):
        labels = batch.labels.to(device)
        scores = network(batch.images.to(device)).float()
        best = scores.topk(min(5, scores.shape[1]), dim=1).indices == labels[:, None]
        right1 += int(best[:, 0].sum())
        right5 += int(best.any(dim=1).sum())
        loss += float(cross_entropy(scores, labels, reduction="sum"))
    count = len(data)
    return TestResult(count, right1 / count, right5 / count, loss / count)
