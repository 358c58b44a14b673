"""Options that decide how regions are seen: ``--levels``, ``--pooling``, ``--window-mapping``."""

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sppdet.cli.options import parse_numbers
from sppdet.errors import SppdetError
from sppdet.settings import CropMode, RcnnSettings, SppSettings

if TYPE_CHECKING:
    from typer import Context

    from sppdet.detector import Detector
    from sppdet.features.regions import RegionExtractor
    from sppdet.trunks import Trunk

LARGEST_LEVEL = 64
"""Bins per side that a model file may have."""


ONE_METHOD = {
    "scales": ("spp", "R-CNN sees every box at one size"),
    "longest_side": ("spp", "R-CNN sees every box at one size"),
    "window_mapping": ("spp", "R-CNN crops boxes from the image and has no windows on a map"),
    "crop": ("rcnn", "SPP-net has windows on a map and crops nothing from the image"),
}
"""Options of ``sppdet train`` that one method has, and why the other does not have them."""


def refuse_other_method(context: "Context", method: str) -> None:
    """Refuse options on the command line that the method does not have.

    Raises:
        SppdetError: names the first, the method that has it, and why the other one does not.
    """
    for name, (own, why) in ONE_METHOD.items():
        source = context.get_parameter_source(name)
        if own != method and source is not None and source.name == "COMMANDLINE":
            option = f"--{name.replace('_', '-')} {context.params[name]}"
            title = "SPP-net" if own == "spp" else "R-CNN"
            raise SppdetError(
                f"{option}: belongs to {title}; {why}. Leave it out, or give --method {own}"
            )


def pyramid_settings(
    layer: str, trunk: "Trunk", levels: str | None, pooling: str | None
) -> dict[str, Any]:
    """The settings ``levels`` and ``pooling`` of the region features.

    Args:
        layer: of :data:`sppdet.cli.choices.LAYERS`.
        trunk: loaded.
        levels, pooling: the options; None for the default.

    Raises:
        SppdetError: the layer has a pooling of its own, or a level cannot be.
    """
    from sppdet.cli.common import layer_settings

    own = layer_settings(layer, trunk.name)
    if levels is not None and own:
        raise SppdetError(f"--levels {levels}: belongs to --layer pyramid, not to {layer}")
    if trunk.levels is not None and pooling not in (None, "max"):
        raise SppdetError(
            f"--pooling {pooling}: {layer} of {trunk.name} was trained on maxima; use --layer "
            "pyramid or pool5"
        )
    if levels is not None:
        own["levels"] = parse_numbers(levels, "--levels", "1,2,4")
        if max(own["levels"]) > LARGEST_LEVEL or len(own["levels"]) > LARGEST_LEVEL:
            raise SppdetError(f"--levels {levels}: give at most {LARGEST_LEVEL} bins a side")
    return own | ({"pooling": pooling} if pooling is not None else {})


def spp_extractor(trunk: "Trunk", sides: tuple[int, ...], **settings: Any) -> "RegionExtractor":
    """SPP-net's features at these short sides of the image, in pixels.

    Raises:
        SppdetError: a side is under 32 px, or longer than ``longest_side`` of the settings.
    """
    from sppdet.features.spp import SppRegionFeatures

    longest = settings["longest_side"]
    if not 32 <= min(sides) <= max(sides) <= longest:
        raise SppdetError(
            f"--scales {','.join(map(str, sides))}: give sides from 32 px to the longer side's "
            f"limit, --longest-side {longest}"
        )
    return SppRegionFeatures(trunk, SppSettings(sides, **settings))


def with_choices(
    detector: "Detector",
    levels: str | None = None,
    pooling: str | None = None,
    mapping: str | None = None,
) -> "Detector":
    """A detector that sees regions as the options say, if its heads need not be trained again.

    Only the window mapping can be another one: the heads' weights then meet features of the same
    kind from windows that are a little larger or smaller.

    Raises:
        SppdetError: the heads have learned from other levels or another pooling, or the detector is
            R-CNN, which has no windows.
    """
    settings = detector.extractor.to_json()
    own_levels = tuple(settings["levels"])
    own_pooling = settings.get("pooling", "max")
    if levels is not None and parse_numbers(levels, "--levels", "1,2,4", True) != own_levels:
        parse_numbers(levels, "--levels", "1,2,4")  # no model has a level twice
        shown = ",".join(map(str, own_levels))
        raise SppdetError(
            f"--levels {levels}: the model's heads have one weight for each bin of the levels "
            f"{shown}; train a model with --levels {levels}"
        )
    if pooling is not None and pooling != own_pooling:
        raise SppdetError(
            f"--pooling {pooling}: the model's heads have learned from {own_pooling} pooling, "
            f"whose values have another size; train a model with --pooling {pooling}"
        )
    if mapping is None:
        return detector
    from sppdet.features.spp import SppRegionFeatures

    extractor = detector.extractor
    if not isinstance(extractor, SppRegionFeatures):
        raise SppdetError(
            f"--window-mapping {mapping}: the model is R-CNN, which crops boxes from the image and "
            "has no windows on a map; leave it out"
        )
    changed = copy.copy(detector)
    chosen = replace(extractor.settings, mapping=mapping)  # type: ignore[arg-type]
    changed.extractor = SppRegionFeatures(extractor.trunk, chosen)
    return changed


def rcnn_extractor(trunk: "Trunk", **settings: Any) -> "RegionExtractor":
    """R-CNN's features with the crops that suit the trunk."""
    from sppdet.features.rcnn import RcnnRegionFeatures

    return RcnnRegionFeatures(trunk, RcnnSettings(trunk.spec.crop, trunk.spec.context, **settings))


def tell_repeats(levels: tuple[int, ...], what: str, cells: int | None) -> None:
    """Print a note where levels have more bins a side than a map has cells.

    Args:
        levels: bins a side.
        what: whose map it is, for the line.
        cells: of the map's short side, or None where they are not known.
    """
    from sppdet.cli.progress import console

    larger = [level for level in levels if cells is not None and level > cells]
    if larger:
        console.print(
            f"note: --levels {','.join(map(str, levels))}: the map of {what} has {cells} cells on "
            f"its short side, so that bins of level {', '.join(map(str, larger))} repeat cells",
            markup=False,
            soft_wrap=True,
        )


def training_extractor(
    method: str,
    trunk: "Trunk",
    sides: tuple[int, ...],
    longest_side: int,
    mapping: str | None,
    crop: CropMode,
    **features: Any,
) -> tuple["RegionExtractor", str]:
    """The features of ``sppdet train`` and what they are, in words.

    Args:
        method: ``"rcnn"`` or ``"spp"``.
        trunk: loaded.
        sides, longest_side, mapping: of SPP-net; a mapping of None is the paper's.
        crop: of R-CNN.
        **features: settings of both.

    Raises:
        SppdetError: a side cannot be.
    """
    if method == "rcnn":
        seen = f"R-CNN, {trunk.name} on {crop} crops of {trunk.spec.crop} px"
        return rcnn_extractor(trunk, mode=crop, **features), seen
    seen = f"SPP-net, {trunk.name} at {','.join(map(str, sides))} px"
    features |= {"longest_side": longest_side, "mapping": mapping or "paper"}
    return spp_extractor(trunk, sides, **features), seen
