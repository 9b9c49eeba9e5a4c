"""Parts of networks of torch as nodes of an ONNX graph, with their weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.onnx_graphs.graph import Graph


def attention(
    g: Graph, query: Any, key: Any, value: Any, out: Any, x: str, heads: int, bias: str | None = None
) -> str:
    """Apply multi-head attention to (frames, dims) by four ``Linear`` maps; ``bias``: (heads, frames, frames)."""
    width = query.in_features
    shape = g.constant([-1, heads, width // heads])
    q, k, v = (g.add("Reshape", linear(g, part, x), shape) for part in (query, key, value))
    q = g.add("Mul", q, g.constant(1 / math.sqrt(width // heads), np.float32))
    q, v = (g.add("Transpose", rows, perm=[1, 0, 2]) for rows in (q, v))
    scores = g.add("MatMul", q, g.add("Transpose", k, perm=[1, 2, 0]))
    if bias is not None:
        scores = g.add("Add", scores, bias)
    mixed = g.add("MatMul", g.add("Softmax", scores, axis=-1), v)
    rows = g.add("Reshape", g.add("Transpose", mixed, perm=[1, 0, 2]), g.constant([-1, width]))
    return linear(g, out, rows)


def convolution(g: Graph, conv: Any, x: str, **attributes: Any) -> str:
    """Apply a convolution to (1, channels, …); strides, padding and groups are said by the caller."""
    parts = [g.constant(array(conv.weight))]
    if conv.bias is not None:
        parts.append(g.constant(array(conv.bias)))
    return g.add("Conv", x, *parts, **attributes)


def linear(g: Graph, part: Any, x: str) -> str:
    """Apply ``Linear`` to the rows of (rows, dims)."""
    parts = [part.weight] if part.bias is None else [part.weight, part.bias]
    return g.add("Gemm", x, *(g.constant(array(each)) for each in parts), transB=1)


def norm(g: Graph, part: Any, x: str) -> str:
    """Apply ``LayerNorm`` over the last axis."""
    scale, shift = g.constant(array(part.weight)), g.constant(array(part.bias))
    return g.add("LayerNormalization", x, scale, shift, axis=-1, epsilon=part.eps)


def activation(g: Graph, name: str, x: str) -> str:
    """Apply ``relu``, or ``gelu`` by the error function."""
    if name == "relu":
        return g.add("Relu", x)
    inner = g.add("Erf", g.add("Div", x, g.constant(math.sqrt(2), np.float32)))
    scaled = g.add("Mul", x, g.add("Add", inner, g.constant(1, np.float32)))
    return g.add("Mul", scaled, g.constant(0.5, np.float32))


def array(tensor: Any) -> NDArray[np.float32]:
    """Return the values of a tensor."""
    values: NDArray[np.float32] = tensor.detach().float().cpu().numpy()
    return values
