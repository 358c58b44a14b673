import numpy as np
import pytest
import torch

from sppdet.benchmark.contenders import contenders, time_batches
from sppdet.benchmark.scaling import measure_scaling
from sppdet.benchmark.speed import measure, random_boxes, using_threads
from sppdet.datasets.scenes import render_scene
from sppdet.trunks import Trunk, build_trunk

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trunk() -> Trunk:
    return build_trunk("small", None)


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    return [render_scene(seed, (200, 150)).image for seed in range(2)]


def test_rows_hold_every_stage_and_add_up(trunk: Trunk, images: list[np.ndarray]) -> None:
    rows = measure(images, contenders(trunk, [(160,), (120, 160)]), 50, threads=1, repeats=2)
    assert [(row.method, row.scales) for row in rows] == [
        ("rcnn", (64,)),
        ("spp", (160,)),
        ("spp", (120, 160)),
    ]
    for row in rows:
        stages = {"proposals", "convolution", "pooling", "scoring", "suppression"}
        stages |= {"crops"} if row.method == "rcnn" else {"windows"}
        assert set(row.seconds) == stages | {"features", "total"}
        parts = stages - {"proposals", "scoring", "suppression"}
        assert row.seconds["features"] == pytest.approx(
            sum(row.seconds[name] for name in parts), rel=0.5
        )
        assert row.seconds["total"] > row.seconds["features"] > 0
        assert row.boxes == 50
        assert 0 < row.boxes_found <= 50
    assert rows[0].ratio == {"features": 1, "total": 1}
    expected = rows[0].seconds["features"] / rows[1].seconds["features"]
    assert rows[1].ratio["features"] == pytest.approx(expected)


def test_given_proposals_are_used_and_not_searched_for(
    trunk: Trunk, images: list[np.ndarray]
) -> None:
    given = [random_boxes(image, 30) for image in images]
    rows = measure(images, contenders(trunk, [(160,)]), 20, threads=1, proposals=given)
    assert all("proposals" not in row.seconds for row in rows)
    assert [row.boxes_found for row in rows] == [20, 20]


def test_threads_are_set_for_the_block_only() -> None:
    before = torch.get_num_threads()
    with using_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("shape", [(150, 200, 3), (30, 400, 3), (8, 8, 3)])
def test_random_boxes_lie_in_the_image(shape: tuple[int, int, int]) -> None:
    boxes = random_boxes(np.zeros(shape, np.uint8), 300)
    assert boxes.shape == (300, 4)
    assert boxes.dtype == np.float32
    assert (boxes >= -1e-3).all()
    assert (boxes[:, 2:] <= np.array([shape[1], shape[0]]) + 1e-3).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert len(np.unique(boxes, axis=0)) == 300


def test_every_batch_and_layout_is_tried(trunk: Trunk) -> None:
    found = time_batches(trunk, 64, crops=2)
    assert set(found) == {"channels_last", "contiguous"}
    assert all(min(times.values()) > 0 and set(times) >= {1, 32} for times in found.values())
    weight = next(w for w in trunk.network.parameters() if w.ndim == 4 and w.shape[1] > 3)
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_rcnn_grows_with_the_proposals_and_spp_hardly(
    trunk: Trunk, images: list[np.ndarray]
) -> None:
    points = measure_scaling(images[0], contenders(trunk, [(160,)]), 1, (20, 400), (100, 300))
    assert len(points) == 8
    seconds = {
        (point["method"], point["value"]): point["seconds"]
        for point in points
        if point["axis"] == "boxes"
    }
    rcnn = seconds["rcnn", 400] / seconds["rcnn", 20]
    assert rcnn > 6
    assert seconds["spp", 400] / seconds["spp", 20] < rcnn / 2
