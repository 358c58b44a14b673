"""Linear functions of rounded features against float64."""

import pytest
import torch

from sppdet.device.products import SplitLinear

KINDS = [torch.float16, torch.bfloat16, torch.float32]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1e-8, 1.0, 1e6])
def test_the_product_is_that_of_single_precision(kind: torch.dtype, size: float) -> None:
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(7, 500, generator=random) * torch.logspace(-4, 0, 500) * size
    weight[3] = 0
    bias = torch.randn(7, generator=random) * size
    features = torch.rand(20, 500, generator=random).mul(6).to(kind)
    found = SplitLinear(weight, bias, kind)(features)
    assert found.dtype == torch.float32
    exact = features.double() @ weight.double().T + bias
    bound = features.double() @ weight.double().abs().T + bias.abs()
    assert ((found - exact).abs() / bound).max() < 1e-6
    torch.testing.assert_close(found[:, 3], bias[3].expand(20))


def test_a_bias_that_is_no_number_stays_one() -> None:
    linear = SplitLinear(torch.zeros(2, 3), torch.tensor([torch.nan, 1.0]), torch.float16)
    scores = linear(torch.ones(4, 3, dtype=torch.float16))
    assert scores[:, 0].isnan().all()
    assert scores[:, 1].tolist() == [1.0] * 4


@pytest.mark.gpu
@pytest.mark.parametrize("kind", KINDS)
def test_the_product_of_a_gpu_is_that_of_single_precision(kind: torch.dtype) -> None:
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(105, 12800, generator=random) * 1e-3
    bias = torch.randn(105, generator=random)
    features = torch.rand(2048, 12800, generator=random).mul(6).to(kind)
    found = SplitLinear(weight.cuda(), bias.cuda(), kind)(features.cuda())
    exact = features.double() @ weight.double().T + bias
    bound = features.double() @ weight.double().abs().T + bias.abs()
    assert ((found.cpu() - exact).abs() / bound).max() < 1e-6
