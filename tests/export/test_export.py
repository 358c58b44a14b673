"""The exported detector in onnxruntime equals the detector."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sppdet.boxes import Boxes
from sppdet.cli import main
from sppdet.cli.detect import shipped_model
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.export import export_onnx, to_onnx
from sppdet.export.graph import OPSET, Graph
from sppdet.export.resizing import image_axes, resized
from sppdet.features.rcnn import RcnnRegionFeatures
from sppdet.features.spp import SppRegionFeatures
from sppdet.features.windows import image_scales, resize
from sppdet.heads.base import Scorer
from sppdet.heads.connected import LayeredSvms, SoftmaxScorer
from sppdet.heads.layers import Layers
from sppdet.heads.linear import LinearScorer
from sppdet.heads.path import score_regions
from sppdet.heads.regression import BoxRegression
from sppdet.images import Rgb, read_image
from sppdet.settings import RcnnSettings, SppSettings
from sppdet.trunks import Trunk, load_trunk, make_trunk
from sppdet.trunks.fully_connected import FullyConnected
from sppdet.trunks.specs import FullyConnectedSpec
from sppdet.trunks.weights import Preprocessing

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

ROOT = Path(__file__).resolve().parents[2]
PHOTO = ROOT / "data" / "sample" / "fruit.jpg"
CLASSES = ("apple", "pear", "plum")


def session(model: "onnx.ModelProto") -> "onnxruntime.InferenceSession":
    return onnxruntime.InferenceSession(model.SerializeToString())


def photo(width: int, height: int) -> Rgb:
    import cv2

    return cv2.resize(read_image(PHOTO), (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def some_boxes(count: int, width: int, height: int) -> Boxes:
    """Boxes of all sizes, some of them thinner than a cell, and the whole image."""
    corners = np.random.default_rng(1).uniform(0, [width, height], (count, 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1)], axis=1).astype(np.float32)
    boxes[:1] = 0, 0, width, height
    return boxes


def own_answer(detector: Detector, image: Rgb, boxes: Boxes) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N, K) and moved boxes (N, K, 4) from the detector's own steps."""
    classes, size = len(detector.classes), (image.shape[1], image.shape[0])
    if not len(boxes):
        return np.zeros((0, classes), np.float32), np.zeros((0, classes, 4), np.float32)
    regions = detector.extractor.prepare(image, boxes)
    scores = score_regions(regions, detector.scorer)[regions.keys]
    rows, labels = np.divmod(np.arange(scores.size), classes)
    probabilities = detector.scorer.probabilities(scores.reshape(-1), labels)
    moved = boxes[rows]
    if detector.regression is not None:
        moved = detector.regression.move(regions, boxes, labels, rows, size)
    return probabilities.reshape(-1, classes), moved.reshape(-1, classes, 4)


def check(
    detector: Detector, run: "onnxruntime.InferenceSession", image: Rgb, count: int, pixels: float
) -> None:
    """Equal probabilities to 1e-3, and boxes to so many pixels."""
    boxes = some_boxes(count, image.shape[1], image.shape[0])
    probabilities, moved = run.run(None, {"image": image, "boxes": boxes})
    wanted, wanted_boxes = own_answer(detector, image, boxes)
    assert probabilities.dtype == moved.dtype == np.float32
    np.testing.assert_allclose(probabilities, np.nan_to_num(wanted), rtol=0, atol=1e-3)
    np.testing.assert_allclose(moved, wanted_boxes, rtol=0, atol=pixels)


# ---------------------------------------------------------------- the resizing

SIZES = [(300, 220), (64, 48), (3, 2), (1, 1), (320, 320), (640, 640), (960, 960), (641, 480)]
SIZES += [(1024, 768), (500, 375), (31, 200), (3000, 20), (20, 3000), (321, 437)]


@pytest.fixture(scope="module")
def resizing() -> "onnxruntime.InferenceSession":
    graph = Graph()
    graph.named(resized(graph, "image", image_axes(graph, "image", 320, 2000)), "resized")
    value, numbers = onnx.helper.make_tensor_value_info, onnx.TensorProto
    body = onnx.helper.make_graph(
        graph.nodes,
        "resizing",
        [value("image", numbers.UINT8, ["height", "width", 3])],
        [value("resized", numbers.FLOAT, ["rows", "columns", 3])],
        graph.constants,
    )
    opset = onnx.helper.make_opsetid("", OPSET)
    return session(onnx.helper.make_model(body, opset_imports=[opset], ir_version=9))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_resizing_is_that_of_the_detector(
    resizing: "onnxruntime.InferenceSession", width: int, height: int
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    (scale,) = image_scales(width, height, (320,), 2000)
    wanted = resize(image, scale).astype(np.float32)
    (found,) = resizing.run(None, {"image": image})
    assert found.shape == wanted.shape
    difference = np.abs(found - wanted)
    grows = scale.width >= width
    assert difference.max() <= (0 if grows else 1)
    assert (difference > 0).mean() < 0.03


# ---------------------------------------------------------------- whole detectors


@pytest.fixture(scope="module")
def small() -> tuple[Detector, "onnxruntime.InferenceSession"]:
    detector = Detector.load(shipped_model(), "cpu")
    return detector, session(to_onnx(detector))


@pytest.mark.parametrize("count", [0, 1, 60])
@pytest.mark.parametrize(
    ("width", "height", "pixels"),
    [
        (427, 320, 1e-3),  # not resized
        (640, 640, 1e-3),  # to the half
        (200, 150, 1e-2),  # enlarged
        (1024, 768, 0.05),
        (333, 500, 0.05),
        (40, 30, 1e-2),
        (31, 200, 1e-2),
    ],
)
def test_the_detector_that_ships(
    small: tuple[Detector, "onnxruntime.InferenceSession"],
    width: int,
    height: int,
    pixels: float,
    count: int,
) -> None:
    check(*small, photo(width, height), count, pixels)


def test_the_metadata(small: tuple[Detector, "onnxruntime.InferenceSession"]) -> None:
    detector, run = small
    told = run.get_modelmeta().custom_metadata_map
    assert json.loads(told["classes"]) == list(detector.classes)
    assert json.loads(told["thresholds"]) == pytest.approx(detector.thresholds, abs=1e-6)
    assert json.loads(told["nms_iou"]) == detector.settings.selection.nms_iou


def of_random(
    extractor: SppRegionFeatures, scorer: Scorer | None = None, regression: bool = True
) -> Detector:
    """A detector with random heads whose scores spread over the probabilities."""
    random = torch.Generator().manual_seed(0)
    size = extractor.dimension
    linear = LinearScorer(
        torch.randn(3, size, generator=random) / size**0.5,
        torch.tensor([0.1, torch.nan, -0.2]),
        np.array([[2.0, 0.5], [1.0, -0.5], [1.5, 0]], np.float32),
    )
    moves = torch.randn(12, size, generator=random) * 0.1 / size**0.5
    boxes = BoxRegression(moves, torch.linspace(-0.2, 0.2, 12)) if regression else None
    return Detector(extractor, scorer or linear, CLASSES, regression=boxes)


def test_lite0() -> None:
    detector = of_random(SppRegionFeatures(load_trunk("lite0"), SppSettings((160,))))
    run = session(to_onnx(detector))
    for size, count in (((213, 160), 0), ((213, 160), 40), ((260, 190), 1), ((120, 180), 40)):
        check(detector, run, photo(*size), count, 0.05)


# ---------------------------------------------------------------- small networks


def tiny(channels: str = "RGB") -> Trunk:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 6, 3, 2, 1), nn.ReLU()
    )
    order = Preprocessing(channels, 255.0, (100.0, 110.0, 120.0), (50.0, 60.0, 70.0))
    return make_trunk(network, order, name="tiny", scales=(64,))


def layers_of(dimension: int) -> Layers:
    random = torch.Generator().manual_seed(1)
    weights = (
        torch.randn(10, dimension, generator=random) / dimension**0.5,
        torch.randn(10, 10, generator=random) / 3,
    )
    return Layers(weights, (torch.zeros(10), torch.ones(10) / 10))


def connected(kind: str) -> Detector:
    extractor = SppRegionFeatures(tiny(), SppSettings((64,), levels=(1, 3)))
    layers = layers_of(extractor.dimension)
    random = torch.Generator().manual_seed(2)
    svms = LinearScorer(
        torch.randn(3, 10, generator=random), torch.zeros(3), np.ones((3, 2), np.float32)
    )
    softmax = SoftmaxScorer(layers, torch.randn(4, 10, generator=random), torch.zeros(4))
    scorer = softmax if kind == "softmax" else LayeredSvms(layers, svms)
    moves = BoxRegression(torch.randn(12, 10, generator=random) * 0.1, torch.zeros(12), layers)
    return Detector(extractor, scorer, CLASSES, regression=moves)


def with_layers_of_the_trunk() -> Detector:
    torch.manual_seed(3)
    head = FullyConnected(FullyConnectedSpec(2, 6, 12, ("1", "4")), "fc7").eval()
    head.requires_grad_(False)
    trunk = replace(tiny(), head=head)
    return of_random(SppRegionFeatures(trunk, SppSettings((64,), levels=(2,))))


DETECTORS = {
    "levels that do not nest": lambda: of_random(
        SppRegionFeatures(tiny(), SppSettings((64,), levels=(5, 1, 2)))
    ),
    "a level that single precision divides wrongly": lambda: of_random(
        SppRegionFeatures(tiny(), SppSettings((64,), levels=(7,)))
    ),
    "BGR": lambda: of_random(SppRegionFeatures(tiny("BGR"), SppSettings((64,)))),
    "normalized levels": lambda: of_random(
        SppRegionFeatures(tiny(), SppSettings((64,), normalize_levels=True))
    ),
    "no regression": lambda: of_random(
        SppRegionFeatures(tiny(), SppSettings((64,), 100)), regression=False
    ),
    "softmax": lambda: connected("softmax"),
    "SVMs on layers": lambda: connected("svms"),
    "layers of the trunk": with_layers_of_the_trunk,
}


@pytest.mark.parametrize("name", DETECTORS)
def test_every_kind_of_heads_and_features(name: str) -> None:
    detector = DETECTORS[name]()
    run = session(to_onnx(detector))
    for size, count in (((85, 64), 30), ((500, 64), 60), ((50, 40), 1), ((85, 64), 0)):
        check(detector, run, photo(*size), count, 0.02)


# ---------------------------------------------------------------- what cannot be exported


class OwnScorer:
    name = "own"
    classes = 3

    def to(self, device: torch.device) -> "OwnScorer":
        return self


class NoMap(nn.Module):
    """PyTorch cannot export it: what it does depends on the pixels."""

    def forward(self, images: Tensor) -> Tensor:
        step = 4 if images.sum().item() > 1e9 else 2
        return images[:, :, ::step, ::step]


def unexportable() -> Detector:
    trunk = replace(tiny(), network=NoMap(), channels=3)
    return of_random(SppRegionFeatures(trunk, SppSettings((64,))))


WRONG = [
    (
        lambda: of_random(RcnnRegionFeatures(tiny(), RcnnSettings(64, 4))),  # type: ignore[arg-type]
        "--method spp",
    ),
    (lambda: of_random(SppRegionFeatures(tiny(), SppSettings((64, 96)))), "--scales 64"),
    (
        lambda: of_random(SppRegionFeatures(tiny(), SppSettings((64,))), OwnScorer()),  # type: ignore[arg-type]
        "heads own",
    ),
    (unexportable, "trunk tiny: PyTorch cannot export it"),
]


@pytest.mark.parametrize(("make", "said"), WRONG)
def test_what_cannot_be_exported_is_one_line(make, said: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SppdetError, match=said) as error:
        export_onnx(make(), tmp_path / "a.onnx")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_one_line(package: str, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from sppdet.cli import main; main(sys.argv[1:])"
    )
    words = ["export", str(shipped_model()), "-o", str(tmp_path / "a.onnx")]
    line = [sys.executable, "-c", code, *words]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    remedy = "pip install 'sppdet[onnx]'"
    assert done.stderr == f"error: export to ONNX: {package} is missing; {remedy}\n"


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "fruit.onnx"
    words = ["export", str(shipped_model()), "--to", "onnx", "-o", str(target)]
    for options in ([], ["--quiet"]):  # the second time over its own file
        with pytest.raises(SystemExit) as stop:
            main([*words, *options])
        assert not stop.value.code
    said = capsys.readouterr()
    assert said.err.count("fruit.onnx: ") == 1
    assert "finds apple" in said.err
    onnx.checker.check_model(onnx.load(target))
    target.write_bytes(b"another's")
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "sppdet did not make it" in capsys.readouterr().err
