"""A trunk's network for a GPU: in half precision, from the pixels as they are to the map."""

import copy
import warnings

import torch
from torch import Tensor, nn

from sppdet.device.layers import fold_batch_norms, use_products, widen_input
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

    Attributes:
        kind: the type of the numbers in the network and in its maps.
    """

    def __init__(self, trunk: Trunk) -> None:
        self.trunk = trunk
        own = number_type(trunk.network)
        on_gpu = trunk.device.type == "cuda"
        self._kinds = list(KINDS) if on_gpu and own == torch.float32 else [own]
        self.settled = len(self._kinds) == 1
        chosen, device = trunk.preprocessing, trunk.device
        std = torch.tensor(chosen.std, device=device)
        self._factor = (chosen.scale / 255 / std)[:, None, None]
        self._offset = -(torch.tensor(chosen.mean, device=device) / std)[:, None, None]
        self._convert()

    @property
    def kind(self) -> torch.dtype:
        """See the class."""
        return self._kinds[0]

    def map(self, pixels: Tensor) -> Tensor:
        """The map of an image; nothing waits for the device.

        Args:
            pixels: (H, W, 3) uint8 RGB, on the device.

        Returns:
            (rows, columns, channels) of type :attr:`kind`, contiguous, as
            :meth:`sppdet.trunks.Trunk.map` gives it to rounding.
        """
        batch = self._input(pixels).to(self.kind)
        if self._widened:
            batch = nn.functional.pad(batch, (0, 0, 0, 0, 0, 1))
        result: Tensor = self._network(batch)
        return result[0].permute(1, 2, 0).contiguous()

    def settle(self, pixels: Tensor) -> None:
        """Choose the precision by one image: the first whose map agrees with single precision.

        Waits for the device. A warning says that it is not the first one.

        Raises:
            SppdetError: the map holds values that are not finite in single precision too.
        """
        if self.settled:
            return
        wanted = self.trunk.network(self._input(pixels))[0].permute(1, 2, 0).float()
        if not torch.isfinite(wanted.sum()):
            raise self.damaged()
        while len(self._kinds) > 1:
            try:
                distance = (self.map(pixels).float() - wanted).norm()
            except RuntimeError:  # an operation that there is not in this precision
                distance = wanted.new_tensor(torch.inf)
            if bool(distance <= TOLERANCE * wanted.norm()):
                break
            self.demote(self.kind)
        self.settled = True

    def demote(self, kind: torch.dtype) -> None:
        """Leave a precision in which a map was not finite, unless that has happened already.

        Raises:
            SppdetError: there is no other precision.
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
        self._network = _converted(self.trunk.network, self.kind)
        on_gpu = self.trunk.device.type == "cuda"
        self._widened = on_gpu and self.kind != torch.float32 and widen_input(self._network)

    def damaged(self) -> SppdetError:
        """The error of a map that holds values that are not finite in any precision."""
        return SppdetError(
            f"trunk {self.trunk.name}: its map holds values that are not finite; "
            f"the weights ({self.trunk.origin}) are damaged or of another network"
        )

    def _input(self, pixels: Tensor) -> Tensor:
        """:meth:`sppdet.trunks.Trunk.input_tensor`, filled up to multiples; float32."""
        trunk = self.trunk
        if trunk.preprocessing.channels == "BGR":
            pixels = pixels.flip(2)
        batch = pixels.permute(2, 0, 1)[None].to(torch.float32, memory_format=torch.channels_last)
        batch = torch.addcmul(self._offset, batch, self._factor)
        height, width = (max(side, trunk.smallest_side) for side in batch.shape[2:])
        down, right = -height % trunk.multiple, -width % trunk.multiple
        missing = (0, width + right - batch.shape[3], 0, height + down - batch.shape[2])
        if any(missing):
            batch = nn.functional.pad(batch, missing)
        return batch.contiguous(memory_format=torch.channels_last)


class _Single(nn.Module):
    """A layer whose steps need the range of single precision, in a network of another precision."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = self.layer(maps.float())
        return result.to(maps.dtype)


def _converted(network: nn.Module, kind: torch.dtype) -> nn.Module:
    """A copy of the network with numbers of another type, and fewer layers where that is easy."""
    network = copy.deepcopy(network).eval()
    fold_batch_norms(network)
    use_products(network)
    network = network.to(dtype=kind, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if kind != torch.float32:
        for module in list(network.modules()):
            for name, layer in module.named_children():
                # It divides by sums of squares.
                if type(layer) is nn.LocalResponseNorm:
                    setattr(module, name, _Single(layer))
    return network


def _name(kind: torch.dtype) -> str:
    names = {
        torch.float16: "half precision",
        torch.bfloat16: "bfloat16",
        torch.float32: "single precision",
    }
    return names[kind]
