import numpy as np
import pytest

from sppdet.explaining.cells import box_of_window, cell_parts, heat_on_image
from sppdet.features.windows import Scale, map_windows
from sppdet.trunks.geometry import MapGeometry


@pytest.mark.parametrize("levels", [(1,), (2, 3), (1, 2, 3, 6)])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (6, 6), (7, 13)])
def test_the_sum_over_the_cells_is_that_over_the_bins(
    levels: tuple[int, ...], size: tuple[int, int]
) -> None:
    parts = np.random.default_rng(0).normal(size=sum(n * n for n in levels)).astype(np.float32)
    cells = cell_parts(parts, levels, *size)
    assert cells.shape == size
    assert cells.sum() == pytest.approx(parts.sum(dtype=np.float64), abs=1e-9)


def test_a_bin_lies_on_its_cells() -> None:
    parts = np.zeros(5, np.float32)
    parts[2] = 6  # the right upper one of 2 x 2
    assert cell_parts(parts, (1, 2), 3, 2).tolist() == [[0, 3], [0, 3], [0, 0]]


def test_the_pixels_of_a_window_are_those_from_which_it_came() -> None:
    geometry, scale = MapGeometry(stride=16, first_center=7.5), Scale(640, 480, 2.0, 2.0)
    window = (3, 2, 9, 8)
    box = box_of_window(window, scale, geometry)
    assert box == (24.0, 16.0, 72.0, 64.0)
    assert map_windows(np.float32([box]), scale, geometry, 30, 40).tolist() == [list(window)]


@pytest.mark.parametrize("box", [(2.0, 1.0, 8.0, 5.0), (-4.0, -2.0, 30.0, 3.0), (50, 50, 60, 60)])
def test_heat_lies_in_the_window_only(box: tuple[float, float, float, float]) -> None:
    heat = heat_on_image(np.full((2, 3), 4.0), box, (12, 9))
    assert heat.shape == (9, 12)
    assert heat.dtype == np.float32
    x, y = np.meshgrid(np.arange(12) + 0.5, np.arange(9) + 0.5)
    inside = (x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])
    assert (heat == np.where(inside, 4, 0)).all()
