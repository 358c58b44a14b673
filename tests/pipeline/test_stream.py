import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sppdet.pipeline.stream
from sppdet.detections import Detections
from sppdet.detector import Detector
from sppdet.device.path import resize_all
from sppdet.errors import SppdetError, SppdetWarning
from sppdet.evaluation.detecting import detect_all
from sppdet.features.rcnn import RcnnRegionFeatures
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.linear import LinearScorer
from sppdet.heads.regression import BoxRegression
from sppdet.pipeline.preparing import Prepared, prepare
from sppdet.pipeline.stream import WAITING, Pipeline, recipe_of
from sppdet.proposals.cache import ProposalCache
from sppdet.settings import DetectorSettings, RcnnSettings, SppSettings
from sppdet.trunks import build_trunk

WAYS = ["workers", "lane", "processes"]


def make_detector(scales: tuple[int, ...] = (128,), **settings: object) -> Detector:
    extractor = SppRegionFeatures(build_trunk("small", None), SppSettings(scales, levels=(1, 2)))
    random = torch.Generator().manual_seed(0)
    size = extractor.dimension
    scorer = LinearScorer(
        torch.randn(2, size, generator=random) * 0.1,
        torch.tensor([0.1, -0.2]),
        np.array([[2.0, 0.5], [1.0, -0.5]], np.float32),
    )
    boxes = BoxRegression(torch.randn(8, size, generator=random) * 0.005, torch.zeros(8))
    chosen = DetectorSettings(max_boxes=100, **settings)  # type: ignore[arg-type]
    return Detector(extractor, scorer, ("cat", "dog"), chosen, boxes)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Images of different sizes, a panorama among them."""
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    paths = []
    for number in range(7):
        size = (60 + 7 * number, 90) if number != 3 else (30, 400)
        small = random.integers(0, 255, (size[0] // 10, size[1] // 10, 3), np.uint8)
        paths.append(folder / f"{number}.png")
        Image.fromarray(small).resize(size[::-1]).save(paths[-1])
    return paths


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a pipeline works; what is meant for a GPU computes on the CPU."""
    way: str = request.param
    if way != "workers":
        monkeypatch.setattr(sppdet.pipeline.stream, "uses_lane", lambda device: True)
    if way == "processes":
        monkeypatch.setattr(sppdet.pipeline.stream, "ENOUGH_FOR_PROCESSES", 2)
    return way


def check_same(found: Detections, expected: Detections) -> None:
    assert found.labels.tolist() == expected.labels.tolist()
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-2)
    assert (found.size, found.source) == (expected.size, expected.source)


@pytest.mark.parametrize("scales", [(128,), (96, 160)])
def test_many_are_what_they_are_one_by_one(
    way: str, scales: tuple[int, ...], files: list[Path]
) -> None:
    detector = make_detector(scales)
    expected = [detector.detect(file, 0.3) for file in files]
    assert any(map(len, expected))
    found = list(detector.detect_many(files, 0.3, workers=2))
    for one, other in zip(found, expected, strict=True):
        check_same(one, other)
        assert one.seconds["total"] > 0


def test_programs_give_arrays_files_bytes_and_proposals(way: str, files: list[Path]) -> None:
    detector = make_detector()
    pixels = np.asarray(Image.open(files[0]))
    expected = detector.detect(pixels)
    bgr = np.ascontiguousarray(pixels[:, :, ::-1])
    for one in detector.detect_many([bgr, torch.from_numpy(bgr)], workers=2, channels="BGR"):
        check_same(one, expected)
    with files[0].open("rb") as opened, Image.open(files[0]) as picture:
        for one in detector.detect_many([opened, files[0].read_bytes(), picture], workers=2):
            check_same(one, expected)
    boxes = [[5, 5, 50, 40], [20, 10, 80, 55]]
    with Pipeline(detector, 2, 4) as pipeline:
        given = pipeline.map(lambda item: pipeline.detect(*item), [(files[3], 0.2, boxes)] * 2)
        for one in given:
            check_same(one, detector.detect(files[3], 0.2, boxes))
        nothing = pipeline.map(lambda item: pipeline.detect(item, None, np.zeros((0, 4))), files)
        assert not any(map(len, nothing))
        with pytest.raises(ValueError, match="bird"):
            pipeline.detect(files[0], {"bird": 0.5})


def test_an_image_that_cannot_be_read_stops_only_a_list(
    way: str, files: list[Path], tmp_path: Path
) -> None:
    detector = make_detector()
    (tmp_path / "bad.png").write_text("no image")
    names = [files[0], tmp_path / "bad.png", files[1], tmp_path / "missing.png", files[3]]
    results = detector.detect_many(names, 0.3, workers=2)
    check_same(next(results), detector.detect(files[0], 0.3))
    with pytest.raises(SppdetError, match=r"bad\.png"):
        next(results)
    for cache in (ProposalCache(tmp_path / "cache"), ProposalCache(tmp_path / "cache")):
        found, failures = detect_all(detector, names, 2, cache=cache)
        assert ["bad" in failures[0], "missing" in failures[1], len(failures)] == [True, True, 2]
        assert [one.size for one in found] == [(90, 60), None, (90, 67), None, (400, 30)]
        check_same(found[2], detector.detect(files[1]))
    # Of the two images; the parts of the panorama are always searched.
    assert (cache.disk.found, cache.disk.made) == (2, 0)
    assert cache.disk.problem is None


def test_a_stream_warns_about_what_cannot_be_read(
    way: str, files: list[Path], tmp_path: Path
) -> None:
    detector = make_detector()
    (tmp_path / "bad.png").write_text("no image")
    with pytest.warns(SppdetWarning, match=r"bad\.png"):
        found = list(detector.stream([tmp_path / "bad.png", *files], 0.3))
    for one, file in zip(found, files, strict=True):
        check_same(one, detector.detect(file, 0.3))


def test_a_bounded_number_is_under_way_and_the_rest_is_dropped(way: str, files: list[Path]) -> None:
    detector, taken = make_detector(), []

    def read() -> Iterator[Path]:
        for number in range(1000):
            taken.append(number)
            yield files[number % 3]

    most = 2 + (0 if way == "workers" else WAITING)
    results = detector.detect_many(read(), workers=2)
    for number in range(20):
        next(results)
        assert len(taken) <= number + 2 + most
    results.close()
    time.sleep(0.1)
    assert len(taken) <= 22 + most
    assert not [one for one in threading.enumerate() if "sppdet" in one.name]


def test_an_error_of_a_worker_ends_the_pipeline(way: str, files: list[Path]) -> None:
    detector = make_detector()

    def work(file: Path) -> Detections:
        if file == files[2]:
            raise KeyError("broken")
        return pipeline.detect(file)

    with pytest.raises(KeyError, match="broken"), Pipeline(detector, 2, len(files)) as pipeline:
        list(pipeline.map(work, files))
    assert not [one for one in threading.enumerate() if "sppdet" in one.name]
    if pipeline._processes is not None:
        assert all(one.poll() is not None for one in pipeline._processes._all)


def test_one_device_thread_gets_all_work(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sppdet.pipeline.stream, "uses_lane", lambda device: True)
    detector, names = make_detector(), set()
    network = detector.extractor.trunk.network
    network.register_forward_hook(lambda *_: names.add(threading.current_thread().name))
    list(detector.detect_many(files, workers=3))
    assert names == {"sppdet-device_0"}


@pytest.mark.parametrize("scales", [(128,), (96, 160, 4000)])
def test_images_are_resized_as_the_device_wants_them(
    scales: tuple[int, ...], files: list[Path]
) -> None:
    detector = make_detector(scales)
    for file in files[:2]:
        prepared = prepare(file, recipe_of(detector))
        assert isinstance(prepared, Prepared)
        wanted = resize_all(detector.extractor, np.asarray(Image.open(file)))
        for one, other in zip(prepared.resized, wanted, strict=True):
            np.testing.assert_array_equal(one, other)


def test_crops_are_made_of_the_image_itself(files: list[Path]) -> None:
    detector = make_detector()
    extractor = RcnnRegionFeatures(detector.extractor.trunk, RcnnSettings(32, 2))
    detector = Detector(extractor, detector.scorer, detector.classes, detector.settings)
    prepared = prepare(files[0], recipe_of(detector))
    assert isinstance(prepared, Prepared)
    (pixels,) = prepared.resized
    np.testing.assert_array_equal(pixels, np.asarray(Image.open(files[0])))
