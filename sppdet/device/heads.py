"""Scores, box regression, suppression and voting on a device, behind its features."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.boxes import Boxes
from sppdet.device.features import DeviceFeatures, Event
from sppdet.device.groups import lower_groups
from sppdet.device.layout import Layout
from sppdet.device.products import SplitLinear
from sppdet.device.selection import rank, suppress_and_vote
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.linear import LinearScorer
from sppdet.heads.regression import BoxRegression
from sppdet.heads.selection import Scored, Threshold
from sppdet.images import Rgb
from sppdet.settings import SelectionSettings


@dataclass(frozen=True)
class Plan:
    """What decides the launches for an image, beside the precision.

    Attributes:
        layout: of its packed buffer.
        selection: the settings.
        bounded: whether there are thresholds; without them those in the buffer mean nothing.
        rounds: of suppression.
    """

    layout: Layout
    selection: SelectionSettings
    bounded: bool
    rounds: int


class DeviceHeads:
    """All that a detector with linear heads does on its device.

    Args:
        extractor: SPP-net's features, as they are pooled.
        scorer, regression: what was learned, on the same device.
    """

    def __init__(
        self,
        extractor: SppRegionFeatures,
        scorer: LinearScorer,
        regression: BoxRegression | None,
    ) -> None:
        self.scorer = scorer
        self.regression = regression
        device = extractor.trunk.device
        fits = torch.from_numpy(np.ascontiguousarray(scorer.calibration)).double()
        self._calibration = fits.to(device)
        self._labels = torch.arange(scorer.classes, device=device)[:, None]
        self._linear: SplitLinear | None = None
        # One thread for all callers, for what cuDNN and cuBLAS keep for each thread; see Graphs.
        self._thread = ThreadPoolExecutor(1, "sppdet-queue") if device.type == "cuda" else None
        self.features = DeviceFeatures(extractor)

    def pack(
        self,
        resized: list[Rgb],
        size: tuple[int, int],
        boxes: Boxes,
        threshold: Threshold,
        selection: SelectionSettings,
        rounds: int,
    ) -> tuple[Plan, Tensor]:
        """The packed buffer of an image and its thresholds, and what to do with it."""
        least = np.broadcast_to(
            np.float32(0) if threshold is None else threshold, self._labels.shape[:1]
        )
        layout, buffer = self.features.pack(resized, size, boxes, least)
        return Plan(layout, selection, threshold is not None, rounds), buffer

    def queue(self, plan: Plan, buffer: Tensor) -> tuple[torch.dtype, Tensor, Event | None]:
        """Queue the work of a packed buffer; on a GPU in a thread that does nothing else.

        Returns:
            The network's precision, the values that :meth:`unpack` takes behind two flags, and the
            event after which they are there.
        """
        if self._thread is None:
            return self._queue(plan, buffer)
        return self._thread.submit(self._queue, plan, buffer).result()

    @torch.inference_mode()
    def _queue(self, plan: Plan, buffer: Tensor) -> tuple[torch.dtype, Tensor, Event | None]:
        features = self.features
        with features.lock:
            if self._linear is None:
                self._settle(plan, buffer)
            host, event = features.queue(plan, lambda packed: self._find(plan, packed), buffer)
            return features.network.kind, host, event

    def _settle(self, plan: Plan, buffer: Tensor) -> None:
        """Before the first image: choose the precision, and get the weights in it."""
        features = self.features
        features.settle(plan.layout, buffer)
        weight, bias = self.scorer.weight, self.scorer.bias
        if self.regression is not None:
            weight = torch.cat([weight, self.regression.weight])
            bias = torch.cat([bias, self.regression.bias])
        self._linear = SplitLinear(weight, bias, features.network.kind)
        if features.device.type == "cuda":
            torch.cuda.synchronize(features.device)  # the work is queued on another stream

    def demote(self, kind: torch.dtype) -> None:
        """Leave a precision in which a map was not finite.

        Raises:
            SppdetError: no other precision is left.
        """
        with self.features.lock, torch.inference_mode():
            if self.features.device.type == "cuda":
                torch.cuda.synchronize(self.features.device)  # queued work reads the weights
            self.features.network.demote(kind)
            self._linear = None

    def _find(self, plan: Plan, buffer: Tensor) -> Tensor:
        """All the work on the device: two flags, and the values that :meth:`unpack` takes."""
        packed = plan.layout.views(buffer)
        numbers, boxes, least = packed.numbers, packed.boxes, packed.least
        pooled, finite = self.features.pooled(plan.layout, buffer)
        assert self._linear is not None
        outputs = self._linear(pooled.flatten(1))
        classes = self.scorer.classes
        bounds = self._calibration, least if plan.bounded else None
        meant = torch.arange(len(boxes), device=boxes.device) < numbers[-1]
        ranked = rank(outputs[:, :classes], meant, *bounds, plan.selection)
        moved = boxes[ranked.rows]
        if self.regression is not None:
            deltas = outputs[:, classes:].unflatten(1, (classes, 4))[ranked.rows, self._labels]
            moved = decode(moved, deltas, numbers[-3:-1].float())
        ranked, moved = lower_groups(ranked, moved, plan.selection.group_penalty, *bounds)
        chosen = suppress_and_vote(ranked, moved, plan.selection, plan.rounds)
        parts = [
            finite[None],
            chosen.converged[None].float(),
            chosen.counts.float(),
            ranked.scores.gather(1, chosen.places).flatten(),
            ranked.rows.gather(1, chosen.places).flatten().float(),
            chosen.boxes.flatten(),
        ]
        return torch.cat(parts)

    def unpack(self, values: NDArray[np.float32]) -> Scored:
        """The detections, class by class, from the values that came back."""
        classes = self.scorer.classes
        most = (len(values) // classes - 1) // 6
        counts, scores, rows, boxes = np.split(
            values, np.cumsum([classes, classes * most, classes * most])
        )
        meant = np.arange(most) < counts[:, None]
        labels = np.broadcast_to(np.arange(classes)[:, None], meant.shape)
        return Scored(
            boxes.reshape(classes, most, 4)[meant],
            labels[meant].astype(np.int64),
            scores.reshape(classes, most)[meant],
            rows.reshape(classes, most)[meant].astype(np.int64),
        )


def decode(boxes: Tensor, deltas: Tensor, limits: Tensor) -> Tensor:
    """:func:`sppdet.boxes.decode`, then :func:`sppdet.boxes.clip`.

    Args:
        boxes, deltas: (..., 4) float32.
        limits: (2,) float32, width and height of the image.
    """
    sides = boxes[..., 2:] - boxes[..., :2]
    centre = boxes[..., :2] + sides / 2 + deltas[..., :2] * sides
    half = sides * deltas[..., 2:].clamp(-4, 4).exp() / 2
    corners = torch.cat([centre - half, centre + half], dim=-1).clamp(min=0)
    return torch.minimum(corners, limits.repeat(2))
