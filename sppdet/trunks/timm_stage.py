"""Trunks from the networks of timm: the map of one stage, with timm's weights and preprocessing.

The name of such a trunk is ``timm:NAME`` or ``timm:NAME@STAGE``. NAME is one of timm's registry
(``timm.list_models()``), with or without the tag of its weights (``resnet50.a1_in1k``). Stages are
counted as timm counts its features, from 0; in a vision transformer each block is a stage.
"""

from dataclasses import dataclass, replace
from difflib import get_close_matches
from math import log2
from typing import Any, cast

import torch
from torch import Tensor, nn

from sppdet.errors import SppdetError
from sppdet.trunks.custom import make_trunk, one_line
from sppdet.trunks.geometry import MapGeometry
from sppdet.trunks.perturbation import growth_stride, perturbed_geometry
from sppdet.trunks.specs import TIMM, TrunkSpec
from sppdet.trunks.trunk import Trunk
from sppdet.trunks.weights import Preprocessing, Weights

STRIDE = 16
"""The default stage is the last one of this stride in pixels, or of the stride nearest to it."""

_PATCH_SIDE = 224
"""A height and width in pixels that transformers with patches of 7, 8, 14, 16, 28 or 32 px take."""

_ANY_SIZE: tuple[dict[str, Any], ...] = (
    {"dynamic_img_size": True},
    {"strict_img_size": False},
    {},
)
"""Arguments with which networks take images of any size; most need none."""


class TimmStage(nn.Module):
    """The map of one stage of a timm network, (B, 3, H, W) to (B, channels, H', W').

    A vision transformer's patch tokens form the map, after its last layer norm; its class and
    register tokens are dropped.
    """

    def __init__(self, network: nn.Module, stage: int) -> None:
        super().__init__()
        able: Any = network
        self._kept = able.prune_intermediate_layers([stage], prune_norm=False, prune_head=True)
        self.network = network

    def forward(self, batch: Tensor) -> Tensor:
        """See the class."""
        able: Any = self.network
        (result,) = able.forward_intermediates(
            batch, indices=self._kept, norm=True, output_fmt="NCHW", intermediates_only=True
        )
        return cast(Tensor, result)


@dataclass(frozen=True)
class _Built:
    """A network that is cut behind its stage."""

    name: str
    network: TimmStage
    preprocessing: Preprocessing
    side: int


def load_timm(
    name: str, weights: Weights | None, device: str | torch.device, *, random: bool = False
) -> Trunk:
    """The trunk of a name ``timm:NAME`` or ``timm:NAME@STAGE``.

    Args:
        name: see the module.
        weights: tensors of the whole network under timm's names; None for those that timm
            downloads.
        device: ``"cpu"``, ``"cuda"``, ...
        random: random weights (seed 0) in place of both.

    Raises:
        SppdetError: timm is not installed, it has no such network or stage, the weights do not fit
            or cannot be downloaded, or the cells of the map do not lie on a regular grid.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built = _build(name, weights, random)
    origin = weights.origin if weights else "random" if random else "timm"
    return _trunk(built, _patch_geometry(built.network), origin, device)


def restore_timm(
    name: str, weights: Weights, geometry: MapGeometry, device: str | torch.device
) -> Trunk:
    """The trunk whose ``Trunk.state()``, preprocessing and geometry these are.

    Raises:
        SppdetError: timm is not installed, or has no such network or stage any more.
        ValueError: the tensors are not those of the network.
    """
    built = _build(name, None, random=True)
    try:
        built.network.load_state_dict(weights.tensors)
    except RuntimeError as error:
        raise ValueError(one_line(error)) from None
    built = replace(built, preprocessing=weights.preprocessing)
    return _trunk(built, geometry, weights.origin, device)


def _trunk(
    built: _Built, geometry: MapGeometry | None, origin: str, device: str | torch.device
) -> Trunk:
    try:
        trunk = make_trunk(
            built.network, built.preprocessing, geometry, name=built.name, device=device
        )
    except SppdetError as error:
        reason = str(error).partition("; ")[0]  # the remedies are those of a network of one's own
        raise SppdetError(f"{reason}; choose another --stage or another network") from None
    # R-CNN's context is 16 px in a crop of 227 (R-CNN paper, appendix A).
    context = round(16 / 227 * built.side)
    trunk = replace(
        trunk,
        spec=TrunkSpec(built.name, weights="timm", crop=built.side, context=context),
        origin=origin,
    )
    return replace(trunk, multiple=working_multiple(trunk))


def _build(name: str, weights: Weights | None, random: bool) -> _Built:
    """The network of a name with its weights, see :func:`load_timm`."""
    try:
        import timm
    except ImportError:
        raise SppdetError(
            f"trunk {name}: its network comes from timm, which is not installed; "
            "pip install 'sppdet[timm]'"
        ) from None
    chosen, _, stage = name.removeprefix(TIMM).partition("@")
    if not chosen or not timm.is_model(chosen):
        near = get_close_matches(chosen, timm.list_models(), 3)
        raise SppdetError(
            f"trunk {name}: timm {timm.__version__} has no network {chosen!r}"
            f"{'; it has ' + ', '.join(near) if near else ''}; timm.list_models() names all"
        )
    try:
        network = _create(chosen, weights, random)
    except Exception as error:  # of the network, of the file, of the connection: many types
        reason = one_line(error)
        if weights is not None:
            line = f"{weights.origin}: are these the weights of {name}? ({reason})"
        elif random:
            line = f"trunk {name}: timm cannot build it ({reason})"
        else:
            line = (
                f"trunk {name}: timm could not download its weights ({reason}); give "
                "--weights FILE, or use --trunk lite0, whose weights are installed"
            )
        raise SppdetError(line) from None
    config: dict[str, Any] = network.pretrained_cfg
    network.pretrained_cfg = network.default_cfg = {}  # it may hold the tensors of the file
    tag = config.get("tag") or ""
    full = chosen if "." in chosen or not tag else f"{chosen}.{tag}"
    depth, *sides = config["input_size"]
    if depth != 3 or len(set(sides)) != 1:
        raise SppdetError(f"trunk {name}: takes {config['input_size']} and not colour squares")
    index = _stage(name, stage, [info["reduction"] for info in network.feature_info])
    preprocessing = Preprocessing(mean=tuple(config["mean"]), std=tuple(config["std"]))
    return _Built(f"{TIMM}{full}@{index}", TimmStage(network, index), preprocessing, sides[0])


def _create(chosen: str, weights: Weights | None, random: bool) -> Any:
    import timm

    overlay = {"state_dict": weights.tensors} if weights is not None else None
    for arguments in _ANY_SIZE:
        try:
            return timm.create_model(
                chosen, pretrained=not random, pretrained_cfg_overlay=overlay, **arguments
            )
        except TypeError:  # it has no such argument
            if not arguments:
                raise
    raise AssertionError


def _stage(name: str, text: str, strides: list[int]) -> int:
    """The index of the stage that a name asks for, or the default one."""
    if text:
        if not text.isdecimal() or int(text) >= len(strides):
            shown = ", ".join(map(str, strides))
            raise SppdetError(
                f"trunk {name}: there is no stage {text}; its stages 0 to {len(strides) - 1} have "
                f"the strides {shown}"
            )
        return int(text)
    return min(range(len(strides)), key=lambda index: (abs(log2(strides[index] / STRIDE)), -index))


def _patch_geometry(stage: TimmStage) -> MapGeometry | None:
    """The geometry of a transformer's patches where they are the cells of the map; None elsewhere.

    Attention makes every cell depend on every pixel, but leaves each token at the place of its
    patch. Perturbing pixels before the attention therefore finds the cells exactly.
    """
    patches = _Patches(stage.network)
    side = _PATCH_SIDE
    try:
        geometry = perturbed_geometry(patches, side)
        same = geometry.stride == growth_stride(stage, side)
    except (AttributeError, RuntimeError, AssertionError, ValueError, SppdetError):
        return None
    return geometry if same else None


class _Patches(nn.Module):
    """The patch embedding of a transformer as a map (B, channels, H', W')."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Tensor) -> Tensor:
        able: Any = self.network
        result: Tensor = able.patch_embed(batch)
        if result.ndim != 4:
            raise ValueError("its patches are no map")
        # Transformers that take any size put the channels last.
        return result.permute(0, 3, 1, 2)


def working_multiple(trunk: Trunk) -> int:
    """The smallest multiple of the stride, up to fourfold, that the sides of images must be of.

    Networks whose branches meet again behind the stage's stride want more than the stride.

    Raises:
        SppdetError: the network takes only some of these sizes, such as those of a window.
    """
    stride, reason = trunk.geometry.stride, ""
    for multiple in (stride, 2 * stride, 4 * stride):
        rows = -(-trunk.smallest_side // multiple) + 1
        image = torch.zeros(1, 3, rows * multiple, (rows + 2) * multiple, device=trunk.device)
        expected = tuple(side // stride for side in image.shape[2:])
        try:
            cells = tuple(replace(trunk, multiple=multiple).maps(image).shape[2:])
        except (RuntimeError, AssertionError, ValueError) as error:
            reason = reason or one_line(error)
            continue
        if cells == expected:
            return multiple
        reason = reason or f"a map of {cells} cells in place of {expected}"
    raise SppdetError(
        f"trunk {trunk.name}: does not take images of any size ({reason}); choose another network"
    )
