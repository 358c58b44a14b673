"""From the name of a trunk and its weights to the trunk."""

import os
from collections import OrderedDict
from importlib import resources
from pathlib import Path

import torch
from torch import nn

from sppdet.errors import SppdetError
from sppdet.trunks.efficientnet_lite import package_weights
from sppdet.trunks.fully_connected import FullyConnected
from sppdet.trunks.geometry import map_geometry
from sppdet.trunks.specs import SPECS, Layer, TrunkSpec, pool5_level, trunk_spec
from sppdet.trunks.trunk import SMALLEST_SIDE, Trunk
from sppdet.trunks.weights import (
    Preprocessing,
    Weights,
    digest,
    read_weights,
    torchvision_weights,
)


def load_trunk(
    name: str,
    weights: str | os.PathLike[str] | None = None,
    device: str | torch.device = "cpu",
    layer: Layer = "pooled",
) -> Trunk:
    """Build a trunk and give it weights.

    Args:
        name: a name in ``SPECS``, or ``timm:NAME`` (:mod:`sppdet.trunks.timm_stage`).
        weights: a file; None for those that are installed (``small``, ``lite0``), or torchvision's
            or timm's, downloaded on first use; ``"random"`` for random ones (seed 0), which are
            good for timing only.
        device: ``"cpu"``, ``"cuda"``, ...
        layer: ``"fc6"`` or ``"fc7"`` adds the fully connected layers up to there.

    Raises:
        SppdetError: an unknown name, no such layer, weights that do not fit, or no way to get them.
    """
    spec = trunk_spec(name)
    if layer != "pooled":
        pool5_level(name)  # before a download
    packaged = packaged_weights(name)
    if spec.weights == "timm":
        from sppdet.trunks.timm_stage import load_timm

        random = weights == "random"
        given = None if random or weights is None else read_weights(weights)
        return load_timm(name, given, device, random=random)
    if weights == "random":
        return build_trunk(name, None, device, layer)
    if weights is not None:
        try:
            return build_trunk(name, read_weights(weights), device, layer)
        except SppdetError as error:
            named = str(weights) in str(error)
            raise SppdetError(str(error) if named else f"{weights}: {error}") from None
    if packaged is not None:
        return build_trunk(name, read_weights(packaged), device, layer)
    if spec.weights in ("efficientnet-lite0", "efficientnet-lite2"):
        size = spec.weights.removeprefix("efficientnet-")
        return build_trunk(name, package_weights(size), device, layer)
    if spec.weights == "torchvision":
        return build_trunk(name, torchvision_weights(name), device, layer)
    raise SppdetError(f"trunk {name}: there are no ready weights to download; give --weights FILE")


def packaged_weights(name: str) -> Path | None:
    """The weights file that comes with the package for this trunk, if one does."""
    if name not in SPECS or SPECS[name].weights != "packaged":
        return None
    return Path(str(resources.files("sppdet") / "weights" / f"{name}.safetensors"))


def comes_installed(name: str) -> bool:
    """Whether a trunk's weights come with sppdet or with a package that it depends on."""
    return name in SPECS and SPECS[name].weights in ("packaged", "efficientnet-lite0")


def build_trunk(
    name: str,
    weights: Weights | None,
    device: str | torch.device = "cpu",
    layer: Layer = "pooled",
) -> Trunk:
    """Build a named trunk with the given tensors, or with random ones (seed 0) for None.

    Tensors of the classifier's head are ignored; half precision is widened to float32.

    Raises:
        SppdetError: an unknown name, no such layer, or a tensor of the trunk is missing or has
            another shape.
    """
    spec = trunk_spec(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(spec)
        head = _make_head(spec, layer)
    if weights is not None:
        weights = spec.converter(weights) if spec.converter else weights
        for module in (network, head):
            if module is not None:
                _fill(module, name, weights)
    network.eval().requires_grad_(False)
    with torch.inference_mode():
        channels = network(torch.zeros(1, 3, SMALLEST_SIDE, SMALLEST_SIDE)).shape[1]
    geometry = map_geometry(network)
    tensors = {**network.state_dict(), **(head.state_dict() if head is not None else {})}
    return Trunk(
        spec=spec,
        network=network.to(device, memory_format=torch.channels_last),  # type: ignore[call-overload]
        preprocessing=weights.preprocessing if weights else Preprocessing(),
        geometry=geometry,
        channels=channels,
        origin=weights.origin if weights else "random",
        digest=digest(tensors),
        device=torch.device(device),
        head=head.to(device).eval().requires_grad_(False) if head is not None else None,
        multiple=spec.multiple,
    )


def build_network(spec: TrunkSpec) -> nn.Module:
    """The network of a row with random weights, cut behind its last layer.

    Parameters keep their names (``features.0.weight``), so that a whole classifier's weights load
    into its trunk.
    """
    assert spec.builder is not None, f"{spec.name} cannot be built from its name"
    network = spec.builder(spec.name)
    return network if spec.last_layer is None else cut_behind(network, spec.last_layer)


def cut_behind(network: nn.Module, last_layer: str) -> nn.Sequential:
    """The children of a network, in their order, up to a submodule such as ``features.11``.

    The network, and each child on the way to the submodule, must be a chain of its children.
    """
    first, _, rest = last_layer.partition(".")
    kept: OrderedDict[str, nn.Module] = OrderedDict()
    for name, child in network.named_children():
        if name == first:
            kept[name] = cut_behind(child, rest) if rest else child
            return nn.Sequential(kept)
        kept[name] = child
    raise ValueError(f"{type(network).__name__} has no child {first}")


def _make_head(spec: TrunkSpec, layer: Layer) -> FullyConnected | None:
    if layer == "pooled":
        return None
    pool5_level(spec.name)
    assert spec.fully_connected is not None
    return FullyConnected(spec.fully_connected, layer)


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
