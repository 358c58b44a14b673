"""Maps of single images by the network of a device."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from sppdet.device.maps import maps_on_device
from sppdet.errors import SppdetError, SppdetWarning
from sppdet.features.spp import SppRegionFeatures
from sppdet.settings import SppSettings
from sppdet.trunks import Preprocessing, build_trunk, make_trunk

PLAIN = Preprocessing("RGB", 255.0, (0.0,) * 3, (1.0,) * 3)


def images() -> list[np.ndarray]:
    """As of two scales, of which neither is a multiple of what sides are rounded to."""
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (h, w, 3)).astype(np.uint8) for h, w in ((90, 70), (65, 99))]


@pytest.mark.parametrize("name", ["small", "lite0"])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_they_are_the_trunks(name: str, device: str) -> None:
    torch.manual_seed(0)
    trunk = build_trunk(name, None, device=device)
    extractor = SppRegionFeatures(trunk, SppSettings((64, 80)))
    with ThreadPoolExecutor(4) as pool:
        several = list(pool.map(lambda _: maps_on_device(extractor, images()), range(8)))
    for found in several:
        for one, image in zip(found, images(), strict=True):
            wanted = trunk.map(image)
            near = 1e-5 if device == "cpu" else 2e-2
            torch.testing.assert_close(one, wanted, rtol=0, atol=near * float(wanted.abs().max()))
            assert one.is_contiguous()


def large(factor: float, device: str) -> SppRegionFeatures:
    """A network without a trained weight whose map holds values up to 255 ``factor``."""
    layer = nn.Conv2d(3, 4, 1, stride=4, bias=False)
    nn.init.constant_(layer.weight, factor / 3)
    return SppRegionFeatures(make_trunk(layer, PLAIN, device=device), SppSettings((64, 80)))


def test_a_map_that_is_not_finite_is_an_error() -> None:
    extractor = large(1.0, "cpu")
    next(extractor.trunk.network.parameters()).data.fill_(torch.inf)
    with pytest.raises(SppdetError, match="not finite"):
        maps_on_device(extractor, images())


@pytest.mark.gpu
def test_an_overflow_takes_another_precision() -> None:
    extractor = large(1000.0, "cuda")  # half precision ends at 65,504
    with pytest.warns(SppdetWarning, match="it runs in bfloat16"):
        found = maps_on_device(extractor, images())
    assert all(bool(torch.isfinite(one).all()) for one in found)
    wanted = extractor.trunk.network.float()(
        torch.from_numpy(images()[0]).cuda().permute(2, 0, 1)[None].float()
    )[0].permute(1, 2, 0)
    torch.testing.assert_close(found[0], wanted, rtol=0.02, atol=1.0)
