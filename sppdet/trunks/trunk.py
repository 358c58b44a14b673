"""A trunk: a network with all that is needed to get its map of an image and to use the map."""

import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from sppdet.errors import SppdetError
from sppdet.images import Rgb
from sppdet.trunks.fully_connected import FullyConnected
from sppdet.trunks.geometry import MapGeometry
from sppdet.trunks.specs import Layer, TrunkSpec
from sppdet.trunks.weights import Preprocessing

SMALLEST_SIDE = 64
"""Images are padded to this side, in pixels, so that every named trunk's map has at least one
cell."""


Precision = Literal["float32", "bfloat16"]
"""Numbers in which a network in single precision runs on a CPU."""


@dataclass(frozen=True, repr=False)
class Trunk:
    """A network in evaluation mode, with all that is needed to use its map.

    Attributes:
        spec: its row in ``SPECS``, or the values of a network of one's own.
        network: maps (B, 3, H, W) to (B, channels, H', W').
        preprocessing: what the weights expect.
        geometry: where the map's cells lie.
        channels: depth of the map.
        origin: where the weights come from, in words.
        digest: a name of the weights' content.
        device: where the network lives.
        head: fully connected layers on top of pooled windows, if they are asked for.
        smallest_side: the shortest side, in pixels, that the network takes.
        multiple: the network sees only images whose sides are multiples of this, in pixels.
        precision: of the network on a CPU, see :meth:`in_precision`.
    """

    spec: TrunkSpec
    network: nn.Module
    preprocessing: Preprocessing
    geometry: MapGeometry
    channels: int
    origin: str
    digest: str
    device: torch.device
    head: FullyConnected | None = None
    smallest_side: int = SMALLEST_SIDE
    multiple: int = 1
    precision: Precision = "float32"

    @property
    def name(self) -> str:
        """The name in its :attr:`spec`."""
        return self.spec.name

    @property
    def rebuildable(self) -> bool:
        """Whether the name and the tensors are enough to build this trunk again."""
        return self.spec.builder is not None or self.spec.weights == "timm"

    @property
    def layer(self) -> Layer:
        """Which values are the features of a window."""
        return self.head.layer if self.head is not None else "pooled"

    @property
    def levels(self) -> tuple[int, ...] | None:
        """The pyramid that the fully connected layers take; None when any pyramid will do."""
        return (self.head.level,) if self.head is not None else None

    def __repr__(self) -> str:
        layer = f", {self.layer}" if self.head is not None else ""
        where = str(self.device)
        where += f" in {self.precision}" if self.precision != "float32" else ""
        return (
            f"Trunk({self.name}: {self.channels} channels{layer}, stride {self.geometry.stride}, "
            f"weights: {self.origin}, {where})"
        )

    def in_precision(self, precision: Precision) -> "Trunk":
        """The same trunk with another precision of its maps on a CPU.

        With bfloat16, which has 8 bits of mantissa, the map of ``lite0`` differs by 4 % of its
        norm. It takes about half the time on a processor with instructions for it
        (:func:`sppdet.runtime.processor.has_bfloat16`), and more on others. The maps that come out,
        and all behind them, are in single precision.

        Raises:
            ValueError: ``precision`` is neither of the two names.
            SppdetError: the trunk is on a GPU, which has its own.
        """
        if precision not in get_args(Precision):
            raise ValueError(
                f"precision={precision!r}: give one of {', '.join(get_args(Precision))}"
            )
        if precision != "float32" and self.device.type != "cpu":
            raise SppdetError(
                f"--precision {precision}: is for a CPU; {self.device} runs in half precision by "
                "itself; leave it out"
            )
        return replace(self, precision=precision)

    @cached_property
    def _in_bfloat16(self) -> nn.Module:
        """A copy of the network whose batch norms alone stay in single precision."""
        network = copy.deepcopy(self.network).to(torch.bfloat16)
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.float()
        for parameter in network.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        return network

    def feature_length(self, bins: int) -> int:
        """Length of the features of a window that is pooled into ``bins`` bins."""
        return self.head.length if self.head is not None else bins * self.channels

    def cells(self, side: int) -> int | None:
        """Cells on the short side of the map of an image whose short side has ``side`` pixels.

        The layers are followed without computing anything; None where they cannot be.
        """
        side = max(side, self.smallest_side)
        side = -(-side // self.multiple) * self.multiple
        network = copy.deepcopy(self.network).to("meta")
        batch = torch.empty(1, 3, side, side, device="meta", dtype=number_type(network))
        try:
            with torch.no_grad():
                return int(min(network(batch).shape[2:]))
        except (RuntimeError, NotImplementedError, AssertionError):
            return None

    def state(self) -> dict[str, Tensor]:
        """All tensors under torchvision's names."""
        head = self.head.state_dict() if self.head is not None else {}
        return {**self.network.state_dict(), **head}

    def normalized(self, image: Rgb) -> Tensor:
        """(H, W, 3) uint8 RGB to (1, 3, H, W) float32 as the weights expect it, channels-last."""
        chosen = self.preprocessing
        pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self.device)
        batch = pixels.permute(2, 0, 1)[None].to(torch.float32, memory_format=torch.channels_last)
        if chosen.channels == "BGR":
            batch = batch.flip(1)
        std = torch.tensor(chosen.std, device=self.device)
        factor = chosen.scale / 255 / std
        offset = torch.tensor(chosen.mean, device=self.device) / std
        return batch * factor[:, None, None] - offset[:, None, None]

    def input_tensor(self, image: Rgb) -> Tensor:
        """(H, W, 3) uint8 RGB to the network's (1, 3, H, W) float32 input on its device.

        A side under ``smallest_side`` is filled up with zeros (the mean colour) at its far end.
        """
        height, width = (max(side, self.smallest_side) for side in image.shape[:2])
        batch = _filled(self.normalized(image), height, width)
        return batch.contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def map(self, image: Rgb) -> Tensor:
        """The feature map of one image as it is, (H', W', channels) float32, on the device.

        Raises:
            SppdetError: the map holds a value that is not finite.
        """
        return self.maps(self.input_tensor(image))[0].permute(1, 2, 0).contiguous()

    @torch.inference_mode()
    def maps(self, batch: Tensor) -> Tensor:
        """The maps of a batch (B, 3, H, W) of normalized images: (B, channels, H', W') float32.

        A side that is not a multiple of ``multiple`` is filled up with zeros at its far end. On a
        GPU a network in single precision runs in mixed precision. A network in another precision
        gets its images in that precision.

        Raises:
            SppdetError: a map holds a value that is not finite.
        """
        height, width = (-(-side // self.multiple) * self.multiple for side in batch.shape[2:])
        batch = _filled(batch, height, width)
        network, kind = self.network, number_type(self.network)
        if self.precision == "bfloat16" and self.device.type == "cpu" and kind == torch.float32:
            network, kind = self._in_bfloat16, torch.bfloat16
        mixed = self.device.type == "cuda" and kind == torch.float32
        with torch.autocast(self.device.type, torch.float16, enabled=mixed):
            result: Tensor = network(batch.to(kind))
        result = result.float()
        if not torch.isfinite(result.sum()):
            raise SppdetError(
                f"trunk {self.name}: its map holds values that are not finite; "
                f"the weights ({self.origin}) are damaged or of another network"
            )
        return result


def _filled(batch: Tensor, height: int, width: int) -> Tensor:
    """The batch with zeros at the far end of its sides, where they are too short."""
    missing = (0, width - batch.shape[3], 0, height - batch.shape[2])
    return nn.functional.pad(batch, missing) if any(missing) else batch


def number_type(network: nn.Module) -> torch.dtype:
    """The type of the network's first floating-point parameter; float32 when it has none."""
    return next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.float32)
