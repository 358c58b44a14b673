"""Which image sizes a network takes: its layers are followed without computing anything."""

import copy

import torch
from torch import Tensor, nn

from sppdet.errors import SppdetError

CANDIDATES = (8, 16, 32, 64, 128, 224, 256, 299, 384, 512, 518, 640)
"""Sides in pixels that are tried in turn; 224 and the like are the only size of some networks."""


def takes(network: nn.Module, height: int, width: int) -> bool:
    """Whether a network takes images of this size.

    Args:
        network: on PyTorch's device ``meta``, where layers know shapes only.
    """
    try:
        with torch.no_grad():
            network(torch.empty(2, 3, height, width, device="meta"))
    except (RuntimeError, AssertionError, SppdetError):
        return False
    return True


def smallest_side(network: nn.Module) -> int | None:
    """The side in pixels of the smallest square image that a network takes; None if it takes none.

    Args:
        network: on PyTorch's device ``meta``.
    """
    low = 0
    for high in CANDIDATES:
        if takes(network, high, high):
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if takes(network, middle, middle) else (middle, high)
            return high
        low = high
    return None


def check_size(network: nn.Module, name: str, height: int, width: int, option: str) -> None:
    """Refuse an image size that a network does not take.

    Args:
        network: on any device; its weights are not used.
        name: of the network, for the message.
        height, width: of the images, in pixels.
        option: which option gives another size, such as ``"--sizes"``.

    Raises:
        SppdetError: it does not take this size; the message names the smallest size that it takes.
    """
    if not any(parameter.is_meta for parameter in network.parameters()):
        network = copy.deepcopy(network).to("meta")
    network = network.eval()
    if takes(network, height, width):
        return
    side = smallest_side(network)
    wrong = f"{name} does not take images of {width} x {height} px"
    if side is None:
        raise SppdetError(f"{wrong}, nor any other size that was tried; choose another --network")
    what = "is the smallest size" if takes(network, side + 32, side + 32) else "is the only size"
    raise SppdetError(f"{wrong}: {side} x {side} px {what} that it takes; give {option} {side}")


def scores_of(network: nn.Module, images: Tensor) -> Tensor:
    """The network's scores (B, classes); an image size that it does not take is said in one line.

    Raises:
        SppdetError: the network does not take images of this size.
    """
    try:
        output = network(images)
    except RuntimeError:
        height, width = images.shape[2:]
        check_size(network, "this network", height, width, "--sizes or --test-size")
        raise
    scores: Tensor = getattr(output, "logits", output)
    return scores
