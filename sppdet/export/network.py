"""The trunk as a graph of ONNX, from whole pixels to its map, for images of any size."""

import copy
import logging
import math
import warnings

import numpy as np
import onnx
import torch

from sppdet.errors import SppdetError
from sppdet.export.graph import OPSET, Graph
from sppdet.trunks import Trunk

PREFIX = "trunk/"
"""Before the names in the part of the trunk."""

_BLOCK = 32
"""Sides of the example images are multiples of this and of the trunk's own multiple, in pixels."""


def network_graph(trunk: Trunk) -> onnx.GraphProto:
    """The network's graph with the input ``trunk/image`` and the output ``trunk/map``.

    The input is (1, 3, H, W) float32, the output (1, channels, H', W'), as of ``trunk.network``.

    Raises:
        SppdetError: PyTorch cannot export the network.
    """
    network = copy.deepcopy(trunk.network).cpu().float().eval()
    step = math.lcm(_BLOCK, trunk.multiple)
    least = -(-max(trunk.smallest_side, 128) // step) * step
    example = torch.zeros(1, 3, least, least + step)
    sides = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                dynamic_shapes=(sides,),
                input_names=["image"],
                output_names=["map"],
                opset_version=OPSET,
                verbose=False,
            )
    except Exception as error:  # of many types, from several packages
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SppdetError(f"trunk {trunk.name}: PyTorch cannot export it: {reason}") from None
    finally:
        logger.setLevel(level)
    assert program is not None
    model: onnx.ModelProto = onnx.compose.add_prefix(program.model_proto, PREFIX)
    if model.functions or any(one.version != OPSET for one in model.opset_import if not one.domain):
        raise SppdetError(f"trunk {trunk.name}: PyTorch exports operations of another version")
    return model.graph


def network_input(graph: Graph, pixels: str, trunk: Trunk) -> str:
    """What :meth:`Trunk.input_tensor` and :meth:`Trunk.maps` make: (1, 3, H, W) float32."""
    chosen = trunk.preprocessing
    if chosen.channels == "BGR":
        pixels = graph("Gather", pixels, np.array([2, 1, 0], np.int64), axis=2)
    std = np.array(chosen.std, np.float32)
    factor = np.float32(chosen.scale / 255) / std
    offset = np.array(chosen.mean, np.float32) / std
    values = graph("Sub", graph("Mul", pixels, factor), offset)
    values = graph("Transpose", values, perm=[2, 0, 1])
    batch = graph("Unsqueeze", values, np.array([0], np.int64))
    missing = []
    for axis in (2, 3):
        size = graph.size(batch, axis)
        wanted = graph("Max", size, np.array([trunk.smallest_side], np.int64))
        multiple = np.array([trunk.multiple], np.int64)
        up = graph("Add", wanted, multiple - 1)
        wanted = graph("Mul", graph("Div", up, multiple), multiple)
        missing.append(graph("Sub", wanted, size))
    pads = graph("Concat", np.zeros(6, np.int64), *missing, axis=0)
    return graph("Pad", batch, pads)
