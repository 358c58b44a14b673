"""The learning rate of every step and the image size of every epoch or batch."""

import math

import numpy as np


def learning_rate(
    progress: float, peak: float, warmup: float = 0.0, kind: str = "cosine", drops: int = 3
) -> float:
    """The rate after the part ``progress`` (0..1) of the training.

    It rises linearly to ``peak`` during the part ``warmup``. Then ``"cosine"`` falls to zero along
    half a cosine, ``"linear"`` along a line, and ``"step"`` divides by ten ``drops - 1`` times at
    equal distances.

    Raises:
        ValueError: another kind.
    """
    if progress < warmup:
        return peak * max(progress / warmup, 1e-3)
    rest = min((progress - warmup) / max(1 - warmup, 1e-9), 1.0)
    if kind == "cosine":
        return peak * (1 + math.cos(math.pi * rest)) / 2
    if kind == "linear":
        return peak * (1 - rest)
    if kind == "step":
        return peak * 0.1 ** min(int(rest * drops), drops - 1)
    raise ValueError(f"schedule {kind}: choose cosine, linear or step")


def image_size(
    sizes: tuple[int, ...], order: str, epoch: int, epochs: int, step: int, seed: int
) -> int:
    """The side, in pixels, of the images of one step (multi-size training, paper section 2.3).

    Args:
        sizes: the sides to choose from.
        order: ``"epoch"`` takes the next one in each epoch, round and round, as the paper does;
            ``"batch"`` draws one for each batch; ``"rising"`` shares the epochs out among the sizes
            in the order given, so that small (cheap) images come first.
        epoch, epochs, step, seed: where the training stands.

    Raises:
        ValueError: another order.
    """
    if order == "epoch":
        return sizes[epoch % len(sizes)]
    if order == "rising":
        return sizes[epoch * len(sizes) // epochs]
    if order == "batch":
        return sizes[int(np.random.default_rng((seed, epoch, step)).integers(len(sizes)))]
    raise ValueError(f"size order {order}: choose epoch, batch or rising")
