import ast
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from sppdet.datasets.scenes import render_scene
from sppdet.detections import Detections
from sppdet.detector import Detector
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.linear import LinearScorer
from sppdet.heads.regression import BoxRegression
from sppdet.images import Rgb, read_image
from sppdet.settings import DetectorSettings, SelectionSettings, SppSettings
from sppdet.trunks import build_trunk

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "sppdet" / "weights" / "detector.safetensors"
SAMPLE = ROOT / "data" / "sample" / "fruit.jpg"


@pytest.fixture(scope="module")
def page(example: Callable[[str], ModuleType]) -> ModuleType:
    return example("sppnet_in_one_page")


@pytest.fixture(scope="module")
def shipped() -> Detector:
    return Detector.load(SHIPPED, "cpu")


def assert_same(page_found: list, found: Detections) -> None:
    labels, scores, boxes = zip(*page_found, strict=True) if page_found else ((), (), ())
    assert list(labels) == [found.classes[label] for label in found.labels]
    np.testing.assert_allclose(scores, found.scores, atol=1e-4)
    np.testing.assert_allclose(np.reshape(boxes, (-1, 4)), found.boxes, atol=0.01)


def assert_same_at_every_threshold(
    page: ModuleType, image: Rgb, path: Path, detector: Detector
) -> None:
    everything = page.detect(image, path)
    assert_same(everything, detector.detect(image))
    assert_same([f for f in everything if f[1] >= 0.35], detector.detect(image, 0.35))


def test_the_sample_picture(page: ModuleType, shipped: Detector) -> None:
    image = read_image(SAMPLE)
    assert len(shipped.detect(image, 0.35)) >= 3
    assert_same_at_every_threshold(page, image, SHIPPED, shipped)
    assert_same(page.detect(image, SHIPPED, 0.35), shipped.detect(image, 0.35))


@pytest.mark.parametrize(
    ("seed", "size"),
    [(1, (400, 300)), (2, (150, 330)), (3, (700, 100)), (4, (40, 30))],
    ids=["usual", "upright", "longest side", "padded"],
)
def test_rendered_scenes(
    page: ModuleType, shipped: Detector, seed: int, size: tuple[int, int]
) -> None:
    image = render_scene(seed, size).image
    assert_same_at_every_threshold(page, image, SHIPPED, shipped)


def test_fruit_photographs(page: ModuleType, shipped: Detector, shared_data: Path) -> None:
    for path in sorted((shared_data / "fruit" / "test").glob("*.jpg"))[::20]:
        assert_same_at_every_threshold(page, read_image(path), SHIPPED, shipped)


@pytest.mark.parametrize("regression", [False, True])
@pytest.mark.parametrize("voter_iou", [0.7, 1.0])
def test_other_settings_in_the_file(
    page: ModuleType, tmp_path: Path, regression: bool, voter_iou: float
) -> None:
    """Random heads and trunk, an untrained class, levels of which none divides another."""
    trunk, random = build_trunk("small", None), torch.Generator().manual_seed(0)
    extractor = SppRegionFeatures(trunk, SppSettings((200,), 240, levels=(3, 2)))
    size = extractor.dimension
    scorer = LinearScorer(
        torch.randn(3, size, generator=random) * 0.05,
        torch.tensor([0.1, torch.nan, -0.2]),
        np.array([[2.0, 0.5], [1.0, 0.0], [1.0, -0.5]], np.float32),
    )
    boxes = BoxRegression(torch.randn(12, size, generator=random) * 0.003, torch.zeros(12))
    chosen = DetectorSettings("tiny", 60, SelectionSettings(30, 0.4, voter_iou, 5))
    detector = Detector(extractor, scorer, ("a", "b", "c"), chosen, boxes if regression else None)
    path = tmp_path / "random.safetensors"
    detector.save(path)
    image = render_scene(5, (160, 120)).image
    found = detector.detect(image)
    assert np.bincount(found.labels).tolist() == [5, 0, 5]
    assert_same(page.detect(image, path), found)


def test_a_picture_without_proposals(page: ModuleType, shipped: Detector) -> None:
    image = np.full((1, 1, 3), 90, np.uint8)
    assert len(shipped.propose(image)) == 0
    assert_same(page.detect(image, SHIPPED), shipped.detect(image))


def test_what_the_page_does_not_run_is_refused(page: ModuleType, tmp_path: Path) -> None:
    extractor = SppRegionFeatures(build_trunk("small", None), SppSettings((64, 128), levels=(1,)))
    scorer = LinearScorer(torch.zeros(1, 256), torch.zeros(1), np.ones((1, 2), np.float32))
    path = tmp_path / "two_scales.safetensors"
    Detector(extractor, scorer, ("a",)).save(path)
    with pytest.raises(SystemExit, match=r"two_scales\.safetensors: .* one scale"):
        page.detect(np.zeros((64, 64, 3), np.uint8), path)


def test_the_command_prints_the_detections(
    page: ModuleType,
    shipped: Detector,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["page", str(SAMPLE), "--threshold", "0.5"])
    page.main()
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    found = shipped.detect(read_image(SAMPLE), 0.5)
    assert [line[0] for line in lines] == [found.classes[label] for label in found.labels]
    numbers = np.array([[float(value) for value in line[1:]] for line in lines])
    np.testing.assert_allclose(numbers[:, 0], found.scores, atol=1e-3)
    np.testing.assert_allclose(numbers[:, 1:], found.boxes, atol=0.06)


def test_the_page_stands_on_its_own(page: ModuleType) -> None:
    tree = ast.parse(Path(page.__file__ or "").read_text())
    imported = {
        (node.module, name.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    } | {
        (name.name, "")
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for name in node.names
    }
    ours = {entry for entry in imported if str(entry[0]).startswith("sppdet")}
    assert ours == {("sppdet.proposals", "propose")}
