"""Class-specific linear box regression (R-CNN paper, appendix C)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.boxes import Boxes, clip, decode, encode
from sppdet.features.regions import Regions
from sppdet.features.streaming import Linear, stream
from sppdet.heads.gram import products
from sppdet.heads.layers import Layers
from sppdet.heads.ridge import BoxRegressor, solve, solve_on_device
from sppdet.heads.rows import Rows


class RegressionExamples:
    """Features of proposals and the deltas to their truths, for one class, in half precision.

    Args:
        device: where the features lie and the regression is solved; None means the CPU.
    """

    def __init__(self, device: torch.device | None = None) -> None:
        self._device = device
        self._rows: Rows | None = None
        self._targets: list[NDArray[np.float32]] = []
        self._images: list[NDArray[np.int64]] = []

    def add(self, features: Tensor, proposals: Boxes, truths: Boxes, image: int = 0) -> None:
        """Add (M, dimension) features, (M, 4) proposals and the (M, 4) ground truth they overlap.

        ``image`` is the number of the image from which they come.
        """
        if self._rows is None:
            self._rows = Rows(features.shape[1], self._device)
        self._rows.append(features.detach().to(self._device or "cpu"))
        self._targets.append(encode(proposals, truths))
        self._images.append(np.full(len(features), image))

    def fit(
        self,
        ridge: float,
        scale: float = 1.0,
        workers: int = 1,
        folds: Sequence[NDArray[np.int64]] = (),
    ) -> list[BoxRegressor | None]:
        """Ridge regression with an unpenalised intercept (R-CNN paper, appendix C, equation 5).

        With features x_i and targets t_i of :func:`sppdet.boxes.encode` it minimises

            sum_i |t_i - W s x_i - b|^2 + ridge |W|^2

        where s is ``scale``. The regressor holds s W and b: it takes features without the scale.
        The released code whitens the targets first. Ridge regression with one penalty commutes with
        any linear map of the targets, so that whitening changes nothing and is left out.

        Args:
            ridge: the penalty.
            scale: factor that brings the features to the norm for which ``ridge`` is meant.
            workers: threads for the products.
            folds: numbers of images, for each fold.

        Returns:
            The regressor of all examples; then, for each fold, that of the examples from other
            images. None where there are fewer than two examples.
        """
        if self._rows is None or len(self._rows) < 2:
            return [None] * (1 + len(folds))
        rows, targets = self._rows, np.concatenate(self._targets)
        images = np.concatenate(self._images)
        if self._device is not None:
            return solve_on_device(rows, targets, images, ridge, scale, folds)
        gram = products(rows, rows, workers).astype(np.float64) * scale**2
        results = [solve(gram, rows, np.arange(len(rows)), targets, ridge, scale)]
        for fold in folds:
            chosen = np.flatnonzero(~np.isin(images, fold))
            part = gram[np.ix_(chosen, chosen)]
            results.append(solve(part, rows, chosen, targets[chosen], ridge, scale))
        return results


@dataclass(frozen=True)
class BoxRegression:
    """Box regression of all classes, for raw features of D values and K classes.

    Attributes:
        weight: (4 K, D) float32, class by class.
        bias: (4 K,) float32.
        layers: those of the scorer, if their D outputs are what it takes in place of raw features.
    """

    weight: Tensor
    bias: Tensor
    layers: Layers | None = None

    @staticmethod
    def of(regressors: Sequence[BoxRegressor | None], dimension: int) -> "BoxRegression | None":
        """One regressor per class, no change for None; None when all are None."""
        if not any(regressors):
            return None
        weight = torch.zeros(len(regressors), 4, dimension)
        bias = torch.zeros(len(regressors), 4)
        for label, regressor in enumerate(regressors):
            if regressor is not None:
                weight[label] = torch.from_numpy(regressor.weight)
                bias[label] = torch.from_numpy(regressor.bias)
        return BoxRegression(weight.flatten(0, 1), bias.flatten())

    def to(self, device: torch.device) -> "BoxRegression":
        """The same regression on another device."""
        layers = self.layers.to(device) if self.layers is not None else None
        return BoxRegression(self.weight.contiguous().to(device), self.bias.to(device), layers)

    def move(
        self,
        regions: Regions,
        boxes: Boxes,
        labels: NDArray[np.int64],
        rows: NDArray[np.int64],
        size: tuple[int, int],
    ) -> Boxes:
        """Move boxes by the regression of their class.

        Args:
            regions: of all boxes (N, 4) of the image.
            labels, rows: (M,), the class of each box to move, and which box it is.
            size: width and height of the image, to which boxes are clipped.

        Returns:
            (M, 4).
        """
        keys, back = np.unique(regions.keys[rows], return_inverse=True)
        function = Linear(self.weight, self.bias) if self.layers is None else self._deltas
        deltas = stream(regions, keys, function, len(self.bias))
        deltas = deltas.reshape(len(keys), len(self.bias) // 4, 4)
        return clip(decode(boxes[rows], deltas[back.reshape(-1), labels]), *size)

    def _deltas(self, features: Tensor) -> Tensor:
        assert self.layers is not None
        return torch.addmm(self.bias, self.layers(features), self.weight.T)

    def tensors(self) -> dict[str, Tensor]:
        """What a model file keeps: weights (K, 4, D) and biases (K, 4)."""
        return {
            "box.weight": self.weight.reshape(-1, 4, self.weight.shape[1]),
            "box.bias": self.bias.reshape(-1, 4),
        }

    @staticmethod
    def restore(
        tensors: Mapping[str, Tensor], layers: Layers | None = None
    ) -> "BoxRegression | None":
        """The regression whose :meth:`tensors` these are; None when there is none among them.

        ``layers`` are those of the scorer, if it has any.

        Raises:
            KeyError, ValueError: a tensor is missing or has the wrong shape.
        """
        if "box.weight" not in tensors:
            return None
        weight, bias = tensors["box.weight"].float(), tensors["box.bias"].float()
        if weight.ndim != 3 or weight.shape[1] != 4 or bias.shape != weight.shape[:2]:
            shapes = tuple(weight.shape), tuple(bias.shape)
            raise ValueError(f"its box regression has the shapes {shapes}")
        return BoxRegression(weight.flatten(0, 1), bias.flatten(), layers)
