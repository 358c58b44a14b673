"""Global contrast normalisation and ZCA whitening of small images, as a first layer."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from sppdet.errors import SppdetError

CONTRAST = 55.0
"""Length of an image's vector after the normalisation of its contrast: the values of a CIFAR image
have a variance of about 1 then. It and :data:`BIAS` are those of the maxout networks (Goodfellow et
al., 2013), whose prepared images the NIN paper takes (section 4.1)."""

BIAS = 0.1
"""Added to the variances before their roots are taken: directions with little of it stay small."""

FLAT = 1e-3
"""A shorter vector is that of an image of one grey level: its rounding errors are not blown up."""

LARGEST_SIDE = 64
"""Pixels: the matrix has (3 side^2)^2 values, 37 MB at 32 pixels and 600 MB at 64."""


class Whitening(nn.Module):
    """``P (g(x) - m)``: g takes an image's mean off and gives it the length ``CONTRAST``.

    m is the mean of g over the training images, C their covariance with eigenvectors U and
    eigenvalues d, and ``P = U (d + BIAS)^(-1/2) U^T`` (ZCA whitening: Krizhevsky, 2009, appendix
    A). It is the identity behind g until :meth:`fit` is called. Its numbers are buffers: they are
    stored with the weights, and no training moves them.

    Args:
        side: of the images in pixels; others are refused.

    Raises:
        SppdetError: ``side`` is above ``LARGEST_SIDE``.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        if side > LARGEST_SIDE:
            raise SppdetError(f"--whiten: takes images of at most {LARGEST_SIDE} px, not {side}")
        self.side = side
        self.mean: Tensor
        self.matrix: Tensor
        self.register_buffer("mean", torch.zeros(3 * side * side))
        self.register_buffer("matrix", torch.eye(3 * side * side))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, side, side) to the same shape, float32.

        Raises:
            SppdetError: images of another size.
        """
        kind = "cpu" if images.is_meta else images.device.type
        with torch.autocast(kind, enabled=False):
            white = (self._normalized(images) - self.mean) @ self.matrix
        return white.view_as(images).contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> None:
        """Find mean and matrix.

        Args:
            batches: of (B, 3, side, side), what :meth:`forward` will get; they are walked once.

        Raises:
            SppdetError: images of another size.
        """
        length = len(self.mean)
        count, total, products = 0, np.zeros(length), np.zeros((length, length))
        for batch in batches:
            flat = self._normalized(batch)
            count += len(flat)
            total += flat.sum(0, dtype=torch.float64).cpu().numpy()
            products += (flat.T @ flat).cpu().numpy()
        mean = total / max(count, 1)
        covariance = products / max(count, 1) - np.outer(mean, mean)
        values, vectors = np.linalg.eigh(covariance)
        matrix = (vectors / np.sqrt(np.maximum(values, 0) + BIAS)) @ vectors.T
        self.mean.copy_(torch.from_numpy(mean))
        self.matrix.copy_(torch.from_numpy(matrix))

    def _normalized(self, images: Tensor) -> Tensor:
        """(B, 3 side^2) float32."""
        if images.shape[2:] != (self.side, self.side):
            raise SppdetError(
                f"a network with --whiten takes images of {self.side} x {self.side} px only, not "
                f"{images.shape[3]} x {images.shape[2]}; give --sizes {self.side}"
            )
        return contrast_normalized(images.float().flatten(1))

    def extra_repr(self) -> str:
        return f"side={self.side}"


def contrast_normalized(vectors: Tensor) -> Tensor:
    """(B, D): each row without its mean and with the length ``CONTRAST``; a flat image is zero."""
    centred = vectors - vectors.mean(dim=1, keepdim=True)
    length = centred.norm(dim=1, keepdim=True)
    factor = torch.where(length > FLAT, CONTRAST / length.clamp_min(FLAT), 0.0)
    return centred * factor
