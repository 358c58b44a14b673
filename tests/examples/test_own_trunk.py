import numpy as np
import pytest

from sppdet.trunks import load_trunk


def test_the_cells_are_those_of_the_third_block(example) -> None:
    trunk = example("own_trunk").stride_8()
    assert trunk.geometry.stride == 8
    assert trunk.channels == 128
    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3)).astype(np.uint8)
    found = trunk.map(image)
    assert found.shape == (12, 16, 128)
    whole = load_trunk("small")
    batch = whole.input_tensor(image)
    for name, layer in whole.network.get_submodule("features").named_children():
        if name == "pool3":
            break
        batch = layer(batch)
    np.testing.assert_allclose(found, batch[0].permute(1, 2, 0), atol=1e-5)


@pytest.mark.slow
def test_it_trains_saves_loads_and_finds(example, capsys) -> None:
    assert example("own_trunk").main() > 0.5
    assert "stride 8" in capsys.readouterr().out
