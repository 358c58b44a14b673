"""Windows in torch operations against NumPy's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sppdet.device.windows import (
    canvas_cells,
    canvas_windows,
    choose_scale,
    on_canvas,
    scale_numbers,
)
from sppdet.features import windows as slow
from sppdet.trunks.geometry import MapGeometry


def random_boxes(random: np.random.Generator, count: int, width: int, height: int) -> np.ndarray:
    """Boxes of all sizes, some outside the image, some with whole numbers, some very thin."""
    corners = random.uniform(-20, [width + 20, height + 20], (count, 2, 2)).astype("f4")
    low, high = corners.min(1), corners.max(1)
    whole = random.random(count) < 0.4
    low[whole], high[whole] = np.floor(low[whole]), np.ceil(high[whole])
    thin = random.random(count) < 0.2
    high[thin, 0] = low[thin, 0] + np.float32(0.01)
    return np.concatenate([low, high], axis=1)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.sampled_from([0, 1, 2, 50]),
    size=st.tuples(st.integers(1, 700), st.integers(1, 700)),
    sides=st.lists(st.sampled_from([64, 224, 320, 480, 688]), min_size=1, max_size=5),
    stride=st.sampled_from([8, 12, 16, 31]),
    center=st.sampled_from([-3.0, 0.0, 7.5, 15.0, 97.5]),
)
def test_windows_equal_those_of_numpy(
    seed: int, count: int, size: tuple[int, int], sides: list[int], stride: int, center: float
) -> None:
    boxes = random_boxes(np.random.default_rng(seed), count, *size)
    scales = slow.image_scales(*size, tuple(sides), 1000)
    geometry = MapGeometry(stride, center)
    sizes = [(max(s.height // stride, 1), max(s.width // stride, 1)) for s in scales]
    chosen = slow.choose_scale(boxes, scales)
    expected = np.zeros((count, 4), np.int32)
    first = 0
    for index, (scale, (rows, columns)) in enumerate(zip(scales, sizes, strict=True)):
        mine = chosen == index
        part = slow.map_windows(boxes[mine], scale, geometry, rows, columns)
        expected[mine] = part + np.array([0, first, 0, first])
        first += rows
    numbers = torch.tensor(scale_numbers(scales, geometry), dtype=torch.float64)
    cells = torch.tensor(canvas_cells(sizes), dtype=torch.float64)
    given_boxes = torch.from_numpy(boxes)
    products = numbers[:-2].view(-1, 3)[:, 2]
    np.testing.assert_array_equal(choose_scale(given_boxes, products).numpy(), chosen)
    found = canvas_windows(given_boxes, numbers, cells)
    assert found.dtype == torch.int32
    np.testing.assert_array_equal(found.numpy(), expected)


def test_of_equally_near_scales_the_first_is_chosen() -> None:
    """Areas of 224² - d and 224² + d, and the same the other way round."""
    boxes = torch.tensor([[0, 0, 100, 100]], dtype=torch.float32)
    near, far = (slow.WINDOW_SIDE**2 - 176) / 1e4, (slow.WINDOW_SIDE**2 + 176) / 1e4
    for products in ([near, far], [far, near], [9.0, far, near, far]):
        wanted = 1 if len(products) == 4 else 0
        assert choose_scale(boxes, torch.tensor(products, dtype=torch.float64)).tolist() == [wanted]


@pytest.mark.parametrize("sizes", [[(3, 4)], [(3, 4), (5, 2)], [(1, 1), (2, 7), (4, 3)]])
def test_the_canvas_holds_every_map(sizes: list[tuple[int, int]]) -> None:
    maps = [torch.randn(*size, 2) for size in sizes]
    canvas = on_canvas(maps)
    for one, (column, row, first) in zip(maps, canvas_cells(sizes), strict=True):
        part = canvas[int(first) : int(first + row) + 1, : int(column) + 1]
        assert torch.equal(part, one)


@pytest.mark.gpu
@pytest.mark.parametrize("stride", [12, 16, 31])
def test_windows_of_a_gpu_equal_those_of_the_cpu(stride: int) -> None:
    boxes = torch.from_numpy(random_boxes(np.random.default_rng(stride), 2000, 641, 487))
    scales = slow.image_scales(641, 487, (480, 576, 688, 864, 1200), 2000)
    sizes = [(scale.height // stride, scale.width // stride) for scale in scales]
    for count in (1, 5):
        numbers = scale_numbers(scales[:count], MapGeometry(stride, 7.5))
        given_numbers = torch.tensor(numbers, dtype=torch.float64)
        cells = torch.tensor(canvas_cells(sizes[:count]), dtype=torch.float64)
        wanted = canvas_windows(boxes, given_numbers, cells)
        found = canvas_windows(boxes.cuda(), given_numbers.cuda(), cells.cuda())
        assert torch.equal(found.cpu(), wanted)
