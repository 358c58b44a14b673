"""A trunk's network for a GPU: in half precision, from the pixels as they are to the map."""

import warnings

import torch
from torch import Tensor, nn

from sppdet.device.clearing import Masks, clear, with_clearing
from sppdet.device.layers import converted, widen_input
from sppdet.device.rounding import rounding_of, seen_sides
from sppdet.errors import SppdetError, SppdetWarning
from sppdet.trunks.trunk import Trunk, number_type

KINDS = (torch.float16, torch.bfloat16, torch.float32)
"""Types of numbers in which a network in single precision is tried, in this order."""

TOLERANCE = 0.03
"""Largest distance of a map from that in single precision, as a part of its norm. bfloat16 rounds
by up to 0.4 %, and a map is behind tens of layers. An overflow that leaves finite numbers, as in a
division by a square, is far above."""


class DeviceNetwork:
    """The network of a trunk, ready for a GPU; on a CPU it runs in the network's own precision.

    Not safe for threads while :meth:`settle` or :meth:`demote` runs: the caller has a lock.

    Args:
        trunk: whose network it is.
        rounds: whether sides are rounded where the network allows that.

    Attributes:
        kind: the type of the numbers in the network and in its maps.
        rounding: of the sides of images; None where they stay as they are.
    """

    def __init__(self, trunk: Trunk, rounds: bool = False) -> None:
        self.trunk = trunk
        self.rounding = rounding_of(trunk) if rounds else None
        own = number_type(trunk.network)
        on_gpu = trunk.device.type == "cuda"
        self._kinds = list(KINDS) if on_gpu and own == torch.float32 else [own]
        self.settled = len(self._kinds) == 1
        self._as_it_is = False
        chosen, device = trunk.preprocessing, trunk.device
        std = torch.tensor(chosen.std, device=device)
        self._factor = (chosen.scale / 255 / std)[:, None, None]
        self._offset = -(torch.tensor(chosen.mean, device=device) / std)[:, None, None]
        self._convert()

    @property
    def kind(self) -> torch.dtype:
        """See the class."""
        return self._kinds[0]

    def map(self, pixels: Tensor, masks: Masks | None = None) -> Tensor:
        """The map of an image; nothing waits for the device.

        Args:
            pixels: (H, W, 3) uint8 RGB, on the device.
            masks: where the pixels are a canvas of :attr:`rounding`, what lies behind the image;
                None for an image as it is.

        Returns:
            (rows, columns, channels) of type :attr:`kind`, contiguous, as
            :meth:`sppdet.trunks.Trunk.map` gives it to rounding; behind the image's cells, zeros.
        """
        if masks is None:
            batch = self._input(pixels)
        else:
            batch = clear(self._normalized(pixels), masks, 0, 0.0)
        batch = batch.to(self.kind)
        if self._widened:
            batch = nn.functional.pad(batch, (0, 0, 0, 0, 0, 1))
        if masks is None:
            result: Tensor = self._network(batch)
        else:
            assert self._on_canvas is not None
            result = self._on_canvas(batch, masks)
        return result[0].permute(1, 2, 0).contiguous()

    def settle(self, pixels: Tensor) -> None:
        """Choose the precision by one image: the first whose map agrees with single precision.

        Waits for the device. A warning says that it is not the first one. If none agrees, the
        network runs as it is, with a warning.

        Raises:
            SppdetError: the map holds values that are not finite in single precision too.
        """
        if self.settled:
            return
        wanted = self.trunk.network(self._input(pixels))[0].permute(1, 2, 0).float()
        if not torch.isfinite(wanted.sum()):
            raise self.damaged()
        while not self._agrees(pixels, wanted):
            if len(self._kinds) > 1:
                self.demote(self.kind)
                continue
            self._as_it_is = True
            self._convert()
            warnings.warn(
                f"trunk {self.trunk.name}: its layers give another map when they are put together "
                "for the device; it runs as it is, which takes longer",
                SppdetWarning,
                stacklevel=2,
            )
            break
        self.settled = True

    def _agrees(self, pixels: Tensor, wanted: Tensor) -> bool:
        """Whether the map of an image is the wanted one."""
        try:
            distance = (self.map(pixels).float() - wanted).norm()
        except RuntimeError:  # an operation that there is not in this precision
            return False
        return bool(distance <= TOLERANCE * wanted.norm())

    def demote(self, kind: torch.dtype) -> None:
        """Leave a precision in which a map was not finite, unless that has happened already.

        Raises:
            SppdetError: no other precision is left.
        """
        if kind != self.kind:
            return
        if len(self._kinds) == 1:
            raise self.damaged()
        del self._kinds[0]
        self._convert()
        warnings.warn(
            f"trunk {self.trunk.name}: its map leaves the range of {_name(kind)}; it runs in "
            f"{_name(self.kind)}",
            SppdetWarning,
            stacklevel=2,
        )

    def _convert(self) -> None:
        """Make the network of the present precision."""
        if self._as_it_is:
            self._network = self.trunk.network
        else:
            self._network = converted(self.trunk.network, self.kind)
        self._on_canvas = None
        if self.rounding is not None:
            self._on_canvas = with_clearing(self._network, seen_sides(self.trunk))[0]
        on_gpu = self.trunk.device.type == "cuda"
        wide = on_gpu and self.kind != torch.float32
        self._widened = wide and widen_input(self._network)

    def damaged(self) -> SppdetError:
        """The error of a map that holds values that are not finite in any precision."""
        return SppdetError(
            f"trunk {self.trunk.name}: its map holds values that are not finite; "
            f"the weights ({self.trunk.origin}) are damaged or of another network"
        )

    def _normalized(self, pixels: Tensor) -> Tensor:
        """:meth:`sppdet.trunks.Trunk.normalized`: (1, 3, H, W) float32, channels-last."""
        if self.trunk.preprocessing.channels == "BGR":
            pixels = pixels.flip(2)
        batch = pixels.permute(2, 0, 1)[None].to(torch.float32, memory_format=torch.channels_last)
        return torch.addcmul(self._offset, batch, self._factor)

    def _input(self, pixels: Tensor) -> Tensor:
        """:meth:`sppdet.trunks.Trunk.input_tensor`, filled up to multiples; float32."""
        trunk, batch = self.trunk, self._normalized(pixels)
        height, width = (max(side, trunk.smallest_side) for side in batch.shape[2:])
        down, right = -height % trunk.multiple, -width % trunk.multiple
        missing = (0, width + right - batch.shape[3], 0, height + down - batch.shape[2])
        if any(missing):
            batch = nn.functional.pad(batch, missing)
        return batch.contiguous(memory_format=torch.channels_last)


def _name(kind: torch.dtype) -> str:
    names = {
        torch.float16: "half precision",
        torch.bfloat16: "bfloat16",
        torch.float32: "single precision",
    }
    return names[kind]
