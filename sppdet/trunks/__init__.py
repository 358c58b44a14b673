"""Convolutional trunks: an image in, one feature map out."""

import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sppdet.errors import SppdetError
from sppdet.images import Rgb
from sppdet.trunks.architectures import ARCHITECTURES
from sppdet.trunks.fully_connected import FullyConnected, Layer, make_head, pool5_level
from sppdet.trunks.geometry import MapGeometry, map_geometry
from sppdet.trunks.weights import (
    Preprocessing,
    Weights,
    digest,
    read_weights,
    torchvision_weights,
)

__all__ = [
    "ARCHITECTURES",
    "Layer",
    "MapGeometry",
    "Preprocessing",
    "Trunk",
    "build_trunk",
    "default_scales",
    "load_trunk",
    "map_geometry",
    "packaged_weights",
    "pool5_level",
]

SMALLEST_SIDE = 64
"""Images are padded to this side, in pixels, so that every trunk's map has at least one cell."""


@dataclass(frozen=True)
class Trunk:
    """A network in evaluation mode, with all that is needed to use its map.

    Attributes:
        name: its name in ``ARCHITECTURES``.
        network: maps (1, 3, H, W) to (1, channels, H', W').
        preprocessing: what the weights expect.
        geometry: where the map's cells lie.
        channels: depth of the map.
        origin: where the weights come from, in words.
        digest: a name of the weights' content.
        device: where the network lives.
        head: fully connected layers on top of pooled windows, if they are asked for.
    """

    name: str
    network: nn.Module
    preprocessing: Preprocessing
    geometry: MapGeometry
    channels: int
    origin: str
    digest: str
    device: torch.device
    head: FullyConnected | None = None

    rebuildable = True

    @property
    def layer(self) -> Layer:
        return (
            "pooled" if self.head is None else ("fc6" if len(self.head.classifier) == 1 else "fc7")
        )

    @property
    def levels(self):
        return None if self.head is None else (pool5_level(self.name),)

    def feature_length(self, bins: int) -> int:
        """Length of the features of a window that is pooled into ``bins`` bins."""
        return self.head.length if self.head is not None else bins * self.channels

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

        A side under ``SMALLEST_SIDE`` is filled up with zeros (the mean colour) at its far end.
        """
        batch = self.normalized(image)
        height, width = image.shape[:2]
        if height < SMALLEST_SIDE or width < SMALLEST_SIDE:
            missing = (0, max(SMALLEST_SIDE - width, 0), 0, max(SMALLEST_SIDE - height, 0))
            batch = nn.functional.pad(batch, missing)
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

        On a GPU the network runs in mixed precision.

        Raises:
            SppdetError: a map holds a value that is not finite.
        """
        with torch.autocast(self.device.type, torch.float16, enabled=self.device.type == "cuda"):
            result = self.network(batch)
        result = result.float()
        if not torch.isfinite(result.sum()):
            raise SppdetError(
                f"trunk {self.name}: its map holds values that are not finite; "
                f"the weights ({self.origin}) are damaged or of another network"
            )
        return result


def default_scales(name: str) -> tuple[int, ...]:
    """Short sides at which a detector sees an image by default, chosen on training photographs.

    The small trunk was trained on images of 32 to 64 pixels and wants its objects smaller than the
    trunks that were trained at 224 do.
    """
    return (320,) if name == "small" else (480,)


def load_trunk(
    name: str,
    weights: str | os.PathLike[str] | None = None,
    device: str | torch.device = "cpu",
    layer: Layer = "pooled",
) -> Trunk:
    """Build a trunk and give it weights.

    Args:
        name: a name in ``ARCHITECTURES``.
        weights: a file; None for the package's own (``small``) or torchvision's, downloaded on
            first use; ``"random"`` for random ones (seed 0), which are good for timing only.
        device: ``"cpu"``, ``"cuda"``, ...
        layer: ``"fc6"`` or ``"fc7"`` adds the fully connected layers up to there.

    Raises:
        SppdetError: an unknown name, no such layer, weights that do not fit, or no way to get them.
    """
    _builder(name)
    packaged = packaged_weights(name)
    if weights == "random":
        return build_trunk(name, None, device, layer)
    if weights is not None:
        return build_trunk(name, read_weights(weights), device, layer)
    if packaged is not None:
        return build_trunk(name, read_weights(packaged), device, layer)
    return build_trunk(name, torchvision_weights(name), device, layer)


def packaged_weights(name: str) -> Path | None:
    """The weights file that comes with the package for this trunk, if one does."""
    file = Path(str(resources.files("sppdet") / "weights" / f"{name}.safetensors"))
    return file if file.is_file() else None


def build_trunk(
    name: str,
    weights: Weights | None,
    device: str | torch.device = "cpu",
    layer: Layer = "pooled",
) -> Trunk:
    """Build a trunk with the given tensors, or with random ones (seed 0) for None.

    Tensors of the classifier's head are ignored; half precision is widened to float32.

    Raises:
        SppdetError: a tensor of the trunk is missing or has another shape.
    """
    build = _builder(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build()
        head = make_head(name, layer)
    if weights is not None:
        for module in (network, head):
            if module is not None:
                _fill(module, name, weights)
    network.eval().requires_grad_(False)
    with torch.inference_mode():
        channels = network(torch.zeros(1, 3, SMALLEST_SIDE, SMALLEST_SIDE)).shape[1]
    geometry = map_geometry(network)
    tensors = {**network.state_dict(), **(head.state_dict() if head is not None else {})}
    return Trunk(
        name=name,
        network=network.to(device, memory_format=torch.channels_last),
        preprocessing=weights.preprocessing if weights else Preprocessing(),
        geometry=geometry,
        channels=channels,
        origin=weights.origin if weights else "random",
        digest=digest(tensors),
        device=torch.device(device),
        head=head.to(device).eval().requires_grad_(False) if head is not None else None,
    )


def _fill(module: nn.Module, name: str, weights: Weights) -> None:
    """Give a module its tensors."""
    own = module.state_dict()
    for key, tensor in own.items():
        given = weights.tensors.get(key)
        if given is None:
            if key.endswith("num_batches_tracked"):
                continue
            raise SppdetError(f"{weights.origin}: has no {key}; are these the weights of {name}?")
        if given.shape != tensor.shape:
            raise SppdetError(
                f"{weights.origin}: {key} has the shape {tuple(given.shape)}, "
                f"a {name} wants {tuple(tensor.shape)}"
            )
        own[key] = given.to(tensor.dtype)
    module.load_state_dict(own)


def _builder(name: str):
    if name not in ARCHITECTURES:
        raise SppdetError(f"trunk {name}: unknown; choose one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]
