import numpy as np
import pytest
import torch
import torchvision

from sppdet.features.pyramid import SpatialPyramidPool, bin_count
from sppdet.features.window_maxima import DEPTH, WORTH, block_maxima
from sppdet.features.window_pooling import pool_windows
from sppdet.features.window_pooling_torch import pool_windows_torch

LEVELS = [(1, 2, 3, 6), (6,), (4, 2, 1), (1, 2, 4, 5), (3, 3), (7, 6, 2)]


def random_case(seed: int, rows: int = 13, columns: int = 17, channels: int = 5, count: int = 150):
    random = np.random.default_rng(seed)
    feature_map = random.standard_normal((rows, columns, channels)).astype("f4")
    first = np.stack([random.integers(0, columns, count), random.integers(0, rows, count)], 1)
    space = np.array([columns, rows]) - first
    end = first + 1 + (random.random((count, 2)) * space).astype(int)
    return feature_map, np.concatenate([first, end], 1).astype(np.int32)


def slow_pool(feature_map: np.ndarray, windows: np.ndarray, levels: tuple) -> np.ndarray:
    result = []
    for x1, y1, x2, y2 in windows:
        bins = []
        for n in levels:
            for i in range(n):
                for j in range(n):
                    top, bottom = y1 + (i * (y2 - y1)) // n, y1 + -(-((i + 1) * (y2 - y1)) // n)
                    left, right = x1 + (j * (x2 - x1)) // n, x1 + -(-((j + 1) * (x2 - x1)) // n)
                    bins.append(feature_map[top:bottom, left:right].max(axis=(0, 1)))
        result.append(bins)
    return np.array(result, "f4")


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("threads", [1, 2, np.int64(3), 1000])
def test_equals_the_slow_one(levels: tuple, threads: int) -> None:
    feature_map, windows = random_case(0)
    fast = pool_windows(feature_map, windows, levels, threads=threads)
    assert fast.shape == (150, bin_count(levels), 5)
    np.testing.assert_array_equal(fast, slow_pool(feature_map, windows, levels))


@pytest.mark.parametrize("levels", LEVELS)
def test_torch_path_equals_the_fast_one(levels: tuple) -> None:
    feature_map, windows = random_case(1)
    fast = pool_windows(feature_map, windows, levels)
    found = pool_windows_torch(torch.from_numpy(feature_map), windows, levels)
    np.testing.assert_array_equal(found.numpy(), fast)


def test_equals_the_pyramid_module_on_the_same_cells() -> None:
    feature_map, windows = random_case(2)
    module = SpatialPyramidPool((1, 2, 3, 6))
    fast = pool_windows(feature_map, windows, (1, 2, 3, 6))
    for (x1, y1, x2, y2), pooled in zip(windows, fast, strict=True):
        cells = torch.from_numpy(feature_map[y1:y2, x1:x2]).permute(2, 0, 1)[None]
        np.testing.assert_array_equal(module(cells)[0].numpy(), pooled.ravel())


def test_equals_four_calls_of_roi_pool() -> None:
    feature_map, windows = random_case(3, rows=40, columns=60, channels=8)
    batch = torch.from_numpy(feature_map).permute(2, 0, 1)[None].contiguous()
    rois = np.concatenate([np.zeros((len(windows), 1)), windows[:, :2], windows[:, 2:] - 1], 1)
    rois = torch.from_numpy(rois.astype("f4"))
    theirs = [
        torchvision.ops.roi_pool(batch, rois, n).flatten(2).transpose(1, 2) for n in (1, 2, 3, 6)
    ]
    ours = pool_windows(feature_map, windows, (1, 2, 3, 6))
    np.testing.assert_array_equal(ours, torch.cat(theirs, 1).numpy())


def test_torch_path_is_differentiable() -> None:
    feature_map, windows = random_case(4, rows=5, columns=6, channels=2, count=4)
    leaf = torch.from_numpy(feature_map).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda m: pool_windows_torch(m, windows, (1, 2, 3)), (leaf,))


def test_a_buffer_is_used_and_may_be_longer() -> None:
    feature_map, windows = random_case(5)
    buffer = np.full((200, 50, 5), np.nan, "f4")
    result = pool_windows(feature_map, windows, (1, 2, 3, 6), out=buffer)
    assert np.shares_memory(result, buffer)
    np.testing.assert_array_equal(result, pool_windows(feature_map, windows, (1, 2, 3, 6)))
    assert np.isnan(buffer[150:]).all()


def test_nan_is_not_lost() -> None:
    feature_map, _ = random_case(6)
    feature_map[3, 4, 2] = np.nan
    pooled = pool_windows(feature_map, np.array([[0, 0, 17, 13]], np.int32), (1, 2, 3, 6))
    assert np.isnan(pooled[0, 0, 2])
    assert np.isfinite(pooled[0, 0, [0, 1, 3, 4]]).all()


@pytest.mark.parametrize("count", [3, 400])
@pytest.mark.parametrize("levels", [(1,), (2,), (3, 1), (1, 2, 3, 6), (5, 4)])
@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 1), (1, 40), (37, 1), (2, 3), (3, 50), (40, 45), (9, 9)]
)
def test_blocks_of_cells_give_the_maxima_of_the_cells(
    rows: int, columns: int, levels: tuple, count: int
) -> None:
    """Few windows are pooled cell by cell; bins of 1 to 45 cells a side, and every map's edge."""
    feature_map, windows = random_case(rows + columns, rows, columns, 3, count)
    windows[0] = 0, 0, columns, rows
    windows[1] = columns - 1, 0, columns, rows
    feature_map[-1, -1, 1], feature_map[0, 0, 2] = np.inf, -np.inf
    blocks = block_maxima(feature_map, windows)
    many = (windows[:, 2:] - windows[:, :2]).prod(1).sum() >= WORTH * rows * columns
    assert blocks.shape == (1 + DEPTH if many else 1, rows, columns, 3)
    for k, block in enumerate(blocks):
        for y in range(rows - (1 << k) + 1):
            for x in range(columns - (1 << k) + 1):
                cells = feature_map[y : y + (1 << k), x : x + (1 << k)]
                np.testing.assert_array_equal(block[y, x], cells.max((0, 1)))
    found = pool_windows(feature_map, windows, levels)
    np.testing.assert_array_equal(found, slow_pool(feature_map, windows, levels))


def test_nan_stays_in_its_bins() -> None:
    feature_map, windows = random_case(8)
    before = np.random.default_rng(8).random(feature_map.shape) < 0.02
    feature_map[before] = np.nan
    found = pool_windows(feature_map, windows, (1, 2, 3, 6), threads=2)
    np.testing.assert_array_equal(found, slow_pool(feature_map, windows, (1, 2, 3, 6)))
    assert 0.05 < np.isnan(found).mean() < 0.95
    assert np.isnan(feature_map).sum() == before.sum()


@pytest.mark.parametrize("window", [[0, 0, 18, 5], [-1, 0, 3, 3], [4, 4, 4, 6]])
def test_windows_that_leave_the_map_or_are_empty_are_refused(window: list[int]) -> None:
    feature_map, _ = random_case(7)
    for pool in (pool_windows, lambda m, w, n: pool_windows_torch(torch.from_numpy(m), w, n)):
        with pytest.raises(ValueError, match="windows"):
            pool(feature_map, np.array([window], np.int32), (1, 2))


def torch_pool(feature_map, windows, levels, **_):
    return pool_windows_torch(torch.from_numpy(np.ascontiguousarray(feature_map)), windows, levels)


BOTH = pytest.mark.parametrize("pool", [pool_windows, torch_pool])


@BOTH
@pytest.mark.parametrize("count", [1, 2, 63, 64, 65])
def test_more_threads_than_windows(pool, count: int) -> None:
    feature_map, windows = random_case(11, count=count)
    found = pool(feature_map, windows, (1, 2), threads=200)
    np.testing.assert_array_equal(found, slow_pool(feature_map, windows, (1, 2)))


@BOTH
@pytest.mark.parametrize("form", [list, np.int64, np.uint8, np.asfortranarray])
def test_forms_of_windows(pool, form) -> None:
    feature_map, windows = random_case(12, count=9)
    given = windows.astype(form) if isinstance(form, type) and form is not list else form(windows)
    found = pool(feature_map, given, (1, 2))
    np.testing.assert_array_equal(found, slow_pool(feature_map, windows, (1, 2)))


@BOTH
@pytest.mark.parametrize("levels", [[2, 1], np.array([2, 1]), (n for n in (2, 1))])
def test_forms_of_levels(pool, levels) -> None:
    feature_map, windows = random_case(13, count=5)
    if not hasattr(levels, "__len__"):
        levels = iter([2, 1])  # a generator serves one call only
    found = pool(feature_map, windows, levels)
    np.testing.assert_array_equal(found, slow_pool(feature_map, windows, (2, 1)))


@pytest.mark.parametrize(
    "view", [lambda m: m[::-1], lambda m: m[:, ::2], lambda m: m.transpose(1, 0, 2)]
)
def test_views_of_a_map(view) -> None:
    feature_map = view(random_case(14)[0])
    windows = np.array([[0, 0, 5, 6], [3, 2, 4, 8]])
    found = pool_windows(feature_map, windows, (1, 3))
    np.testing.assert_array_equal(found, slow_pool(feature_map, windows, (1, 3)))


@BOTH
@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("feature_map", np.zeros((4, 4), "f4"), ValueError),
        ("feature_map", np.zeros((4, 4, 2), int), TypeError),
        ("windows", np.zeros((1, 4), "f4"), TypeError),
        ("windows", np.ones((1, 4), bool), TypeError),
        ("windows", np.zeros((1, 5), int), ValueError),
        ("windows", np.array([0, 0, 1, 1]), ValueError),
        ("windows", np.array([[0, 0, 2**40, 1]]), ValueError),
        ("windows", np.array([[2**32, 0, 2**32 + 1, 1]]), ValueError),
        ("levels", (), ValueError),
        ("levels", (0,), ValueError),
        ("levels", (1.0,), TypeError),
        ("levels", (True,), TypeError),
        ("levels", 3, TypeError),
    ],
)
def test_wrong_arguments_are_named(pool, argument: str, value, error: type) -> None:
    arguments = {
        "feature_map": np.zeros((4, 4, 2), "f4"),
        "windows": np.array([[0, 0, 2, 2]]),
        "levels": (1, 2),
    }
    with pytest.raises(error, match=argument):
        pool(**{**arguments, argument: value})


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("feature_map", np.zeros((4, 4, 2)), TypeError),
        ("feature_map", torch.zeros((4, 4, 2)), TypeError),
        ("threads", 0, ValueError),
        ("threads", 1.5, TypeError),
        ("threads", True, TypeError),
        ("out", np.zeros((1, 5, 2)), TypeError),
        ("out", np.zeros((1, 4, 2), "f4"), ValueError),
        ("out", np.zeros((0, 5, 2), "f4"), ValueError),
        ("out", np.zeros((5, 2), "f4"), ValueError),
        ("out", np.zeros((2, 5, 2), "f4")[:, :, ::-1], ValueError),
        ("out", np.broadcast_to(np.float32(0), (1, 5, 2)), ValueError),
    ],
)
def test_wrong_arguments_of_the_kernel_are_named(argument: str, value, error: type) -> None:
    arguments = {"feature_map": np.zeros((4, 4, 2), "f4"), argument: value}
    with pytest.raises(error, match=argument):
        pool_windows(windows=np.array([[0, 0, 2, 2]]), levels=(1, 2), **arguments)


def test_no_windows() -> None:
    feature_map, _ = random_case(8)
    none = np.zeros((0, 4), np.int32)
    assert pool_windows(feature_map, none, (1, 2)).shape == (0, 5, 5)


@pytest.mark.parametrize(
    "windows",
    [torch.tensor([[0, 0, 2, 2]], dtype=torch.int32), torch.tensor([[0, 0, 2, 2]])],
)
def test_torch_path_takes_tensors(windows: torch.Tensor) -> None:
    feature_map, _ = random_case(7)
    found = pool_windows_torch(torch.from_numpy(feature_map), windows, (1, 2))
    np.testing.assert_array_equal(found.numpy(), pool_windows(feature_map, windows, (1, 2)))
