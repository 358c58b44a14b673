import numpy as np
import pytest
import torch

from sppdet.heads import gram as module
from sppdet.heads.gram import combine, device_combine, device_products, products
from sppdet.heads.rows import Rows

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


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


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("block", [7, 2048])
@pytest.mark.parametrize("sizes", [(0, 3), (5, 1), (40, 90)])
def test_products_on_a_device_are_those_of_the_cpu(
    device: str, block: int, sizes: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DEVICE_BLOCK", block)
    random, where = np.random.default_rng(0), torch.device(device)
    a, b = (torch.from_numpy(random.standard_normal((n, 700))).half() for n in sizes)
    on_a, on_b = Rows.of(a, where), Rows.of(b, where)
    for one, other, left, right in ((on_a, on_b, a, b), (on_b, on_b, b, b)):
        found = device_products(one, other)
        assert found.device.type == device
        wanted = left.double().numpy() @ right.double().numpy().T
        np.testing.assert_allclose(found.cpu(), wanted, rtol=1e-5, atol=1e-4)
    weights = random.standard_normal((2, len(b))).astype("f4")
    index = random.permutation(len(b))
    found = device_combine(torch.from_numpy(weights).to(where), on_b, index)
    np.testing.assert_allclose(found.cpu(), combine(weights, b[index]), rtol=1e-4, atol=1e-4)
