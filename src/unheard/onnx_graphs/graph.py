"""ONNX graphs written node by node with the onnx package.

Written by hand rather than by torch's exporters, whose output depends on their version and holds paths of the
machine: the same network gives the same bytes, and onnxruntime 1.14 and newer read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from unheard.errors import need

#: Read by onnxruntime 1.14 and newer.
OPSET, IR_VERSION = 18, 8
#: Begins the names of inputs and outputs of encoder graphs, and of whatever surgery adds to an external graph.
PREFIX = "unheard."


class Graph:
    """Collects nodes and constants; every method returns the name of its result.

    Parameters
    ----------
    prefix
        Begins the names of nodes and constants, where they are to stand among those of another graph.
    """

    def __init__(self, prefix: str = "") -> None:
        self.helper = need("onnx.helper", "eval")
        self.types = need("onnx", "eval").TensorProto
        self.numpy = need("onnx.numpy_helper", "eval")
        self.prefix = prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def take(self, name: str, kind: Any, shape: list[Any]) -> str:
        """Add an input to the graph."""
        self.inputs.append(self.helper.make_tensor_value_info(name, kind, shape))
        return name

    def constant(self, value: Any, dtype: Any = None) -> str:
        """Add a constant tensor."""
        name = f"{self.prefix}constant_{len(self.constants)}"
        self.constants.append(self.numpy.from_array(np.array(value, dtype=dtype, order="C"), name))
        return name

    def add(self, operator: str, *inputs: str, outputs: int = 1, output: str = "", **attributes: Any) -> str:
        """Add a node; with several outputs, the name of the last is returned and the others are unused.

        ``output`` names the result where it must have a certain name.
        """
        name = f"{self.prefix}{operator.lower()}_{len(self.nodes)}"
        names = [""] * (outputs - 1) + [output or name]
        self.nodes.append(self.helper.make_node(operator, list(inputs), names, name=name, **attributes))
        return names[-1]

    def include(self, model: Any, prefix: str, inputs: Mapping[str, str]) -> list[str]:
        """Add the nodes and constants of another graph, and return the names of its outputs.

        Parameters
        ----------
        model
            ModelProto of this operator set; it is not changed.
        prefix
            Begins the names of everything that is added.
        inputs
            The tensor here that stands for each input of the model.
        """
        own = need("onnx.compose", "eval").add_prefix(model, prefix).graph
        given = {prefix + name: tensor for name, tensor in inputs.items()}
        for node in own.node:
            node.input[:] = [given.get(name, name) for name in node.input]
        self.nodes += own.node
        self.constants += own.initializer
        return [value.name for value in own.output]

    def give(self, name: str, tensor: str, shape: list[Any]) -> None:
        """Add an output of float32."""
        self.nodes.append(self.helper.make_node("Identity", [tensor], [name], name=name))
        self.outputs.append(self.helper.make_tensor_value_info(name, self.types.FLOAT, shape))

    def model(self) -> Any:
        """Return the ModelProto from the inputs to the outputs."""
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

    def bytes(self) -> bytes:
        """Return the bytes of the checked model."""
        model = self.model()
        need("onnx.checker", "eval").check_model(model, full_check=True)
        data: bytes = model.SerializeToString(deterministic=True)
        return data
