"""A trunk from any network that maps an image to a map."""

import copy

import torch
from torch import Tensor, nn

from sppdet.errors import SppdetError
from sppdet.settings import SppSettings
from sppdet.trunks.geometry import MapGeometry, map_geometry
from sppdet.trunks.perturbation import growth_stride, perturbed_geometry
from sppdet.trunks.specs import SPECS, TrunkSpec
from sppdet.trunks.trunk import Trunk, number_type
from sppdet.trunks.weights import Preprocessing, digest

_SIDES = (64, 112, 128, 224, 448)
"""Sides in pixels that are tried, the smallest first; a vision transformer takes only multiples of
its patches' side."""

_LONG = 896
"""A multiple of all usual strides, in pixels."""


def make_trunk(
    network: nn.Module,
    preprocessing: Preprocessing,
    geometry: MapGeometry | None = None,
    *,
    name: str = "custom",
    scales: tuple[int, ...] = TrunkSpec.scales,
    device: str | torch.device = "cpu",
) -> Trunk:
    """A trunk of one's own.

    The network becomes a part of the trunk: it moves to the device and into evaluation mode, and
    its parameters no longer want a gradient.

    Args:
        network: maps (B, 3, H, W) of any size to (B, channels, H', W').
        preprocessing: what its weights expect.
        geometry: where the map's cells lie. By default it is derived from the network's layers, or
            found by perturbing pixels where the layers cannot be followed. In that case, and when
            it is given, the trunk fills images up to multiples of the stride, because the cells of
            such a network may move with the size of the image.
        name: what messages and the detector's file call the trunk.
        scales: short sides in pixels at which SPP-net sees an image.
        device: ``"cpu"``, ``"cuda"``, ...

    Raises:
        SppdetError: the network does not give such maps, the name belongs to another trunk, or the
            geometry cannot be found or does not fit.
    """
    if not isinstance(network, nn.Module):
        raise SppdetError(f"network: a torch.nn.Module is wanted, not a {type(network).__name__}")
    if not isinstance(preprocessing, Preprocessing):
        raise SppdetError(
            f"preprocessing: a sppdet.trunks.Preprocessing is wanted, not {preprocessing!r:.80}"
        )
    if geometry is not None and not isinstance(geometry, MapGeometry):
        raise SppdetError(f"geometry: give MapGeometry(stride, first_center), not {geometry!r:.80}")
    if geometry is not None and not -_LONG <= geometry.first_center <= _LONG:
        raise SppdetError(
            f"geometry: its first centre, {geometry.first_center}, is far from the image"
        )
    if not isinstance(name, str) or not name:
        raise SppdetError(f"name={name!r}: give the trunk a name")
    SppSettings(scales=tuple(scales))  # refuses sides that are not whole numbers
    if name in SPECS:
        raise SppdetError(f"name={name!r}: another trunk has this name; choose a new one")
    network.eval().requires_grad_(False).cpu()
    # The search for the geometry needs the range of single precision.
    single = number_type(network) == torch.float32
    probed = network if single else copy.deepcopy(network).float()
    side, channels = _smallest_side(probed, name)
    multiple = 1
    if geometry is None:
        geometry = _followed_geometry(probed, side)
        if geometry is None:
            geometry = _perturbed_geometry(probed, side, name)
            multiple = geometry.stride
    else:
        multiple = geometry.stride
        grows = growth_stride(probed, side)
        if geometry.stride != round(grows):
            raise SppdetError(
                f"geometry: its stride is {geometry.stride}, but the map of the network {name} "
                f"grows by one cell every {grows:.3g} px"
            )
    return Trunk(
        spec=TrunkSpec(name, scales=tuple(scales)),
        network=network.to(device, memory_format=torch.channels_last),  # type: ignore[call-overload]
        preprocessing=preprocessing,
        geometry=geometry,
        channels=channels,
        origin=f"given with a {type(network).__name__}",
        digest=digest(network.state_dict()),
        device=torch.device(device),
        smallest_side=side,
        multiple=multiple,
    )


def _followed_geometry(network: nn.Module, side: int) -> MapGeometry | None:
    """The geometry from the network's graph; None where it cannot be followed."""
    try:
        geometry = map_geometry(network)
    except Exception:  # the tracer runs the network's own code, which may raise anything
        return None
    return geometry if geometry.stride == round(growth_stride(network, side)) else None


def _perturbed_geometry(network: nn.Module, side: int, name: str) -> MapGeometry:
    try:
        return perturbed_geometry(network, side)
    except (SppdetError, RuntimeError) as error:
        raise SppdetError(
            f"network {name}: where its map's cells lie cannot be found "
            f"({one_line(error)}); give geometry=MapGeometry(stride, first_center)"
        ) from None


def _smallest_side(network: nn.Module, name: str) -> tuple[int, int]:
    """The smallest side in pixels that the network takes, and the channels of its map.

    Raises:
        SppdetError: the network does not map images of any size to maps.
    """
    for side in _SIDES:
        try:
            small = _output(network, side, side)
        except Exception as error:  # the network's own code may raise anything
            reason = one_line(error)
            continue
        channels = _checked(small, name)
        break
    else:
        raise SppdetError(f"network {name}: does not run on images of {side} px: {reason}")
    try:
        long = _output(network, side, _LONG)
    except Exception as error:
        raise SppdetError(
            f"network {name}: runs on {side} x {side} px, but not on {_LONG} x {side} px "
            f"({one_line(error)}); a trunk must take images of any size"
        ) from None
    if long.shape[2] > small.shape[2] and long.shape[3] == small.shape[3]:
        raise SppdetError(
            f"network {name}: its output {tuple(small.shape)} has the channels last; return "
            "output.permute(0, 3, 1, 2)"
        )
    if long.shape[:3] != small.shape[:3] or long.shape[3] <= small.shape[3]:
        raise SppdetError(
            f"network {name}: its output is not a map that grows with the image: "
            f"{tuple(small.shape)} for {side} x {side} px, {tuple(long.shape)} for "
            f"{_LONG} x {side} px; cut the network before its global pooling"
        )
    return side, channels


def _output(network: nn.Module, height: int, width: int) -> Tensor:
    with torch.inference_mode():
        output: Tensor = network(torch.zeros(1, 3, height, width))
    return output


def _checked(output: object, name: str) -> int:
    """The channels of an output that may be a map."""
    wanted = "a trunk's network returns one map (B, channels, H', W')"
    if not isinstance(output, Tensor):
        raise SppdetError(
            f"network {name}: returns a {type(output).__name__}; {wanted}, so wrap it and return "
            "the one that you want"
        )
    if output.ndim == 3:
        raise SppdetError(
            f"network {name}: returns tokens {tuple(output.shape)}; {wanted}, so leave out the "
            "class token and reshape the others to the grid of the patches"
        )
    if output.ndim != 4 or output.shape[0] != 1 or output.numel() == 0:
        raise SppdetError(f"network {name}: returns the shape {tuple(output.shape)}; {wanted}")
    return output.shape[1]


def one_line(error: Exception) -> str:
    """The text of an error in one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__
