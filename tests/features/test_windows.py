import math

import numpy as np
import pytest

from sppdet.features.windows import (
    Scale,
    choose_scale,
    distinct_windows,
    image_scales,
    map_windows,
    resize,
)
from sppdet.trunks import MapGeometry


def slow_window(
    box: list[float], scale: Scale, geometry: MapGeometry, rows: int, columns: int
) -> list[int]:
    """Look at every cell: which centres lie strictly inside the box?"""
    result = []
    axes = ((box[0], box[2], scale.x, columns), (box[1], box[3], scale.y, rows))
    for low, high, factor, cells in axes:
        centres = [geometry.first_center + 0.5 + geometry.stride * i for i in range(-200, 400)]
        inside = [i for i, c in enumerate(centres, -200) if low * factor < c < high * factor]
        if not inside:
            middle = (low + high) * factor / 2
            inside = [min(range(-200, 400), key=lambda i: abs(centres[i + 200] - middle))]
        first = min(max(inside[0], 0), cells - 1)
        last = min(max(inside[-1], 0), cells - 1)
        result.append((first, last + 1))
    (x1, x2), (y1, y2) = result
    return [x1, y1, x2, y2]


@pytest.mark.parametrize("center", [0.0, 7.5, 17.0])
def test_windows_equal_the_slow_ones(center: float) -> None:
    random = np.random.default_rng(0)
    scale, geometry = Scale(640, 480, 1.28, 1.28), MapGeometry(16, center)
    corners = random.uniform(-20, 500, (300, 2, 2)).astype("f4")
    boxes = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    boxes[:50, 2:] = boxes[:50, :2] + random.uniform(0, 10, (50, 2))  # narrower than a cell
    found = map_windows(boxes, scale, geometry, 28, 38)
    expected = [slow_window(box.tolist(), scale, geometry, 28, 38) for box in boxes]
    assert found.tolist() == expected


@pytest.mark.parametrize("box", [[0, 0, 640, 480], [0, 0, 1, 1], [639, 479, 640, 480]])
def test_windows_lie_on_the_map(box: list[float]) -> None:
    window = map_windows(
        np.array([box], "f4"), Scale(640, 480, 1, 1), MapGeometry(16, 17.0), 27, 37
    )[0]
    assert (window[:2] >= 0).all()
    assert (window[2:] > window[:2]).all()
    assert window[2] <= 37
    assert window[3] <= 27


def test_a_whole_image_covers_the_whole_map() -> None:
    window = map_windows(
        np.array([[0, 0, 512, 384]], "f4"), Scale(512, 384, 1, 1), MapGeometry(16, 7.5), 24, 32
    )
    assert window.tolist() == [[0, 0, 32, 24]]


def test_scales_keep_the_short_side_until_the_long_one_is_too_long() -> None:
    assert image_scales(1000, 500, (480, 688), 2000)[0] == Scale(960, 480, 0.96, 0.96)
    wide = image_scales(3000, 40, (480, 688), 2000)
    assert [(s.width, s.height) for s in wide] == [(2000, 27)]
    assert image_scales(1, 1, (688,), 2000) == [Scale(688, 688, 688, 688)]


def test_each_box_takes_the_scale_of_nearest_area() -> None:
    scales = image_scales(400, 400, (400, 800, 1600), 5000)
    boxes = np.array([[0, 0, s, s] for s in (300, 224, 112, 56, 20)], "f4")
    areas = [[abs((b[2] * s.x) ** 2 - 224**2) for s in scales] for b in boxes]
    assert choose_scale(boxes, scales).tolist() == [int(np.argmin(a)) for a in areas]
    assert choose_scale(boxes, scales).tolist() == [0, 0, 1, 2, 2]


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.5])
def test_resize(factor: float) -> None:
    image = np.full((40, 60, 3), 77, np.uint8)
    scale = Scale(round(60 * factor), round(40 * factor), factor, factor)
    resized = resize(image, scale)
    assert resized.shape == (scale.height, scale.width, 3)
    assert math.isclose(resized.mean(), 77)


@pytest.mark.parametrize("most", [1, 3, 4095, 4096, 100_000])
@pytest.mark.parametrize("count", [0, 1, 500])
def test_distinct_windows_are_the_sorted_rows(most: int, count: int) -> None:
    random = np.random.default_rng(most)
    windows = random.integers(0, most + 1, (count, 5)).astype(np.int32)
    windows[: count // 3] = windows[count // 3 : 2 * (count // 3)]
    windows[-1:] = most
    found, keys = distinct_windows(windows)
    expected = sorted({tuple(row) for row in windows.tolist()})
    np.testing.assert_array_equal(found, np.array(expected, np.int32).reshape(-1, 5))
    np.testing.assert_array_equal(found[keys], windows)
    assert (found.dtype, keys.dtype) == (np.int32, np.int64)


def slow_code_window(box: list[float], geometry: MapGeometry) -> list[int]:
    """The released code's formula with its own numbers: pixels and cells are counted from 1."""
    stride, offset = geometry.stride, 6.5
    first_centre = geometry.first_center + 1
    ends = []
    for low, high in ((box[0], box[2]), (box[1], box[3])):
        first_pixel, last_pixel = low + 1, high  # half-open to 1-based and inclusive
        first = math.floor((first_pixel - first_centre + offset) / stride + 0.5) + 1
        last = math.ceil((last_pixel - first_centre - offset) / stride - 0.5) + 1
        if first > last:
            first = last = math.floor((first + last - 2) / 2) + 1
        ends.append((first - 1, last))
    (x1, x2), (y1, y2) = ends
    return [x1, y1, x2, y2]


@pytest.mark.parametrize("center", [20.0, 7.5])
def test_the_mapping_of_the_released_code(center: float) -> None:
    random = np.random.default_rng(1)
    geometry = MapGeometry(16, center)
    corners = random.integers(40, 500, (300, 2, 2)).astype("f4")
    boxes = np.concatenate([corners.min(1), corners.max(1) + 1], axis=1)
    boxes[:50, 2:] = boxes[:50, :2] + random.integers(1, 10, (50, 2))
    found = map_windows(boxes, Scale(640, 640, 1.0, 1.0), geometry, 90, 90, "code")
    assert found.tolist() == [slow_code_window(box.tolist(), geometry) for box in boxes]
    ours = map_windows(boxes, Scale(640, 640, 1.0, 1.0), geometry, 90, 90)
    large = (boxes[:, 2:] - boxes[:, :2] > 40).all(axis=1)
    assert (found[large, :2] <= ours[large, :2]).all()
    assert (found[large, 2:] >= ours[large, 2:]).all()
    assert (found[large] != ours[large]).any()


def test_the_mapping_to_the_nearest_centres() -> None:
    random = np.random.default_rng(2)
    scale, geometry = Scale(640, 480, 1.28, 1.28), MapGeometry(16, 7.5)
    corners = random.uniform(-20, 500, (300, 2, 2)).astype("f4")
    boxes = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    found = map_windows(boxes, scale, geometry, 28, 38, "nearest")
    centres = 8.0 + 16 * np.arange(40)
    for box, window in zip(boxes.tolist(), found.tolist(), strict=True):
        for axis, cells in ((0, 38), (1, 28)):
            low, high = box[axis] * 1.28, box[axis + 2] * 1.28
            assert window[axis] == np.abs(centres[:cells] - low).argmin()
            assert window[axis + 2] == np.abs(centres[:cells] - high).argmin() + 1


@pytest.mark.parametrize("mapping", ["paper", "code", "nearest"])
@pytest.mark.parametrize("box", [[0, 0, 640, 480], [0, 0, 1, 1], [639, 479, 640, 480]])
def test_windows_of_every_mapping_hold_a_cell_of_the_map(mapping: str, box: list[float]) -> None:
    boxes = np.array([box], "f4")
    window = map_windows(boxes, Scale(640, 480, 1, 1), MapGeometry(16, 17.0), 27, 37, mapping)[0]
    assert (window[:2] >= 0).all()
    assert (window[2:] > window[:2]).all()
    assert (window[2:] <= (37, 27)).all()
