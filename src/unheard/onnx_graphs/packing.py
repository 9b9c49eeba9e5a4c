"""Weights in fewer bits: large tensors are stored as float16 or int8, and widened by nodes in front of the others.

onnxruntime widens them once, when the graph is opened, so nothing is computed otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.errors import need
from unheard.onnx_graphs.model_files import loaded

#: Numbers in a tensor from which on it is packed.
MIN_SIZE = 1024
_LARGEST_HALF = float(np.finfo(np.float16).max)


def packed(model: bytes, weights: str) -> bytes:
    """Return a graph whose large tensors are stored in fewer bits and widened by nodes in front of the others."""
    onnx = need("onnx", "eval")
    made = loaded(model)
    constants, nodes = [], []
    for tensor in made.graph.initializer:
        stored, widening = _packed(onnx, tensor, weights)
        constants += stored
        nodes += widening
    nodes += made.graph.node
    for field, values in ((made.graph.initializer, constants), (made.graph.node, list(nodes))):
        del field[:]
        field.extend(values)
    onnx.checker.check_model(made)
    data: bytes = made.SerializeToString(deterministic=True)
    return data


def _packed(onnx: Any, tensor: Any, weights: str) -> tuple[list[Any], list[Any]]:
    """Return the tensors that stand for one, and the nodes that make it of them."""
    helper, numpy = need("onnx.helper", "eval"), need("onnx.numpy_helper", "eval")
    if tensor.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE):
        return [tensor], []
    values, name = numpy.to_array(tensor), tensor.name
    if values.ndim < 2 or values.size < MIN_SIZE or np.abs(values).max() > _LARGEST_HALF:
        return [tensor], []
    short = f"{name}.{weights}"
    if weights == "float16":
        cast = helper.make_node("Cast", [short], [name], name=f"{name}.cast", to=tensor.data_type)
        return [numpy.from_array(values.astype(np.float16), short)], [cast]
    whole, scale = quantised(values)
    wide, scales = f"{name}.wide", f"{name}.scale"
    return [numpy.from_array(whole, short), numpy.from_array(scale, scales)], [
        helper.make_node("Cast", [short], [wide], name=f"{name}.cast", to=tensor.data_type),
        helper.make_node("Mul", [wide, scales], [name], name=f"{name}.mul"),
    ]


def quantised(values: NDArray[np.floating]) -> tuple[NDArray[np.int8], NDArray[np.floating]]:
    """Return whole numbers in -127 … 127 and the scale of each slice, which times each other are about the values.

    Slices lie along the first or the last axis, whichever gives the smaller squared error.
    """
    choices = []
    for axis in (0, values.ndim - 1):
        inside = tuple(other for other in range(values.ndim) if other != axis)
        largest = np.abs(values).max(axis=inside, keepdims=True)
        scale = np.where(largest > 0, largest / 127, 1).astype(values.dtype)
        whole = np.round(values / scale).astype(np.int8)
        choices.append((float(np.square(whole * scale - values).sum()), axis, whole, scale))
    _, _, whole, scale = min(choices, key=lambda choice: choice[:2])
    return whole, scale
