"""The operators that a graph may use, the rule of each, and about how much work it is."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from unheard.onnx_graphs import layer_rules, shape_rules
from unheard.onnx_graphs.model_format import Message
from unheard.onnx_graphs.nodes import YES_OR_NO, Node, Rule, Sized, attribute_of, given

#: What changes each value, or normalises values by one another.
_ALIKE = (
    *(
        "BatchNormalization",
        "Clip",
        "Cos",
        "CumSum",
        "DequantizeLinear",
        "Elu",
        "Erf",
        "Exp",
        "Gelu",
        "HardSigmoid",
    ),
    *(
        "HardSwish",
        "Hardmax",
        "InstanceNormalization",
        "IsInf",
        "IsNaN",
        "LayerNormalization",
        "LeakyRelu",
        "Log",
    ),
    *(
        "LogSoftmax",
        "LpNormalization",
        "Mish",
        "Reciprocal",
        "Relu",
        "Round",
        "Selu",
        "Sigmoid",
        "Sign",
        "Sin",
    ),
    *("Softmax", "Softplus", "Softsign", "Tanh", "ThresholdedRelu", "Trilu"),
)
RULES: dict[str, Rule] = {
    **dict.fromkeys(_ALIKE, shape_rules.same),
    "Abs": shape_rules.unary(np.abs),
    "Ceil": shape_rules.unary(np.ceil),
    "Floor": shape_rules.unary(np.floor),
    "Identity": shape_rules.unary(lambda x: x),
    "Neg": shape_rules.unary(np.negative),
    "Not": shape_rules.unary(np.logical_not),
    "Sqrt": shape_rules.unary(np.sqrt),
    "Add": shape_rules.nary(np.add),
    "And": shape_rules.nary(np.logical_and),
    "Div": shape_rules.nary(shape_rules.quotient),
    "Equal": shape_rules.nary(np.equal),
    "Greater": shape_rules.nary(np.greater),
    "GreaterOrEqual": shape_rules.nary(np.greater_equal),
    "Less": shape_rules.nary(np.less),
    "LessOrEqual": shape_rules.nary(np.less_equal),
    "Max": shape_rules.nary(lambda *x: np.max(np.broadcast_arrays(*x), axis=0)),
    "Mean": shape_rules.nary(None),
    "Min": shape_rules.nary(lambda *x: np.min(np.broadcast_arrays(*x), axis=0)),
    "Mod": shape_rules.nary(None),
    "Mul": shape_rules.nary(np.multiply),
    "Or": shape_rules.nary(np.logical_or),
    "PRelu": shape_rules.nary(None),
    "Pow": shape_rules.nary(None),
    "Sub": shape_rules.nary(np.subtract),
    "Sum": shape_rules.nary(None),
    "Where": shape_rules.nary(np.where),
    "Xor": shape_rules.nary(np.logical_xor),
    "ArgMax": shape_rules.arg,
    "ArgMin": shape_rules.arg,
    "AveragePool": layer_rules.pool,
    "Cast": shape_rules.cast,
    "Concat": shape_rules.concat,
    "Constant": shape_rules.constant,
    "ConstantOfShape": shape_rules.constant_of_shape,
    "Conv": layer_rules.conv,
    "Dropout": shape_rules.dropout,
    "Expand": shape_rules.expand,
    "Flatten": shape_rules.flatten,
    "GRU": layer_rules.recurrent,
    "Gather": shape_rules.gather,
    "GatherElements": shape_rules.gather_elements,
    "Gemm": layer_rules.gemm,
    "GlobalAveragePool": layer_rules.global_pool,
    "GlobalMaxPool": layer_rules.global_pool,
    "LSTM": layer_rules.recurrent,
    "MatMul": layer_rules.matmul,
    "MaxPool": layer_rules.pool,
    "Pad": shape_rules.pad,
    "RNN": layer_rules.recurrent,
    "Range": shape_rules.range_of,
    "ReduceL1": shape_rules.reduce(None),
    "ReduceL2": shape_rules.reduce(None),
    "ReduceLogSumExp": shape_rules.reduce(None),
    "ReduceMax": shape_rules.reduce(np.max),
    "ReduceMean": shape_rules.reduce(None),
    "ReduceMin": shape_rules.reduce(np.min),
    "ReduceProd": shape_rules.reduce(np.prod),
    "ReduceSum": shape_rules.reduce(np.sum),
    "ReduceSumSquare": shape_rules.reduce(None),
    "Reshape": shape_rules.reshape,
    "Resize": layer_rules.resize,
    "Shape": shape_rules.shape_of,
    "Size": shape_rules.size_of,
    "Slice": shape_rules.sliced,
    "Split": shape_rules.split,
    "Squeeze": shape_rules.squeeze,
    "Tile": shape_rules.tile,
    "Transpose": shape_rules.transpose,
    "Unsqueeze": shape_rules.unsqueeze,
}


def node_of(message: Message) -> Node:
    """Return a node.

    Raises
    ------
    ValueError
        An operator that a graph may not use, or an attribute that is not what it says it is.
    """
    operator = message.get("op_type", "")
    if message.get("domain", "") not in ("", "ai.onnx") or operator not in RULES:
        domain = message.get("domain", "")
        raise ValueError(f"it uses the operator {f'{domain}.' if domain else ''}{operator}, which is refused")
    attributes: dict[str, Any] = {}
    for attribute in message.get("attribute", ()):
        name = attribute.get("name", "")
        if name in attributes:
            raise ValueError(f"the operator {operator} has the attribute {name} twice")
        attributes[name] = attribute_of(operator, attribute)
        if name in YES_OR_NO and attributes[name] not in (0, 1):
            raise ValueError(f"the attribute {name} of {operator} is {attributes[name]}, expected 0 or 1")
    return Node(operator, tuple(message.get("input", ())), tuple(message.get("output", ())), attributes)


def work(node: Node, inputs: Sequence[Sized | None], outputs: Sequence[Sized]) -> int:
    """Return about how many multiply-adds a node takes; other steps count as 8 a value."""
    if node.operator == "MatMul":
        return outputs[0].size * given(inputs, 0).shape[-1]
    if node.operator == "Gemm":
        return outputs[0].size * given(inputs, 1).size // max(1, outputs[0].shape[1])
    if node.operator == "Conv":
        return outputs[0].size * prod(given(inputs, 1).shape[1:])
    if node.operator in ("MaxPool", "AveragePool"):
        kernel: list[int] = node.attributes.get("kernel_shape", [])
        return outputs[0].size * prod(kernel)
    if node.operator in ("GRU", "LSTM", "RNN"):
        weights = given(inputs, 1).size + given(inputs, 2).size
        return prod(given(inputs, 0).shape[:2]) * weights
    return 8 * sum([prod(each.shape) for each in (*inputs, *outputs) if each is not None])
