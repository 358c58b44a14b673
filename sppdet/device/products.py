"""Linear functions of features in half precision, as exact as in single precision."""

import torch
from torch import Tensor

_BITS = {torch.float16: 11, torch.bfloat16: 8}
"""Bits of a number of each type."""

_PARTS = {torch.float16: 2, torch.bfloat16: 3}
"""Parts of a weight: together at least 22 of the 24 bits of single precision."""

_LARGEST = 2.0**14
"""Largest value of a part; a quarter of what half precision holds, so that small weights have all
their bits too."""


class SplitLinear:
    """``features @ weight.T + bias`` in one matrix product of the features' type.

    Each weight is the sum of parts in the features' precision, the first its rounded value and each
    further one the rounded rest, scaled up so that it keeps its bits. The product of features and
    parts is accumulated in single precision.

    Args:
        weight, bias: (J, D) and (J,) float32.
        kind: type of the features: float16, bfloat16 or float32.
    """

    def __init__(self, weight: Tensor, bias: Tensor, kind: torch.dtype) -> None:
        self.bias = bias
        self._split = kind in _PARTS
        if not self._split:
            self._weight = weight.to(kind).contiguous()
            return
        largest = weight.abs().amax(dim=1, keepdim=True).double()
        # A power of two, so that scaling does not round.
        scale = torch.exp2(torch.floor(torch.log2(_LARGEST / largest.clamp(min=1e-30))))
        rest, parts = weight.double() * scale, []
        for _ in range(_PARTS[kind]):
            part = rest.to(kind)
            parts.append(part)
            rest = (rest - part.double()) * 2.0 ** _BITS[kind]
        self._weight = torch.cat(parts)
        self._step = 2.0 ** -_BITS[kind]
        self._scale = (1 / scale[:, 0]).float()

    def __call__(self, features: Tensor) -> Tensor:
        """(N, D) of the type that was named to (N, J) float32; nothing waits for the device."""
        if not self._split:
            return torch.addmm(self.bias, features, self._weight.T).float()
        if features.is_cuda:
            product = torch.mm(features, self._weight.T, out_dtype=torch.float32)
        else:
            product = features.float() @ self._weight.float().T
        *parts, total = product.split(len(self.bias), dim=1)
        for part in reversed(parts):
            total = torch.add(part, total, alpha=self._step)
        return torch.addcmul(self.bias, total, self._scale)
