"""What commands share when they work with a network: devices, threads, layers.

This module imports PyTorch. A command imports it in its function, after the command line is parsed.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from PIL import Image

from sppdet.cli.progress import console
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.heads.connected import Connected, ConnectedSvms
from sppdet.heads.linear import LinearSvms
from sppdet.runtime.processor import has_bfloat16
from sppdet.settings import ConnectedSettings
from sppdet.trunks import Layer, Trunk, load_trunk, pool5_level, trunk_spec
from sppdet.trunks.fully_connected import FullyConnected
from sppdet.trunks.specs import TIMM
from sppdet.trunks.trunk import Precision


def choose_device(name: str | None) -> torch.device:
    """The device called ``name``; None means a GPU when there is one.

    Raises:
        SppdetError: there is no such device.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise SppdetError(f"--device {name}: there is no such device here; try cpu") from None
    return device


def checked_precision(name: str, device: torch.device) -> Precision:
    """The value of ``--precision``; a note where it takes longer than single precision."""
    if name == "bfloat16" and device.type == "cpu" and has_bfloat16() is False:
        console.print("note: this processor has no instructions for bfloat16: it takes longer")
    return cast(Precision, name)


def load_detector(path: Path, device: torch.device, precision: str) -> Detector:
    """The detector of a file, with the numbers of ``--precision``.

    Raises:
        SppdetError: the file is no detector, or the device is a GPU, which has its own precision.
    """
    return Detector.load(path, device).in_precision(checked_precision(precision, device))


def trunk_to_train(
    name: str, weights: str | None, device: torch.device, layer: str, own: bool, precision: str
) -> tuple[Trunk, FullyConnected | None]:
    """The trunk of a training, and the layers from which fully connected heads start.

    Args:
        layer, own: what :func:`layer_of_heads` gives.
    """
    loaded = load_trunk(name, weights, device, "fc7" if own else made_by(layer))
    loaded = loaded.in_precision(checked_precision(precision, device))
    return (replace(loaded, head=None), loaded.head) if own else (loaded, None)


def images_at_a_time(device: torch.device, workers: int | None = None) -> int:
    """How many images to work on side by side: on a CPU one per core, each on one thread.

    That uses the cores better than all of them for one image; it sets torch's threads. On a GPU one
    per core, from 2 to 16, are read and searched beside its work, if its memory has 2 GB for each.
    """
    if device.type == "cuda" and workers is None:
        memory = torch.cuda.get_device_properties(device).total_memory
        return max(min(os.cpu_count() or 2, 16, memory >> 31), 2)
    if device.type != "cpu":
        return workers or 2
    count = workers or torch.get_num_threads()
    torch.set_num_threads(max(torch.get_num_threads() // count, 1))
    return count


def limit_pixels(number: int | None) -> None:
    """Let this process refuse images with more than ``number`` pixels; None keeps the default.

    The limit is Pillow's own, which is one for the process; from Python it is
    ``PIL.Image.MAX_IMAGE_PIXELS``, above twice of which Pillow refuses an image.
    """
    if number is not None:
        Image.MAX_IMAGE_PIXELS = -(-number // 2)


def with_stage(trunk: str, stage: int | None) -> str:
    """The name of a trunk with the stage of ``--stage``.

    Raises:
        SppdetError: the trunk has no stages to choose from.
    """
    if stage is None:
        return trunk
    if not trunk.startswith(TIMM) or "@" in trunk:
        raise SppdetError(f"--stage {stage}: belongs to --trunk timm:NAME, not to {trunk}")
    return f"{trunk}@{stage}"


def made_by(layer: str) -> Layer:
    """What a trunk needs for a layer of :data:`sppdet.cli.choices.LAYERS`."""
    return {"fc6": "fc6", "fc7": "fc7"}.get(layer, "pooled")  # type: ignore[return-value]


def layer_settings(layer: str, trunk: str) -> dict[str, Any]:
    """The settings of the region features for a layer of :data:`sppdet.cli.choices.LAYERS`.

    Raises:
        SppdetError: the trunk has no such layer.
    """
    if layer == "pyramid":
        return {}
    return {"levels": (pool5_level(trunk),)}


def layer_of_heads(heads: str, layer: str, trunk: str, units: int | None) -> tuple[str, bool]:
    """The layer on which heads of :data:`sppdet.cli.choices.HEADS` are trained.

    Args:
        heads, layer, trunk, units: the options of these names.

    Returns:
        A layer of :data:`sppdet.cli.choices.LAYERS`, and whether fully connected heads start from
        the trunk's own fc6 and fc7, which take its pool5.

    Raises:
        SppdetError: the options contradict each other.
    """
    if heads == "svm":
        if units is not None:
            raise SppdetError(f"--units {units}: belongs to --heads connected and connected-svm")
        return layer, False
    if layer in ("fc6", "fc7"):
        raise SppdetError(
            f"--layer {layer}: the heads {heads} have fully connected layers of their own; leave "
            "--layer out"
        )
    own = units is None and trunk_spec(trunk).fully_connected is not None
    return ("pool5" if own else layer), own


def recipe_of(
    heads: str, svms: LinearSvms, units: int | None, start: FullyConnected | None
) -> LinearSvms | Connected | ConnectedSvms:
    """The recipe of a name in :data:`sppdet.cli.choices.HEADS`.

    Args:
        svms: the recipe of SVMs.
        units: outputs of each fully connected layer; None means the default.
        start: the layers from which the fine-tuning starts.
    """
    if heads == "svm":
        return svms
    settings = ConnectedSettings() if units is None else ConnectedSettings(units=units)
    connected = Connected(settings, start)
    return connected if heads == "connected" else ConnectedSvms(connected, svms)
