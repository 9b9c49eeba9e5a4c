"""ONNX graphs written node by node with the onnx package.

Written by hand rather than by torch's exporters, whose output depends on their version and holds paths of the
machine: the same network gives the same bytes, and onnxruntime 1.18 and newer read them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from unheard.errors import need

#: Read by onnxruntime 1.14 and newer.
OPSET, IR_VERSION = 18, 8
#: Begins the names of inputs and outputs of encoder graphs, and of whatever surgery adds to a graph from others.
PREFIX = "unheard."


class Graph:
    """Collects nodes and constants; every method returns the name of its result."""

    def __init__(self) -> None:
        self.helper = need("onnx.helper", "eval")
        self.types = need("onnx", "eval").TensorProto
        self.numpy = need("onnx.numpy_helper", "eval")
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def take(self, name: str, kind: Any, shape: list[Any]) -> str:
        """Add an input."""
        self.inputs.append(self.helper.make_tensor_value_info(name, kind, shape))
        return name

    def constant(self, value: Any, dtype: Any = None) -> str:
        """Add a constant tensor."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(self.numpy.from_array(np.array(value, dtype=dtype, order="C"), name))
        return name

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add a node; with several outputs, the name of the last is returned and the others are unused."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        names = [""] * (outputs - 1) + [name]
        self.nodes.append(self.helper.make_node(operator, list(inputs), names, name=name, **attributes))
        return name

    def give(self, name: str, tensor: str, shape: list[Any]) -> None:
        """Add an output of float32."""
        self.nodes.append(self.helper.make_node("Identity", [tensor], [name], name=name))
        self.outputs.append(self.helper.make_tensor_value_info(name, self.types.FLOAT, shape))

    def model(self) -> Any:
        """ModelProto from the inputs to the outputs."""
        graph = self.helper.make_graph(self.nodes, "unheard", self.inputs, self.outputs, self.constants)
        return self.helper.make_model(
            graph,
            opset_imports=[self.helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="unheard",
        )

    def share_constants(self) -> None:
        """Make equal constants one, so that onnxruntime finds equal computations to be equal, and does one."""
        first: dict[bytes, str] = {}
        names: dict[str, str] = {}
        kept = []
        for constant in self.constants:
            name, constant.name = constant.name, ""
            content = constant.SerializeToString(deterministic=True)
            constant.name = name
            names[name] = first.setdefault(content, name)
            if names[name] == name:
                kept.append(constant)
        self.constants = kept
        for node in self.nodes:
            node.input[:] = [names.get(name, name) for name in node.input]

    def bytes(self, logits: str, classes: int) -> bytes:
        """Bytes of the checked model whose output is ``logits``."""
        self.give("logits", logits, ["batch", classes])
        model = self.model()
        need("onnx.checker", "eval").check_model(model, full_check=True)
        data: bytes = model.SerializeToString(deterministic=True)
        return data
