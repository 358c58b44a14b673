"""Detections of a device against those of heads/path.py."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sppdet.boxes import clip, decode
from sppdet.detector import Detector
from sppdet.device import heads as device_heads
from sppdet.device import path as device_path
from sppdet.device.path import find_later, is_supported, resize_all
from sppdet.errors import SppdetError
from sppdet.features.rcnn import RcnnRegionFeatures
from sppdet.features.regions import RegionExtractor
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.linear import LinearScorer
from sppdet.heads.path import find
from sppdet.heads.regression import BoxRegression
from sppdet.heads.selection import Scored, Threshold
from sppdet.settings import DetectorSettings, RcnnSettings, SelectionSettings, SppSettings
from sppdet.trunks import build_trunk

IMAGE = np.random.default_rng(0).integers(0, 255, (90, 140, 3)).astype(np.uint8)
SIZE = (140, 90)


def make_detector(
    extractor: RegionExtractor | None = None,
    classes: int = 3,
    regression: bool = True,
    selection: SelectionSettings | None = None,
) -> Detector:
    levels = (1, 2)
    if extractor is None:
        settings = SppSettings((64, 128, 200), levels=levels)
        extractor = SppRegionFeatures(build_trunk("small", None), settings)
    random = torch.Generator().manual_seed(0)
    size = extractor.dimension
    fits = np.tile(np.array([2.0, 0.5], "f4"), (classes, 1))
    scorer = LinearScorer(
        torch.randn(classes, size, generator=random) * 0.1,
        torch.randn(classes, generator=random) * 0.1,
        fits,
    )
    boxes = BoxRegression(
        torch.randn(4 * classes, size, generator=random) * 0.005, torch.zeros(4 * classes)
    )
    return Detector(
        extractor,
        scorer,
        tuple(f"class {number}" for number in range(classes)),
        DetectorSettings(selection=selection or SelectionSettings()),
        boxes if regression else None,
    )


def some_boxes(count: int) -> np.ndarray:
    corners = np.random.default_rng(1).uniform(0, SIZE, (count, 2, 2))
    return np.concatenate([corners.min(1), corners.max(1) + 3], axis=1).astype("f4")


def expect(detector: Detector, boxes: np.ndarray, threshold: Threshold) -> Scored:
    with torch.inference_mode():
        return find(
            detector.extractor.prepare(IMAGE, boxes),
            boxes,
            SIZE,
            detector.scorer,
            detector.regression,
            detector.settings.selection,
            threshold,
        )


def find_here(detector: Detector, boxes: np.ndarray, threshold: Threshold) -> Scored:
    resized = resize_all(detector.extractor, IMAGE)
    return find_later(detector, resized, SIZE, boxes, threshold).result()


def assert_same(found: Scored, wanted: Scored) -> None:
    np.testing.assert_array_equal(found.labels, wanted.labels)
    np.testing.assert_array_equal(found.rows, wanted.rows)
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)
    np.testing.assert_allclose(found.boxes, wanted.boxes, atol=1e-2)
    for name in ("boxes", "labels", "scores", "rows"):
        assert getattr(found, name).dtype == getattr(wanted, name).dtype, name


@pytest.mark.parametrize("count", [0, 1, 30, 300])
@pytest.mark.parametrize("threshold", [None, 0.6, np.array([0.5, 0.9, 1.0], "f4")])
@pytest.mark.parametrize("regression", [True, False])
def test_the_detections_are_those_of_the_path(
    count: int, threshold: Threshold, regression: bool
) -> None:
    detector, boxes = make_detector(regression=regression), some_boxes(count)
    assert is_supported(detector)
    assert_same(find_here(detector, boxes, threshold), expect(detector, boxes, threshold))


@pytest.mark.parametrize("size", [(140, 90), (91, 141), (64, 64), (65, 129), (300, 77), (31, 8)])
@pytest.mark.parametrize("name", ["small", "squeezenet1_0", "lite0"])
def test_images_of_other_sizes(name: str, size: tuple[int, int]) -> None:
    """On canvases of rounded sides."""
    settings = SppSettings((64, 128), levels=(1, 2))
    detector = make_detector(SppRegionFeatures(build_trunk(name, None), settings))
    image = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)
    boxes = some_boxes(60) * np.tile(np.divide(size, SIZE), 2).astype("f4")
    with torch.inference_mode():
        wanted = find(
            detector.extractor.prepare(image, boxes),
            boxes,
            size,
            detector.scorer,
            detector.regression,
            detector.settings.selection,
            0.3,
        )
    resized = resize_all(detector.extractor, image)
    assert_same(find_later(detector, resized, size, boxes, 0.3).result(), wanted)
    assert device_path._heads_of(detector).features.network.rounding is not None


@pytest.mark.parametrize(
    "selection",
    [
        SelectionSettings(one_class_iou=0.4),
        SelectionSettings(max_per_class=2, max_candidates=20),
        SelectionSettings(voter_iou=1.0, nms_iou=0.6),
    ],
)
def test_the_settings_of_the_selection(selection: SelectionSettings) -> None:
    detector, boxes = make_detector(classes=20, selection=selection), some_boxes(100)
    wanted = expect(detector, boxes, None)
    assert len(np.unique(wanted.labels)) > 5
    assert_same(find_here(detector, boxes, None), wanted)


def test_new_settings_and_new_heads_count_at_once() -> None:
    detector, boxes = make_detector(), some_boxes(50)
    find_here(detector, boxes, None)
    detector.settings = DetectorSettings(selection=SelectionSettings(max_per_class=1))
    assert len(find_here(detector, boxes, None).rows) == 3
    assert isinstance(detector.scorer, LinearScorer)
    detector.scorer = replace(detector.scorer, bias=torch.tensor([torch.nan, 0, 0]))
    assert find_here(detector, boxes, None).labels.tolist() == [1, 2]


@pytest.mark.parametrize("kind", ["normalized", "rcnn", "fc6"])
def test_other_features_take_the_path_on_the_host(kind: str) -> None:
    if kind == "rcnn":
        settings = RcnnSettings(64, 4, levels=(1, 2))
        extractor: RegionExtractor = RcnnRegionFeatures(build_trunk("small", None), settings)
    elif kind == "fc6":
        trunk = build_trunk("alexnet", None, layer="fc6")
        extractor = SppRegionFeatures(trunk, SppSettings((128,), levels=trunk.levels or ()))
    else:
        chosen = SppSettings((64, 128), levels=(1, 2), normalize_levels=True)
        extractor = SppRegionFeatures(build_trunk("small", None), chosen)
    detector, boxes = make_detector(extractor), some_boxes(12)
    assert not is_supported(detector)
    assert_same(find_here(detector, boxes, 0.5), expect(detector, boxes, 0.5))


def test_many_may_be_pending_and_threads_may_queue_them() -> None:
    detector = make_detector()
    counts = [1, 80, 300, 2, 40, 257]
    resized = resize_all(detector.extractor, IMAGE)
    with ThreadPoolExecutor(3) as pool:
        pending = list(
            pool.map(lambda n: find_later(detector, resized, SIZE, some_boxes(n), None), counts)
        )
    for one, count in reversed(list(zip(pending, counts, strict=True))):
        wanted = expect(detector, some_boxes(count), None)
        assert_same(one.result(), wanted)
        assert one.result() is one.result()


def test_the_thread_of_a_gpu_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    detector, boxes = make_detector(), some_boxes(40)
    wanted = find_here(detector, boxes, 0.2)
    names = []
    work = device_heads.DeviceHeads._queue

    def spy(self: object, plan: device_heads.Plan, buffer: torch.Tensor) -> object:
        names.append(threading.current_thread().name)
        assert torch.is_inference_mode_enabled() is False
        return work(self, plan, buffer)  # type: ignore[arg-type]

    monkeypatch.setattr(device_heads.DeviceHeads, "_queue", spy)
    with ThreadPoolExecutor(1, "one") as own, ThreadPoolExecutor(4, "caller") as callers:
        monkeypatch.setattr(device_path._heads_of(detector), "_thread", own)
        found = list(callers.map(lambda _: find_here(detector, boxes, 0.2), range(8)))
    for one in found:
        assert_same(one, wanted)
    assert names == ["one_0"] * 8


@pytest.mark.gpu
def test_threads_on_a_gpu_see_sizes_again(tmp_path: Path) -> None:
    """Other threads give back pinned memory while a graph is captured."""
    _, there = on_gpu(tmp_path, single=False)
    sizes = [(120 + 8 * index, 90) for index in range(6)]
    images = [np.ascontiguousarray(np.resize(IMAGE, (h, w, 3))) for w, h in sizes]
    alone = [there.detect(one) for one in images]
    for _ in range(3):  # each time from other threads
        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(there.detect, images * 4))
        for one, wanted in zip(found, alone * 4, strict=True):
            assert len(one) == len(wanted)
            np.testing.assert_allclose(one.boxes, wanted.boxes, atol=0.05)


def test_a_suppression_of_many_rounds_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    detector = make_detector(selection=SelectionSettings(nms_iou=0.05))
    boxes = some_boxes(300)
    wanted = expect(detector, boxes, None)
    asked = []
    queue = device_heads.DeviceHeads.queue

    def spy(self: object, plan: device_heads.Plan, buffer: torch.Tensor) -> object:
        asked.append(plan.rounds)
        return queue(self, plan, buffer)  # type: ignore[arg-type]

    monkeypatch.setattr(device_heads.DeviceHeads, "queue", spy)
    monkeypatch.setattr(device_path, "ROUNDS", 2)
    assert_same(find_here(detector, boxes, None), wanted)
    assert asked == [2, 401]


def test_a_map_that_is_not_finite_is_an_error() -> None:
    detector = make_detector()
    next(detector.extractor.trunk.network.parameters()).fill_(torch.nan)
    with pytest.raises(SppdetError, match="not finite"):
        find_here(detector, some_boxes(5), None)


def test_decoding_is_that_of_the_boxes() -> None:
    random = np.random.default_rng(0)
    boxes = some_boxes(200)
    deltas = random.normal(size=(200, 4)).astype("f4") * 3
    found = device_heads.decode(
        torch.from_numpy(boxes), torch.from_numpy(deltas), torch.tensor([140.0, 90.0])
    )
    np.testing.assert_allclose(found.numpy(), clip(decode(boxes, deltas), *SIZE), atol=1e-3)


@pytest.mark.parametrize("boxes", [None, 40, 0])
def test_detect_on_a_device_gives_what_it_gives_on_a_cpu(
    boxes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = make_detector()
    given = None if boxes is None else some_boxes(boxes)
    wanted = detector.detect(IMAGE, 0.5, given)
    monkeypatch.setattr(Detector, "_runs_on_device", is_supported)
    found = detector.detect(IMAGE, 0.5, given)
    np.testing.assert_array_equal(found.labels, wanted.labels)
    np.testing.assert_allclose(found.boxes, wanted.boxes, atol=1e-2)
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)
    searched = ["proposals"] if boxes is None else []
    assert list(found.seconds) == [*searched, "device", "total"]
    assert found.size == wanted.size


def on_gpu(folder: Path, single: bool) -> tuple[Detector, Detector]:
    """A detector on the CPU and on the GPU; there in single precision, or in half."""
    here = make_detector(classes=20)
    here.save(folder / "model.safetensors")
    there = Detector.load(folder / "model.safetensors", "cuda")
    if single:
        network = device_path._heads_of(there).features.network
        network._kinds = [torch.float32]
        network._convert()
        network.settled = True
    return here, there


@pytest.mark.gpu
def test_a_gpu_in_single_precision_finds_what_the_cpu_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eagerly, captured and replayed."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    here, there = on_gpu(tmp_path, single=True)
    for _ in range(4):
        for count in (0, 1, 30, 300):
            boxes = some_boxes(count)
            for threshold in (None, 0.6):
                found, wanted = (find_here(one, boxes, threshold) for one in (there, here))
                assert_same(found, wanted)


@pytest.mark.gpu
def test_a_gpu_in_half_precision_finds_nearly_what_the_cpu_finds(tmp_path: Path) -> None:
    here, there = on_gpu(tmp_path, single=False)
    boxes = some_boxes(300)
    found, wanted = (find_here(one, boxes, None) for one in (there, here))
    assert device_path._heads_of(there).features.network.kind == torch.float16
    for label in range(20):
        best = [one.scores[one.labels == label].max() for one in (found, wanted)]
        assert abs(best[0] - best[1]) < 0.02 * max(abs(best[1]), 1)


@pytest.mark.gpu
def test_replays_equal_the_eager_run(tmp_path: Path) -> None:
    _, there = on_gpu(tmp_path, single=False)
    boxes = some_boxes(300)
    eager = find_here(there, boxes, None)
    resized = resize_all(there.extractor, IMAGE)
    pending = [find_later(there, resized, SIZE, boxes, None) for _ in range(20)]
    assert len(device_path._heads_of(there).features.graphs) == 1
    for one in pending:
        np.testing.assert_array_equal(one.result().rows, eager.rows)
        np.testing.assert_allclose(one.result().boxes, eager.boxes, atol=1e-3)
