"""A detector without the search as one ONNX file: image and boxes in, scores and boxes out.

The file runs in onnxruntime, without PyTorch and without sppdet. It needs the packages of
``sppdet[onnx]`` to be written.
"""

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.connected import LayeredSvms, SoftmaxScorer
from sppdet.heads.linear import LinearScorer
from sppdet.runtime.outputs import recorded_path

if TYPE_CHECKING:
    import onnx

    from sppdet.export.graph import Graph
    from sppdet.export.regions import Features

REMEDY = "pip install 'sppdet[onnx]'"


def export_onnx(detector: Detector, path: str | os.PathLike[str]) -> None:
    """Write :func:`to_onnx` to a file.

    Raises:
        SppdetError: see :func:`to_onnx`; or the file cannot be written.
    """
    model = to_onnx(detector)
    with recorded_path(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def to_onnx(detector: Detector) -> "onnx.ModelProto":
    """The detector without the search as a model of ONNX.

    Inputs:
        image: (height, width, 3) uint8 RGB, of any size.
        boxes: (N, 4) float32, x1, y1, x2, y2 in pixels of the image; N may be 0.

    Outputs:
        probabilities: (N, K) float32, calibrated, as :meth:`Detector.detect` gives them.
        boxes_of_classes: (N, K, 4) float32, every box moved by the regression of each class.

    What follows in a detector is the caller's: suppression (:class:`SelectionSettings`), box voting
    and the thresholds. The metadata has ``classes``, ``thresholds`` and ``nms_iou`` as JSON.

    Raises:
        SppdetError: the packages are missing, the detector is not SPP-net with one scale, its heads
            are one's own, or PyTorch cannot export its trunk.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise SppdetError(f"export to ONNX: {error.name} is missing; {REMEDY}") from None
    from sppdet.export.graph import OPSET, Graph
    from sppdet.export.network import PREFIX, network_graph, network_input
    from sppdet.export.regions import Features, map_windows, moved, pooled
    from sppdet.export.resizing import image_axes, resized

    extractor = _supported(detector)
    trunk, settings = extractor.trunk, extractor.settings
    classes = len(detector.classes)
    graph = Graph()
    axes = image_axes(graph, "image", settings.scales[0], settings.longest_side)
    pixels = network_input(graph, resized(graph, "image", axes), trunk)
    graph.named(pixels, f"{PREFIX}image")
    graph.insert(network_graph(trunk))
    feature_map = f"{PREFIX}map"
    windows = map_windows(graph, "boxes", axes, feature_map, trunk.geometry)
    features = pooled(graph, feature_map, windows, trunk.channels, settings)
    if trunk.head is not None:  # it takes the values channel by channel
        order = np.arange(len(features.orders[0])).reshape(trunk.channels, -1).T.reshape(-1)
        features = Features(graph, features.parts, [order])
        for layer in trunk.head.classifier.values():
            features = features.rectified(layer.weight, layer.bias)  # type: ignore[arg-type]
    graph.named(_probabilities(graph, features, detector), "probabilities")
    regression = detector.regression
    deltas = None
    if regression is not None:
        deltas = features.linear(regression.weight, regression.bias, regression.layers)
    graph.named(moved(graph, "boxes", deltas, axes, classes), "boxes_of_classes")

    numbers, value = onnx.TensorProto, onnx.helper.make_tensor_value_info
    body = onnx.helper.make_graph(
        graph.nodes,
        "sppdet",
        [
            value("image", numbers.UINT8, ["height", "width", 3]),
            value("boxes", numbers.FLOAT, ["N", 4]),
        ],
        [
            value("probabilities", numbers.FLOAT, ["N", classes]),
            value("boxes_of_classes", numbers.FLOAT, ["N", classes, 4]),
        ],
        graph.constants,
    )
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    model = onnx.helper.make_model(body, opset_imports=opsets, producer_name="sppdet", ir_version=9)
    onnx.helper.set_model_props(model, _metadata(detector))
    onnx.checker.check_model(model)
    return model


def _supported(detector: Detector) -> SppRegionFeatures:
    """The extractor of a detector that can be exported.

    Raises:
        SppdetError: it cannot.
    """
    extractor = detector.extractor
    if not isinstance(extractor, SppRegionFeatures):
        raise SppdetError(
            "export to ONNX: the detector is R-CNN, which sees every box by itself; train one with "
            "--method spp"
        )
    scales = extractor.settings.scales
    if len(scales) != 1:
        raise SppdetError(
            f"export to ONNX: the detector sees images at {len(scales)} scales; train one with one "
            f"of them, such as --scales {scales[0]}"
        )
    if (extractor.settings.pooling, extractor.settings.mapping) != ("max", "paper"):
        raise SppdetError(
            f"export to ONNX: the detector has --pooling {extractor.settings.pooling} and "
            f"--window-mapping {extractor.settings.mapping}; max and paper can be exported"
        )
    if not isinstance(detector.scorer, LinearScorer | SoftmaxScorer | LayeredSvms):
        raise SppdetError(
            f"export to ONNX: the heads {detector.scorer.name} are your own; heads of sppdet can "
            "be exported"
        )
    return extractor


def _probabilities(graph: "Graph", features: "Features", detector: Detector) -> str:
    """(N, K): what the scorer's ``probabilities`` makes of its ``score``; 0 where that is NaN."""
    scorer = detector.scorer
    if isinstance(scorer, SoftmaxScorer):
        values = features.linear(scorer.weight, scorer.bias, scorer.layers)
        return graph.columns(graph("Softmax", values, axis=1), 0, scorer.classes)
    assert isinstance(scorer, LinearScorer | LayeredSvms)
    svms = scorer if isinstance(scorer, LinearScorer) else scorer.svms
    layers = None if isinstance(scorer, LinearScorer) else scorer.layers
    scores = features.linear(svms.weight, svms.bias, layers)
    slope, offset = svms.calibration.astype(np.float32).T
    values = graph("Sigmoid", graph("Add", graph("Mul", scores, slope), offset))
    return graph("Where", graph("IsNaN", values), np.array(0, np.float32), values)


def _metadata(detector: Detector) -> dict[str, str]:
    """Facts that the caller's part needs, as text."""
    content: dict[str, Any] = {
        "classes": detector.classes,
        "thresholds": [round(float(one), 6) for one in detector.thresholds],
        "nms_iou": detector.settings.selection.nms_iou,
        "one_class_iou": detector.settings.selection.one_class_iou,
        "proposals": detector.settings.proposals,
        "max_boxes": detector.settings.max_boxes,
    }
    return {name: json.dumps(one, ensure_ascii=False) for name, one in content.items()}
