import numpy as np
import pytest
import torch

from sppdet.heads.gram import combine, products


@pytest.mark.parametrize("sizes", [(0, 3), (5, 1), (400, 900)])
@pytest.mark.parametrize("workers", [1, 2])
def test_products_and_combinations(sizes: tuple[int, int], workers: int) -> None:
    random = np.random.default_rng(0)
    a, b = (torch.from_numpy(random.standard_normal((n, 70))).half() for n in sizes)
    wide_a, wide_b = a.float().numpy(), b.float().numpy()
    np.testing.assert_allclose(products(a, b, workers), wide_a @ wide_b.T, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(products(b, b, workers), wide_b @ wide_b.T, rtol=1e-3, atol=1e-3)
    weights = random.standard_normal((2, len(b))).astype("f4")
    np.testing.assert_allclose(combine(weights, b), weights @ wide_b, rtol=1e-3, atol=1e-2)
