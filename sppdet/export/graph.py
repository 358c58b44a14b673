"""An ONNX graph that grows operation by operation."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
"""Version of ONNX's operations; onnxruntime has it since 1.14 (February 2023)."""

KINDS = {
    "uint8": TensorProto.UINT8,
    "int64": TensorProto.INT64,
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
}
"""ONNX's numbers of the types of values that are used here."""


class Graph:
    """Nodes and constants, in the order in which they are added.

    Call it with the name of an operation and its inputs, which are names of values or arrays. It
    returns the name of the operation's output.

    Examples:
        >>> graph = Graph()
        >>> graph("Add", "a", np.ones(3, np.float32))
        'Add_2'
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def __call__(self, operation: str, *inputs: "str | NDArray[Any]", **attributes: Any) -> str:
        names = [one if isinstance(one, str) else self._constant(one) for one in inputs]
        output = self._name(operation)
        self.nodes.append(helper.make_node(operation, names, [output], output, **attributes))
        return output

    def cast(self, value: str, kind: str) -> str:
        """The value as numbers of another type, a key of :data:`KINDS`."""
        return self("Cast", value, to=KINDS[kind])

    def columns(self, value: str, first: int, end: int, axis: int = 1) -> str:
        """``value[:, first:end]``, or the like along another axis."""
        bounds = (np.array([number], np.int64) for number in (first, end, axis))
        return self("Slice", value, *bounds)

    def size(self, value: str, axis: int) -> str:
        """The length of an axis, (1,) int64."""
        return self("Shape", value, start=axis, end=axis + 1)

    def either(
        self, condition: str, yes: "Callable[[Graph], str]", no: "Callable[[Graph], str]"
    ) -> str:
        """The value that ``yes`` adds where the condition, (1,) bool, is true, else that of ``no``.

        Both give float32, and only one of them is computed.
        """
        branches = {}
        for name, build in (("then_branch", yes), ("else_branch", no)):
            inner = Graph(f"{self._name(name)}/")
            result = inner.cast(build(inner), "float32")  # an output's type must be known
            output = helper.make_tensor_value_info(result, KINDS["float32"], None)
            branches[name] = helper.make_graph(inner.nodes, name, [], [output], inner.constants)
        return self("If", condition, **branches)

    def insert(self, part: onnx.GraphProto) -> None:
        """Add the nodes and constants of another graph, whose names are its own."""
        self.nodes.extend(part.node)
        self.constants.extend(part.initializer)

    def named(self, value: str, name: str) -> None:
        """Give a value a name of choice, such as that of an output."""
        self.nodes.append(helper.make_node("Identity", [value], [name], name))

    def _constant(self, array: NDArray[Any]) -> str:
        name = self._name("constant")
        self.constants.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def _name(self, kind: str) -> str:
        return f"{self._prefix}{kind}_{len(self.nodes) + len(self.constants) + 1}"
